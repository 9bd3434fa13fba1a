//! What a hit on a Redis server costs threads and tasks, compared with the bare client.
//!
//! Also measures how late the last of many processes gets a value that one of them created.
//!
//! `cargo bench -p dogpile-benches --bench redis` (about two minutes; `-- --quick`: some seconds, to see that it runs).
//! It starts its own server. If none is installed, it reports this and measures nothing.

#[path = "processes.rs"]
mod processes;
#[path = "redis_tasks.rs"]
mod redis_tasks;

use std::sync::Arc;

use dogpile::{CacheRegion, CacheValue, RegionConfig};
use dogpile_benches::rivals::{Rival, compare};
use dogpile_benches::{Failure, is_quick};
use dogpile_tests::redis::RedisServer;
use redis::{Connection, FromRedisValue};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

const KEYS: usize = 100;
/// The largest ratio of a hit's time to that of the bare command and deserialization: for one key, and for many.
const MOST: f64 = 1.05;
const MOST_OF_MANY: f64 = 1.15;

/// How much is measured.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    /// Of each rival, in each round.
    hits: usize,
    stampedes: usize,
    tasks: redis_tasks::Effort,
}

const FULL: Effort =
    Effort { rounds: 100, hits: 200, stampedes: 50, tasks: redis_tasks::Effort { rounds: 60, hits: 512 } };
const QUICK: Effort =
    Effort { rounds: 3, hits: 20, stampedes: 2, tasks: redis_tasks::Effort { rounds: 2, hits: 128 } };

/// What is cached: a hundred bytes of JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    address: String,
    tags: Vec<String>,
}

fn main() -> Result<(), Failure> {
    if processes::served() {
        return Ok(());
    }
    let effort = if is_quick()? { QUICK } else { FULL };
    let server = match RedisServer::start(&[]) {
        Ok(server) => server,
        Err(why) => {
            println!("ignored: {why}");
            return Ok(());
        }
    };
    let asked = Asked::new(&server)?;
    println!("µs, median of {} rounds (1st to 9th decile), and the ratio to the first", effort.rounds);
    compare("one key", effort.rounds, effort.hits, &mut one_key(&asked)?);
    let many = effort.hits / 4;
    compare("100 keys at once", effort.rounds, many, &mut many_keys::<User>(&asked, &asked.keys)?);
    compare("100 texts at once", effort.rounds, many, &mut many_keys::<String>(&asked, &asked.texts)?);
    redis_tasks::measure(&asked.region, &asked.client, effort.tasks)?;
    for is_notified in [true, false] {
        stampedes(&server, is_notified, effort.stampedes)?;
    }
    Ok(())
}

/// What all rivals read.
struct Asked {
    region: Arc<CacheRegion>,
    client: redis::Client,
    keys: Vec<String>,
    texts: Vec<String>,
}

impl Asked {
    fn new(server: &RedisServer) -> Result<Self, Failure> {
        let region = Arc::new(CacheRegion::new("benched"));
        let arguments = json!({ "host": "127.0.0.1", "port": server.port() });
        region.configure(RegionConfig::new("dogpile.cache.redis").arguments(&arguments))?;
        let keys: Vec<String> = (0..KEYS).map(|number| format!("user:{number:06}")).collect();
        let texts: Vec<String> = (0..KEYS).map(|number| format!("text:{number:06}")).collect();
        let user = |id| User {
            id,
            name: format!("user number {id}"),
            address: format!("{id} main street"),
            tags: vec!["some".to_owned(), "more".to_owned()],
        };
        region.set_multi(keys.iter().cloned().zip((0..).map(user)))?;
        region.set_multi(texts.iter().cloned().map(|key| (key, "0123456789".repeat(10))))?;
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", server.port()))?;
        Ok(Asked { region, client, keys, texts })
    }
}

fn one_key(asked: &Asked) -> Result<[Rival<'_>; 3], Failure> {
    let (mut bare, mut first) = (kept(&asked.client)?, kept(&asked.client)?);
    let key = asked.keys[0].as_str();
    Ok([
        Rival::new("bare GET, and deserialization", move || {
            let found: Vec<u8> = query(&mut first, redis::cmd("GET").arg(key));
            std::hint::black_box(deserialized::<User>(&found));
        }),
        Rival::new("bare GET", move || {
            std::hint::black_box(query::<Vec<u8>>(&mut bare, redis::cmd("GET").arg(key)));
        }),
        Rival::new("get_or_create", move || {
            let found: User =
                asked.region.get_or_create(key, || unreachable!("it is cached")).expect("it works");
            std::hint::black_box(found);
        })
        .at_most(MOST),
    ])
}

fn many_keys<'a, T: CacheValue + DeserializeOwned>(
    asked: &'a Asked,
    keys: &'a [String],
) -> Result<[Rival<'a>; 3], Failure> {
    let (mut bare, mut second) = (kept(&asked.client)?, kept(&asked.client)?);
    Ok([
        Rival::new("bare MGET, and deserialization", move || {
            let found: Vec<Vec<u8>> = query(&mut second, redis::cmd("MGET").arg(keys));
            std::hint::black_box(found.iter().map(|found| deserialized(found)).collect::<Vec<T>>());
        }),
        Rival::new("bare MGET", move || {
            std::hint::black_box(query::<Vec<Vec<u8>>>(&mut bare, redis::cmd("MGET").arg(keys)));
        }),
        Rival::new("get_multi", move || {
            let found = asked.region.get_multi::<T>(keys).expect("it works");
            assert!(found.iter().all(Option::is_some), "all are cached");
        })
        .at_most(MOST_OF_MANY),
    ])
}

fn kept(client: &redis::Client) -> Result<Connection, Failure> {
    Ok(client.get_connection()?)
}

fn query<T: FromRedisValue>(connection: &mut Connection, command: &redis::Cmd) -> T {
    command.query(connection).expect("the server replies")
}

/// Returns what follows the head of a stored value.
fn deserialized<T: DeserializeOwned>(stored: &[u8]) -> T {
    let head = stored.iter().position(|byte| *byte == b'|').expect("it has a head");
    serde_json::from_slice(&stored[head + 1..]).expect("it is of the type")
}

/// Measures stampedes. The server notifies waiters of a release, or they only poll.
fn stampedes(server: &RedisServer, is_notified: bool, rounds: usize) -> Result<(), Failure> {
    let arguments = json!({
        "host": "127.0.0.1", "port": server.port(), "distributed_lock": true, "lock_wakeup": is_notified,
    });
    let configuration = json!({ "backend": "dogpile.cache.redis", "arguments": arguments });
    let name = if is_notified { "waiters are notified" } else { "waiters only poll (lock_wakeup off)" };
    processes::stampedes(name, &configuration, rounds)
}
