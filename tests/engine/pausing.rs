//! [`Pausing`]: a proxy that stops in the middle of a write.

use std::sync::Arc;

use dogpile::sdk::{BackendError, CacheBackend, CachedValue, Entry, ProxyBackend, StoreOptions};
use dogpile_tests::threads::Signal;
use parking_lot::Mutex;

/// Where a write stops, and what lets it go on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    pub(crate) reached: Signal,
    pub(crate) go_on: Signal,
}

/// The next write to stop. There is at most one.
pub(crate) type NextStop = Arc<Mutex<Option<Stop>>>;

/// Stops the next write, of any kind, before it reaches the store.
#[derive(Debug)]
pub(crate) struct Pausing {
    pub(crate) next: NextStop,
    pub(crate) proxied: Arc<dyn CacheBackend>,
}

impl Pausing {
    fn pause(&self) {
        let stop = self.next.lock().take();
        if let Some(stop) = stop {
            stop.reached.give();
            stop.go_on.wait();
        }
    }
}

impl ProxyBackend for Pausing {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.proxied
    }

    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        self.pause();
        self.proxied.set(key, value, options)
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.pause();
        self.proxied.delete(key)
    }

    fn set_multi(&self, entries: Vec<Entry>) -> Result<(), BackendError> {
        self.pause();
        self.proxied.set_multi(entries)
    }

    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        self.pause();
        self.proxied.delete_multi(keys)
    }
}
