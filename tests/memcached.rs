//! The memcached backends under a region, over real servers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "memcached/asynchronous.rs"]
mod asynchronous;
#[path = "memcached/asynchronous_faults.rs"]
mod asynchronous_faults;
#[path = "memcached/asynchronous_hostile.rs"]
mod asynchronous_hostile;
#[path = "memcached/asynchronous_locks.rs"]
mod asynchronous_locks;
#[path = "memcached/asynchronous_relay.rs"]
mod asynchronous_relay;
#[path = "memcached/fake.rs"]
mod fake;
#[path = "memcached/faults.rs"]
mod faults;
#[path = "memcached/full.rs"]
mod full;
#[path = "memcached/hostile.rs"]
mod hostile;
#[path = "memcached/keys.rs"]
mod keys;
#[path = "memcached/processes.rs"]
mod processes;
#[path = "memcached/python.rs"]
mod python;
#[path = "memcached/relay.rs"]
mod relay;
#[path = "memcached/replies.rs"]
mod replies;
#[path = "memcached/settings.rs"]
mod settings;

use std::io::{Read, Write};
use std::net::TcpStream;

use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::memcached::MemcachedServer;
use dogpile_tests::regions::region_of;
use serde_json::{Value, json};

/// Starts a server.
fn server() -> MemcachedServer {
    MemcachedServer::start(&[]).unwrap()
}

/// The backends of the Python clients, which have the same names on both sides.
const BACKENDS: [&str; 4] = [
    "dogpile.cache.memcached",
    "dogpile.cache.pymemcache",
    "dogpile.cache.pylibmc",
    "dogpile.cache.bmemcached",
];

/// The name of a backend, with arguments that let it use a failed server again almost at once.
type Impatient = (&'static str, Value);

/// The protocols of Python's clients: text and binary.
fn impatient() -> [Impatient; 3] {
    [
        ("dogpile.cache.memcached", json!({ "dead_retry": 0.01 })),
        (
            "dogpile.cache.pymemcache",
            json!({ "hashclient_retry_timeout": 0.01, "hashclient_dead_timeout": 0.01 }),
        ),
        ("dogpile.cache.pylibmc", json!({ "binary": true, "behaviors": { "retry_timeout": 0 } })),
    ]
}

/// Returns a region over the servers at `ports`, with its locks on the servers.
fn region((backend, more): &Impatient, ports: &[u16]) -> CacheRegion {
    let urls: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let config = RegionConfig::new(*backend)
        .arguments(more)
        .argument("url", urls)
        .argument("distributed_lock", true)
        .argument("socket_timeout", 0.5);
    region_of("over memcached", config)
}

/// Sends `commands`, a line each, without the client. Returns the replies in a row.
fn say(port: u16, commands: &str) -> String {
    let mut stranger = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stranger.write_all(format!("{commands}\r\nquit\r\n").as_bytes()).unwrap();
    let mut answers = Vec::new();
    stranger.read_to_end(&mut answers).unwrap();
    String::from_utf8_lossy(&answers).into_owned()
}

/// Returns the server's statistic `name`.
fn count(port: u16, name: &str) -> usize {
    let told = say(port, "stats");
    let line = format!("STAT {name} ");
    told.split_once(&line).unwrap().1.split("\r\n").next().unwrap().parse().unwrap()
}
