//! A proxy that pauses around each call of the store, and mutexes that are slow.

use std::sync::Arc;
use std::time::Instant;

use dogpile::sdk::{BackendError, CacheBackend, CacheMutex, CachedValue, Entry, ProxyBackend, StoreOptions};
use dogpile_tests::scripted::{Scripted, ScriptedMutex};

use super::random::pause;
use super::recorder::at_work;

/// Pauses before and after each call, and records until when writes were in the store.
#[derive(Debug)]
pub(crate) struct Paused(Arc<dyn CacheBackend>);

impl Paused {
    /// Wraps `backend`.
    pub(crate) fn new(backend: Arc<dyn CacheBackend>) -> Self {
        Paused(backend)
    }
}

fn around<R>(call: impl FnOnce() -> R) -> R {
    pause(1);
    let result = call();
    pause(1);
    at_work();
    result
}

impl ProxyBackend for Paused {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.0
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

/// Gives mutexes that are acquired slowly to a store without mutexes.
#[derive(Debug)]
pub(crate) struct SlowMutexes {
    backend: Arc<dyn CacheBackend>,
    mutexes: Arc<Scripted>,
}

impl SlowMutexes {
    /// Wraps `backend`.
    pub(crate) fn new(backend: Arc<dyn CacheBackend>) -> Self {
        SlowMutexes { backend, mutexes: Scripted::with_mutexes() }
    }
}

impl ProxyBackend for SlowMutexes {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.backend
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        Some(Arc::new(SlowMutex(self.mutexes.mutex(key))))
    }
}

#[derive(Debug)]
struct SlowMutex(Arc<ScriptedMutex>);

impl CacheMutex for SlowMutex {
    fn try_acquire(&self) -> Result<bool, BackendError> {
        pause(5);
        let acquired = self.0.try_acquire();
        pause(5);
        acquired
    }

    fn acquire_until(&self, deadline: Instant) -> Result<bool, BackendError> {
        pause(5);
        let acquired = self.0.acquire_until(deadline);
        pause(5);
        acquired
    }

    fn release(&self) -> Result<(), BackendError> {
        pause(1);
        self.0.release()
    }

    fn locked(&self) -> Result<bool, BackendError> {
        self.0.locked()
    }
}
