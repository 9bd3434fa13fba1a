//! Stores that check the lock of their creator in the same step.

use std::sync::Arc;
use std::time::Duration;

use dogpile::sdk::{
    Bytes, CacheBackend, CachedValue, CreationTime, Entry, ErrorKind, Metadata, Payload, StoreOptions,
};
use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::redis::{REDIS, RedisServer, SERVICE, SentinelServers};
use dogpile_tests::regions::region_of;
use dogpile_tests::threads::bounded;

use super::{region, say, server};

fn value(text: &str) -> CachedValue {
    let payload = Payload::Bytes(Bytes::from(text.as_bytes()));
    CachedValue { payload, metadata: Metadata::new(CreationTime::from_seconds(1.5)) }
}

/// Acquires the lock of `key` and returns store options with its fence.
fn fenced(backend: &Arc<dyn CacheBackend>, key: &str) -> StoreOptions {
    let mutex = backend.get_mutex(key).unwrap();
    assert!(mutex.try_acquire().unwrap());
    // A mutex that is dropped while it is held keeps its lock until the lease ends.
    StoreOptions::new().with_fence(mutex.fence().unwrap())
}

fn with_backend(test: impl Fn(&RedisServer, &CacheRegion, Arc<dyn CacheBackend>) + Send + 'static) {
    bounded(move || {
        let server = server(&[]);
        let region = region(&server);
        let backend = region.backend().unwrap();
        assert!(backend.capabilities().fencing);
        test(&server, &region, backend);
    });
}

/// The lock and its value are on the master. Replicas are read only once they have caught up.
#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn sentinel_master_checks_the_fence() {
    bounded(|| {
        let servers = SentinelServers::start(REDIS).unwrap();
        let sentinels: Vec<_> =
            servers.sentinel_ports().iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let config = RegionConfig::new("dogpile.cache.redis_sentinel")
            .argument("sentinels", sentinels)
            .argument("service_name", SERVICE);
        let backend = region_of("over sentinels", config).backend().unwrap();
        assert!(backend.capabilities().fencing);
        let (mutex, other) = (backend.get_mutex("a").unwrap(), backend.get_mutex("b").unwrap());
        assert!(mutex.try_acquire().unwrap() && other.try_acquire().unwrap());
        let options = [&mutex, &other].map(|mutex| StoreOptions::new().with_fence(mutex.fence().unwrap()));
        other.release().unwrap();
        let entry = |(key, options)| Entry::new(key, value(key)).with_options(options);
        let entries = ["a", "b"].into_iter().zip(options).map(entry).collect();
        assert_eq!(backend.set_multi(entries).unwrap_err().kind(), ErrorKind::Fenced);
        assert_eq!(backend.get_multi(&["a", "b"]).unwrap(), [Some(value("a")), None]);
        mutex.release().unwrap();
    });
}

/// The value of a creator whose lock another process took over is returned, but does not replace the newer one.
#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn creator_that_lost_its_lock_does_not_replace_the_newer_value() {
    with_backend(|server, region, backend| {
        let made = region.get_or_create("key", || {
            say(server.port(), "SET _lockkey another");
            let newer = CachedValue { payload: Payload::Bytes(Bytes::from(&b"2"[..])), ..value("") };
            backend.set("key", newer, &StoreOptions::new()).unwrap();
            1
        });
        assert_eq!(made.unwrap(), 1);
        assert_eq!(region.options().ignore_expiration().get::<i32>("key").unwrap(), Some(2));
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn value_is_stored_while_its_lock_is_held() {
    with_backend(|_, _, backend| {
        let options = fenced(&backend, "key");
        backend.set("key", value("new"), &options).unwrap();
        assert_eq!(backend.get("key").unwrap(), Some(value("new")));
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn value_is_not_stored_once_its_lock_is_taken_over() {
    with_backend(|server, _, backend| {
        let options = fenced(&backend, "key");
        backend.set("key", value("of the next creator"), &StoreOptions::new()).unwrap();
        for takeover in ["SET _lockkey another", "DEL _lockkey"] {
            say(server.port(), takeover);
            let error = backend.set("key", value("late"), &options).unwrap_err();
            assert_eq!((error.kind(), error.key()), (ErrorKind::Fenced, Some("key")));
            assert_eq!(
                error.to_string(),
                "did not store 1 of 1 values: the locks of their creators expired or were taken over"
            );
            assert_eq!(backend.get("key").unwrap(), Some(value("of the next creator")));
        }
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn multi_store_keeps_the_values_whose_lock_is_held() {
    with_backend(|server, _, backend| {
        let entry = |key: &str| Entry::new(key, value(key));
        let fenced = |key: &str| entry(key).with_options(fenced(&backend, key));
        let entries = vec![fenced("a"), entry("b"), fenced("c"), entry("d"), fenced("e")];
        say(server.port(), "SET _lockc another");
        let error = backend.set_multi(entries).unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Fenced, Some("set_multi")));
        let found = backend.get_multi(&["a", "b", "c", "d", "e"]).unwrap();
        assert_eq!(found, ["a", "b", "", "d", "e"].map(|key| (!key.is_empty()).then(|| value(key))));
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn fenced_value_expires_after_its_lifetime() {
    with_backend(|server, _, backend| {
        let options = fenced(&backend, "key").with_keep_for(Duration::from_secs(100));
        backend.set("key", value("new"), &options).unwrap();
        let lifetime = say(server.port(), "PTTL key");
        let lifetime: u64 = lifetime.trim_start_matches(':').trim().parse().unwrap();
        assert!((90_000..=100_000).contains(&lifetime), "{lifetime}");
    });
}
