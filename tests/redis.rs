//! The Redis backend under a region, over real servers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "redis/background.rs"]
mod background;
#[path = "redis/deployments.rs"]
mod deployments;
#[path = "redis/faults.rs"]
mod faults;
#[path = "redis/fencing.rs"]
mod fencing;
#[path = "redis/hostile.rs"]
mod hostile;
#[path = "redis/processes.rs"]
mod processes;
#[path = "redis/python.rs"]
mod python;
#[path = "redis/round_trips.rs"]
mod round_trips;
#[path = "redis/secrets.rs"]
mod secrets;
#[path = "redis/tls.rs"]
mod tls;
#[path = "redis/waiting.rs"]
mod waiting;

use std::io::{Read, Write};
use std::net::TcpStream;

use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::redis::RedisServer;
use dogpile_tests::regions::region_of;

/// A server, unless none is installed, which is told.
fn server(arguments: &[&str]) -> Option<RedisServer> {
    RedisServer::start(arguments).inspect_err(|why| eprintln!("ignored: {why}")).ok()
}

/// A region over `server`, whose locks are the server's.
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

/// Sends `command` as a stranger would; the answer. Several commands, a line each, have their answers in a row.
fn say(port: u16, command: &str) -> String {
    let mut stranger = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stranger.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).unwrap();
    let mut answers = Vec::new();
    stranger.read_to_end(&mut answers).unwrap();
    let answers = String::from_utf8_lossy(&answers).into_owned();
    answers.strip_suffix("+OK\r\n").unwrap_or(&answers).to_owned()
}

/// How often the server ran `command` since its counts began: `CONFIG RESETSTAT` begins them anew.
fn count(port: u16, command: &str) -> usize {
    let told = say(port, "INFO commandstats");
    let line = format!("cmdstat_{command}:calls=");
    let calls = told.split_once(&line).map_or("0", |(_, rest)| rest.split(',').next().unwrap());
    calls.parse().unwrap()
}
