//! What a hit on a Redis server costs beside the bare client, and how late the last of many processes has a value
//! that one of them created.
//!
//! `cargo bench -p dogpile-benches --bench redis` (about a minute; `-- --quick`: some seconds, to see that it runs).
//! It starts its own server. Without one installed, it says so, and measures nothing.

use std::process::Command;
use std::time::Instant;

use dogpile::{CacheRegion, CacheValue, RegionConfig};
use dogpile_benches::{Dice, Failure, Summary, is_quick};
use dogpile_tests::peer::Peer;
use dogpile_tests::redis::RedisServer;
use redis::{Connection, FromRedisValue};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The argument that makes the program one of the processes of a stampede.
const WORKER: &str = "--worker";

const KEYS: usize = 100;
const PROCESSES: usize = 4;
const THREADS: usize = 8;
/// How long a creator takes, in seconds.
const CREATION: f64 = 0.05;
/// The most that the last waiter may come after the creator's end, in milliseconds.
const LATEST: f64 = 10.0;

/// How much is measured.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    /// Of each rival, in each round.
    hits: usize,
    stampedes: usize,
}

const FULL: Effort = Effort { rounds: 100, hits: 200, stampedes: 50 };
const QUICK: Effort = Effort { rounds: 3, hits: 20, stampedes: 2 };

/// What is cached: a hundred bytes of JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    address: String,
    tags: Vec<String>,
}

