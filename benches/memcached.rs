//! What our memcached client costs, compared with the crate `memcache`.
//!
//! Also measures what a hit costs beside our client, how fast many tasks are beside many threads, and how late the
//! last of many processes gets a value that one of them created.
//!
//! `cargo bench -p dogpile-benches --bench memcached` (about a minute; `-- --quick`: some seconds, to see that it runs).
//! It starts its own server. If none is installed, it reports this and measures nothing.

#[path = "memcached_tasks.rs"]
mod memcached_tasks;
#[path = "processes.rs"]
mod processes;

use std::hint::black_box;
use std::time::Duration;

use dogpile::{CacheRegion, RegionConfig};
use dogpile_benches::rivals::{Rival, compare};
use dogpile_benches::{Failure, is_quick};
use dogpile_memcached::client::{Address, Client, Kind, Operation, Options, Patience, Reply, When};
use dogpile_tests::memcached::MemcachedServer;
use memcache::exp::{Memcache, Ttl};
use serde_json::json;

const MANY: usize = 100;
const VALUE: [u8; 200] = [b'x'; 200];
/// The largest ratio of our client's time to that of the fastest rival: for one key, and for each of many keys at
/// once.
const MOST: f64 = 1.0;
const MOST_OF_MANY: f64 = 1.2;
/// The largest ratio of a hit's time to that of our client's get.
const MOST_OF_HIT: f64 = 1.15;

/// How much is measured.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    /// Of each rival, in each round.
    calls: usize,
    stampedes: usize,
    /// Rounds of many threads and tasks.
    crowds: usize,
}

const FULL: Effort = Effort { rounds: 100, calls: 500, stampedes: 100, crowds: 30 };
const QUICK: Effort = Effort { rounds: 3, calls: 20, stampedes: 2, crowds: 2 };

fn main() -> Result<(), Failure> {
    if processes::served() {
        return Ok(());
    }
    let effort = if is_quick()? { QUICK } else { FULL };
    let server = match MemcachedServer::start(&[]) {
        Ok(server) => server,
        Err(why) => {
            println!("ignored: {why}");
            return Ok(());
        }
    };
    println!("µs, median of {} rounds (1st to 9th decile), and the ratio to the first", effort.rounds);
    let url = server.url();
    for kind in [Kind::Text, Kind::Binary] {
        clients(&url, kind, effort)?;
    }
    hits(&url, effort)?;
    memcached_tasks::compare_tasks(&url, effort.crowds)?;
    let arguments = json!({ "url": url, "distributed_lock": true });
    let configuration = json!({ "backend": "dogpile.cache.pymemcache", "arguments": arguments });
    processes::stampedes("dogpile.cache.pymemcache", &configuration, effort.stampedes)
}

fn ours(url: &str, kind: Kind) -> Result<Client, Failure> {
    let second = Duration::from_secs(1);
    let mut options = Options::default();
    options.kind = kind;
    options.timeout = second;
    options.connect_timeout = second;
    options.patience = Patience { attempts: 0, retry_after: second, dead_for: second };
    Ok(Client::new(vec![Address::parse(url).ok_or("it is an address")?], &options))
}

fn get(client: &Client, key: &str) {
    let answers = client.run(&[Operation::Get { key }]);
    assert!(matches!(&answers[..], [Ok(Reply::Value { .. })]), "it is stored");
}

fn set(client: &Client, key: &str) {
    let store = Operation::Store { key, value: &VALUE, flags: 0, expiry: 0, when: When::Always };
    assert!(matches!(&client.run(&[store])[..], [Ok(Reply::Done)]), "it stores");
}

/// Returns the names of `MANY` values that are stored.
fn stored(client: &Client) -> Vec<String> {
    let keys: Vec<String> = (0..MANY).map(|number| format!("user:{number:06}")).collect();
    keys.iter().for_each(|key| set(client, key));
    keys
}

fn clients(url: &str, kind: Kind, effort: Effort) -> Result<(), Failure> {
    let ours = ours(url, kind)?;
    let keys = stored(&ours);
    let key = keys[0].as_str();
    let exp = Memcache::connect([url])?;
    let classic = memcache::connect(format!("memcache://{url}?timeout=1&tcp_nodelay=true"))?;
    let Effort { rounds, calls, .. } = effort;
    let gets = &mut [
        Rival::new("memcache::exp: get", || assert!(exp.get::<Vec<u8>>(key).expect("it works").is_some())),
        Rival::new("memcache: get", || assert!(classic.get::<Vec<u8>>(key).expect("it works").is_some())),
        Rival::new("ours: get", || get(&ours, key)).at_most(MOST),
    ];
    compare(&format!("{kind:?} protocol, get of 200 bytes"), rounds, calls, gets);
    let sets = &mut [
        Rival::new("memcache::exp: set", || exp.set(key, &VALUE[..], Ttl::NEVER).expect("it stores")),
        Rival::new("memcache: set", || classic.set(key, &VALUE[..], 0).expect("it stores")),
        Rival::new("ours: set", || set(&ours, key)).at_most(MOST),
    ];
    compare(&format!("{kind:?} protocol, set of 200 bytes"), rounds, calls, sets);
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    let many = &mut [
        Rival::new("memcache::exp: get_many of 100", || {
            let found = exp.get_many::<Vec<u8>, &str>(names.iter().copied()).expect("it works");
            assert_eq!(found.len(), MANY);
        }),
        Rival::new("memcache: gets of 100", || {
            assert_eq!(classic.gets::<Vec<u8>>(&names).expect("it works").len(), MANY);
        }),
        Rival::new("ours: get of 100", || {
            let gets: Vec<_> = names.iter().map(|key| Operation::Get { key }).collect();
            let answers = ours.run(&gets);
            assert!(answers.iter().all(|answer| matches!(answer, Ok(Reply::Value { .. }))));
        })
        .at_most(MOST_OF_MANY),
    ];
    compare(&format!("{kind:?} protocol, 100 keys at once"), rounds, calls.div_ceil(10), many);
    Ok(())
}

/// A hit of a region beside our client's get of the same bytes.
fn hits(url: &str, effort: Effort) -> Result<(), Failure> {
    let region = CacheRegion::new("benched");
    let arguments = json!({ "url": url, "distributed_lock": true });
    region.configure(RegionConfig::new("dogpile.cache.memcached").arguments(&arguments))?;
    let text = "x".repeat(VALUE.len());
    region.set("text", text.clone())?;
    let ours = ours(url, Kind::Text)?;
    let hits = &mut [
        Rival::new("ours: get", || get(&ours, "text")),
        Rival::new("get_or_create", || {
            let found = region.get_or_create("text", || unreachable!("it is cached"));
            black_box::<String>(found.expect("it works"));
        })
        .at_most(MOST_OF_HIT),
    ];
    compare("a hit", effort.rounds, effort.calls, hits);
    Ok(())
}
