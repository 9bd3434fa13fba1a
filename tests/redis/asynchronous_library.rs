//! Asynchronous calls of the backend that is loaded from a plugin library.

use std::time::Duration;

use dogpile::RegionConfig;
use dogpile_tests::errors::told;
use dogpile_tests::libraries::{library, permissive_registry};
use dogpile_tests::threads::bounded;

use super::asynchronous::{all, runtime, shared};
use super::server;

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn loaded_backend_has_asynchronous_calls_and_locks() {
    bounded(|| {
        let server = server(&[]);
        let registry = permissive_registry();
        registry.add_library(library("dogpile-redis-dylib")).unwrap();
        let config = RegionConfig::new("dogpile.cache.redis")
            .argument("host", "127.0.0.1")
            .argument("port", server.port())
            .argument("socket_timeout", 0.5)
            .argument("distributed_lock", true);
        let region = shared(config.registry(registry));
        let backend = region.backend().unwrap();
        assert!(backend.operations().is_some());
        assert!(backend.get_mutex("key").unwrap().operations().is_some());
        runtime().block_on(async {
            let created = all(&region, 200, |region, key| async move {
                region.get_or_create_async(&key, || async { key.clone() }).await.unwrap() == key
            });
            assert!(created.await.into_iter().all(|is_right| is_right));
            server.process().stop();
            let error = told(&region.get_async::<String>("key 1").await.unwrap_err());
            assert!(error.contains("timed out: it did not reply in time"), "{error}");
            // A call that is canceled on this side of the FFI boundary disturbs no other.
            let canceled =
                tokio::time::timeout(Duration::from_millis(20), region.get_async::<String>("key 2"));
            assert!(canceled.await.is_err());
            server.process().go_on();
            assert_eq!(region.get_async("key 3").await.unwrap(), Some("key 3".to_owned()));
        });
    });
}