fn main() -> Result<(), Failure> {
    if std::env::args().nth(1).as_deref() == Some(WORKER) {
        dogpile_tests::worker::serve();
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
    compare("one key", effort, effort.hits, &mut one_key(&asked)?);
    let many = effort.hits / 4;
    compare("100 keys at once", effort, many, &mut many_keys::<User>(&asked, &asked.keys)?);
    compare("100 texts at once", effort, many, &mut many_keys::<String>(&asked, &asked.texts)?);
    println!(
        "\n{PROCESSES} processes of {THREADS} threads, a cold key, a creator of 50 ms, {} rounds",
        effort.stampedes
    );
    for is_told in [true, false] {
        stampedes(&server, is_told, effort.stampedes);
    }
    Ok(())
}

/// What all rivals ask for.
struct Asked {
    region: CacheRegion,
    client: redis::Client,
    keys: Vec<String>,
    texts: Vec<String>,
}

impl Asked {
    fn new(server: &RedisServer) -> Result<Self, Failure> {
        let region = CacheRegion::new("benched");
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

/// Something measured: its name, the most that its ratio to the first may be, and a hit.
struct Rival<'a> {
    name: &'static str,
    most: Option<f64>,
    hit: Box<dyn FnMut() + 'a>,
}

impl<'a> Rival<'a> {
    fn new(name: &'static str, most: Option<f64>, hit: impl FnMut() + 'a) -> Self {
        Rival { name, most, hit: Box::new(hit) }
    }
}

fn one_key(asked: &Asked) -> Result<[Rival<'_>; 3], Failure> {
    let (mut bare, mut first) = (kept(&asked.client)?, kept(&asked.client)?);
    let key = asked.keys[0].as_str();
    Ok([
        Rival::new("bare GET, and deserialising", None, move || {
            let found: Vec<u8> = query(&mut first, redis::cmd("GET").arg(key));
            std::hint::black_box(deserialized::<User>(&found));
        }),
        Rival::new("bare GET", None, move || {
            std::hint::black_box(query::<Vec<u8>>(&mut bare, redis::cmd("GET").arg(key)));
        }),
        Rival::new("get_or_create", Some(1.15), move || {
            let found: User =
                asked.region.get_or_create(key, || unreachable!("it is cached")).expect("it answers");
            std::hint::black_box(found);
        }),
    ])
}

fn many_keys<'a, T: CacheValue + DeserializeOwned>(
    asked: &'a Asked,
    keys: &'a [String],
) -> Result<[Rival<'a>; 3], Failure> {
    let (mut bare, mut second) = (kept(&asked.client)?, kept(&asked.client)?);
    Ok([
        Rival::new("bare MGET, and deserialising", None, move || {
            let found: Vec<Vec<u8>> = query(&mut second, redis::cmd("MGET").arg(keys));
            std::hint::black_box(found.iter().map(|found| deserialized(found)).collect::<Vec<T>>());
        }),
        Rival::new("bare MGET", None, move || {
            std::hint::black_box(query::<Vec<Vec<u8>>>(&mut bare, redis::cmd("MGET").arg(keys)));
        }),
        Rival::new("get_multi", Some(1.3), move || {
            let found = asked.region.get_multi::<T>(keys).expect("it answers");
            assert!(found.iter().all(Option::is_some), "all are cached");
        }),
    ])
}

fn kept(client: &redis::Client) -> Result<Connection, Failure> {
    Ok(client.get_connection()?)
}

fn query<T: FromRedisValue>(connection: &mut Connection, command: &redis::Cmd) -> T {
    command.query(connection).expect("the server answers")
}

/// What is behind the head of a stored value.
fn deserialized<T: DeserializeOwned>(stored: &[u8]) -> T {
    let head = stored.iter().position(|byte| *byte == b'|').expect("it has a head");
    serde_json::from_slice(&stored[head + 1..]).expect("it is of the type")
}

fn compare(heading: &str, effort: Effort, hits: usize, rivals: &mut [Rival<'_>]) {
    let mut times = vec![Vec::new(); rivals.len()];
    let mut order: Vec<usize> = (0..rivals.len()).collect();
    let mut dice = Dice::default();
    // The first round only warms up.
    for round in 0..=effort.rounds {
        dice.shuffle(&mut order);
        for &number in &order {
            let begun = Instant::now();
            (0..hits).for_each(|_| (rivals[number].hit)());
            if round > 0 {
                times[number].push(begun.elapsed().as_secs_f64() * 1e6 / hits as f64);
            }
        }
    }
    println!("\n{heading}");
    for (rival, measured) in rivals.iter().zip(&times) {
        let Summary { median, low, high, .. } = Summary::of(measured.iter().copied());
        let ratio = Summary::of(measured.iter().zip(&times[0]).map(|(ours, first)| ours / first)).median;
        print!("{:32}{median:>8.1} {:>14}{ratio:>8.2}", rival.name, format!("({low:.1}-{high:.1})"));
        println!("{}", rival.most.map_or(String::new(), |most| verdict(ratio, most)));
    }
}

fn verdict(measured: f64, most: f64) -> String {
    format!("  at most {most}: {}", if measured <= most { "met" } else { "missed (!)" })
}

/// `rounds` times, all threads of all processes ask for a cold key.
fn stampedes(server: &RedisServer, is_told: bool, rounds: usize) {
    let arguments = json!({
        "host": "127.0.0.1", "port": server.port(), "distributed_lock": true, "lock_wakeup": is_told,
    });
    let configuration = json!({ "backend": "dogpile.cache.redis", "arguments": arguments });
    let program = std::env::current_exe().expect("a program knows where it is");
    let process = |_| Peer::run(Command::new(&program).arg(WORKER), &configuration);
    let processes: Vec<Peer> = (0..PROCESSES).map(process).collect();
    let mut late: Vec<f64> =
        (0..rounds).map(|round| stampede(&processes, &format!("{is_told}:{round}"))).collect();
    let Summary { median, high, max, .. } = Summary::of(late.iter().copied());
    late.sort_by(f64::total_cmp);
    let p99 = late[(late.len() * 99).div_ceil(100) - 1];
    let name = if is_told { "waiters are told" } else { "waiters only look (lock_wakeup off)" };
    println!("\n{name}: one creator each; last waiter after the creator's end, ms");
    println!("median {median:.2}, 9th decile {high:.2}, p99 {p99:.2}{}, most {max:.2}", verdict(p99, LATEST));
}

/// How many milliseconds after the creator's end the last thread had the value.
fn stampede(processes: &[Peer], key: &str) -> f64 {
    let crowd = json!({ "do": "crowd", "key": key, "threads": THREADS, "takes": CREATION, "value": 1 });
    processes.iter().for_each(|process| process.tell(&crowd));
    let answers: Vec<Value> = processes.iter().map(Peer::hear).collect();
    let all = |what: &str| answers.iter().filter_map(|answer| answer[what].as_u64()).collect::<Vec<_>>();
    assert_eq!(all("created").iter().sum::<u64>(), 1, "one creator runs");
    let latest = |what| all(what).into_iter().max().unwrap_or_default();
    (latest("got") - latest("made")) as f64 / 1e3
}
