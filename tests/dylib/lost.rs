//! A host checks whether the mutex of a loaded backend is lost before it stores a created value.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use dogpile::sdk::{Arguments, CacheBackend};
use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::redis::RedisServer;
use serde_json::json;

use super::registry_of;

const LEASE: Duration = Duration::from_millis(100);

/// Returns how often `server` ran a script. Acquiring, storing under a lock, and releasing are one script each.
fn scripts(server: &RedisServer) -> usize {
    let statistics = server.say(&["INFO", "commandstats"]);
    let calls = statistics.split_once("cmdstat_eval:calls=").map_or("0", |(_, rest)| rest);
    calls.split(',').next().unwrap().parse().unwrap()
}

/// Returns the number of scripts that a creation runs that outlives its lease.
fn scripts_of_a_creation(server: &RedisServer, backend: Arc<dyn CacheBackend>, key: &str) -> usize {
    let region = CacheRegion::new("lost");
    region.configure(RegionConfig::from_instance(backend)).unwrap();
    let before = scripts(server);
    let created = region.get_or_create(key, || {
        thread::sleep(LEASE * 3);
        7
    });
    assert_eq!(created.unwrap(), 7);
    assert_eq!(region.get::<i32>(key).unwrap(), None);
    scripts(server) - before
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn value_of_a_loaded_backend_whose_lease_ended_is_not_stored() {
    let server = RedisServer::start(&[]).unwrap();
    let registry = registry_of(&["dogpile-redis-dylib", "acme-dogpile-dylib"]);
    let arguments = json!({
        "host": "127.0.0.1", "port": server.port(), "distributed_lock": true, "lock_timeout": LEASE.as_secs_f64(),
    });
    let arguments = Arguments::from_serialize(&arguments).unwrap();
    let backend = registry.build_backend("dogpile.cache.redis", arguments).unwrap();
    let proxied =
        registry.build_proxy("acme.hit_counter", Arguments::default(), Arc::clone(&backend)).unwrap();
    for (backend, key) in [(backend, "bare"), (proxied, "behind a proxy")] {
        // The mutex is acquired and released. The host does not even try to store the value.
        assert_eq!(scripts_of_a_creation(&server, backend, key), 2, "{key}");
    }
}
