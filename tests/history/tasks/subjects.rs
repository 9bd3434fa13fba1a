//! The regions that the tasks call.

use std::sync::Arc;
use std::time::Duration;

use dogpile::sdk::{
    BackendError, CacheBackend, CachedValue, Capabilities, Entry, ProxyBackend, StoreOptions,
};
use dogpile::{RegionConfig, Registry};
use dogpile_tests::libraries::library;
use dogpile_tests::redis::REDIS;

use super::super::pauses::SlowMutexes;
use super::super::random::{pause, set_pace};
use super::super::recorder::moment;
use super::super::subjects::{MEMCACHED_BACKEND, REDIS_BACKEND, Subject, file, on_memcached, on_redis};
use super::delayed::Delayed;

const MEMORY: &str = "dogpile.cache.memory";

/// Returns a region on each backend: those that never block, those that block, and those with asynchronous calls.
pub(super) fn subjects() -> Vec<Subject> {
    vec![
        Subject::new("memory", || RegionConfig::new(MEMORY)),
        Subject::new("memory_blocking", || offloaded(RegionConfig::new(MEMORY))),
        Subject::new("memory_slow_mutex", || offloaded(RegionConfig::new(MEMORY)).wrap_in(SlowMutexes::new)),
        Subject::new("memory_operations", || RegionConfig::new(MEMORY).wrap_in(Delayed::new)),
        Subject::new("dbm", || {
            offloaded(RegionConfig::new("dogpile.cache.dbm").argument("filename", file("tasks.dbm")))
        }),
        Subject::new("lmdb", || {
            let lmdb = RegionConfig::new("dogpile.cache.lmdb").argument("filename", file("tasks.lmdb"));
            offloaded(lmdb.argument("synchronous", "off"))
        }),
        Subject::new("redis", || on_redis(RegionConfig::new(REDIS_BACKEND))).on_server(REDIS),
        Subject::new("redis_distributed_lock", || {
            on_redis(RegionConfig::new(REDIS_BACKEND)).argument("distributed_lock", true)
        })
        .on_server(REDIS),
        Subject::new("memcached", || on_memcached(RegionConfig::new(MEMCACHED_BACKEND)))
            .on_server("memcached"),
        Subject::new("memcached_distributed_lock", || {
            on_memcached(RegionConfig::new(MEMCACHED_BACKEND)).argument("distributed_lock", true)
        })
        .on_server("memcached"),
        Subject::new("loaded_courier", || {
            let registry = Registry::empty();
            registry.add_library(library("courier-dogpile-dylib")).expect("the library can be opened");
            RegionConfig::new("courier.shelf").registry(registry).argument("latency", 0.001)
        }),
    ]
}

/// Returns a region whose store has a fault: a `set` reports its end before it begins.
pub(super) fn fault() -> Subject {
    Subject::new("late_store", || RegionConfig::new(MEMORY).wrap_in(Delayed::reporting_early))
}

/// Returns the same region, whose calls block and pause at random.
fn offloaded(config: RegionConfig) -> RegionConfig {
    config.wrap_in(Offloaded)
}

/// A proxy whose calls take a random time, and count as blocking.
#[derive(Debug)]
struct Offloaded(Arc<dyn CacheBackend>);

/// Pauses before and after `call`. Any thread for blocking calls may make it.
fn around<R>(call: impl FnOnce() -> R) -> R {
    set_pace(moment(), Duration::from_micros(300));
    pause(1);
    let result = call();
    pause(1);
    result
}

impl ProxyBackend for Offloaded {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.0
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities().with_immediate(false)
    }

    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        around(|| self.0.get(key))
    }

    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        around(|| self.0.set(key, value, options))
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        around(|| self.0.delete(key))
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        around(|| self.0.get_multi(keys))
    }

    fn set_multi(&self, entries: Vec<Entry>) -> Result<(), BackendError> {
        around(|| self.0.set_multi(entries))
    }

    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        around(|| self.0.delete_multi(keys))
    }
}
