//! Stores that check the lock of their creator in the same step.

use std::sync::Arc;
use std::time::Duration;

use dogpile::CacheRegion;
use dogpile::sdk::{
    Bytes, CacheBackend, CachedValue, CreationTime, Entry, ErrorKind, Metadata, Payload, StoreOptions,
};
use dogpile_tests::redis::RedisServer;
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
        let Some(server) = server(&[]) else { return };
        let region = region(&server);
        let backend = region.backend().unwrap();
        assert!(backend.capabilities().fencing);
        test(&server, &region, backend);
    });
}

#[test]
fn value_is_stored_while_its_lock_is_held() {
    with_backend(|_, _, backend| {
        let options = fenced(&backend, "key");
        backend.set("key", value("new"), &options).unwrap();
        assert_eq!(backend.get("key").unwrap(), Some(value("new")));
    });
}

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
