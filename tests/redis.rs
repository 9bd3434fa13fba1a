//! The Redis backend under a region, over real servers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "redis/faults.rs"]
mod faults;
#[path = "redis/python.rs"]
mod python;

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
