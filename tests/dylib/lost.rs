//! A host asks the mutex of a loaded backend whether it is lost, before it stores a created value.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use dogpile::sdk::{Arguments, CacheBackend};
use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::events::Events;
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

/// The events of a creation of `key` that outlives its lease, and the number of scripts that it ran.
fn outlive(server: &RedisServer, backend: Arc<dyn CacheBackend>, name: &'static str) -> (Vec<String>, usize) {
    let (events, region) = (Events::of_region(name), CacheRegion::new(name));
    region.configure(RegionConfig::from_instance(backend)).unwrap();
    let before = scripts(server);
    let created = region.get_or_create(name, || {
        thread::sleep(LEASE * 3);
        7
    });
    assert_eq!(created.unwrap(), 7);
    assert_eq!(region.get::<i32>(name).unwrap(), None);
    let warnings = events.take().into_iter().filter(|event| event.level == tracing::Level::WARN);
    (warnings.map(|warning| warning.message).collect(), scripts(server) - before)
}

#[test]
fn value_of_a_loaded_backend_whose_lease_ended_is_not_stored() {
    let Ok(server) = RedisServer::start(&[]).inspect_err(|why| eprintln!("ignored: {why}")) else { return };
    let registry = registry_of(&["dogpile-redis-dylib", "acme-dogpile-dylib"]);
    let arguments = json!({
        "host": "127.0.0.1", "port": server.port(), "distributed_lock": true, "lock_timeout": LEASE.as_secs_f64(),
    });
    let arguments = Arguments::from_serialize(&arguments).unwrap();
    let backend = registry.build_backend("dogpile.cache.redis", arguments).unwrap();
    let proxied =
        registry.build_proxy("acme.hit_counter", Arguments::default(), Arc::clone(&backend)).unwrap();
    let lost = "the lock of a creator expired while it ran; its value is returned but not stored";
    for (backend, name) in [(backend, "lost bare"), (proxied, "lost behind a proxy")] {
        let (warnings, scripts) = outlive(&server, backend, name);
        assert!(warnings.contains(&lost.to_owned()), "{warnings:?}");
        // The host does not even try to store the value.
        assert_eq!(scripts, 2, "{name}");
    }
}
