//! The Redis backend under a region, over real servers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "redis/deployments.rs"]
mod deployments;
#[path = "redis/faults.rs"]
mod faults;
#[path = "redis/processes.rs"]
mod processes;
#[path = "redis/python.rs"]
mod python;
#[path = "redis/tls.rs"]
mod tls;

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
    RegionConfig::new("dogpile.cache.redis")
        .argument("host", "127.0.0.1")
        .argument("port", server.port())
        .argument("socket_timeout", 1.0)
        .argument("distributed_lock", true)
}

/// Sends `command` as a stranger would, and waits for the first bytes of the answer.
fn say(port: u16, command: &str) -> String {
    let mut stranger = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stranger.write_all(format!("{command}\r\n").as_bytes()).unwrap();
    let mut answer = [0; 512];
    let length = stranger.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}
