//! The Redis backend under a region, over real servers.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

#[path = "redis/asynchronous.rs"]
mod asynchronous;
#[path = "redis/asynchronous_deployments.rs"]
mod asynchronous_deployments;
#[path = "redis/asynchronous_hostile.rs"]
mod asynchronous_hostile;
#[path = "redis/asynchronous_library.rs"]
mod asynchronous_library;
#[path = "redis/asynchronous_locks.rs"]
mod asynchronous_locks;
#[path = "redis/asynchronous_waiting.rs"]
mod asynchronous_waiting;
#[path = "redis/background.rs"]
mod background;
#[path = "redis/book.rs"]
mod book;
#[path = "redis/deployments.rs"]
mod deployments;
#[path = "redis/faults.rs"]
mod faults;
#[path = "redis/fencing.rs"]
mod fencing;
#[path = "redis/forks.rs"]
mod forks;
#[path = "redis/frozen.rs"]
mod frozen;
#[path = "redis/hostile.rs"]
mod hostile;
#[path = "redis/keys.rs"]
mod keys;
#[path = "redis/lies.rs"]
mod lies;
#[path = "redis/outage.rs"]
mod outage;
#[path = "redis/processes.rs"]
mod processes;
#[path = "redis/python.rs"]
mod python;
#[path = "redis/relay.rs"]
mod relay;
#[path = "redis/round_trips.rs"]
mod round_trips;
#[path = "redis/secrets.rs"]
mod secrets;
#[path = "redis/service.rs"]
mod service;
#[path = "redis/stages.rs"]
mod stages;
#[path = "redis/tls.rs"]
mod tls;
#[path = "redis/waiting.rs"]
mod waiting;

use std::io::{Read, Write};
use std::net::TcpStream;

use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::redis::RedisServer;
use dogpile_tests::regions::region_of;

/// Starts a server.
fn server(arguments: &[&str]) -> RedisServer {
    RedisServer::start(arguments).unwrap()
}

/// Returns a region over `server`, with its locks on the server.
fn region(server: &RedisServer) -> CacheRegion {
    region_of("over redis", config(server))
}

fn config(server: &RedisServer) -> RegionConfig {
    config_of("dogpile.cache.redis", server)
}

fn config_of(backend: &str, server: &RedisServer) -> RegionConfig {
    RegionConfig::new(backend)
        .argument("host", "127.0.0.1")
        .argument("port", server.port())
        .argument("socket_timeout", 1.0)
        .argument("distributed_lock", true)
}

/// Sends `command` without authentication and returns the reply. Several commands, one per line, return their replies in
/// order.
fn say(port: u16, command: &str) -> String {
    let mut stranger = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stranger.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).unwrap();
    let mut replies = Vec::new();
    stranger.read_to_end(&mut replies).unwrap();
    let replies = String::from_utf8_lossy(&replies).into_owned();
    replies.strip_suffix("+OK\r\n").unwrap_or(&replies).to_owned()
}

/// Returns how often the server ran `command` since the last `CONFIG RESETSTAT`.
fn count(port: u16, command: &str) -> usize {
    let statistics = say(port, "INFO commandstats");
    let line = format!("cmdstat_{command}:calls=");
    let calls = statistics.split_once(&line).map_or("0", |(_, rest)| rest.split(',').next().unwrap());
    calls.parse().unwrap()
}
