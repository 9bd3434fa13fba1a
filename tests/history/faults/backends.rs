//! Proxies with faults.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dogpile::CacheValue;
use dogpile::sdk::{
    BackendError, CacheBackend, CachedValue, Capabilities, Entry, Payload, ProxyBackend, StoreOptions,
};
use dogpile_tests::threads::Signal;
use parking_lot::Mutex;

use super::super::worker::is_created;

type Stored = Result<(), BackendError>;
type Found = Result<Option<CachedValue>, BackendError>;

/// Returns whether a creator made the stored value. The store keeps objects.
fn was_created(value: &CachedValue) -> bool {
    match &value.payload {
        Payload::Object(object) => u64::from_object(object).is_some_and(is_created),
        Payload::Bytes(_) => false,
    }
}

/// E2: stores each created value once more a millisecond later, whatever was written meanwhile.
#[derive(Debug)]
pub(super) struct Replaying {
    backend: Arc<dyn CacheBackend>,
    late: Mutex<Vec<(Instant, String, CachedValue)>>,
}

impl Replaying {
    pub(super) fn new(backend: Arc<dyn CacheBackend>) -> Self {
        Replaying { backend, late: Mutex::default() }
    }

    fn keep(&self, key: &str, value: &CachedValue) {
        if was_created(value) {
            let due = Instant::now() + Duration::from_millis(1);
            self.late.lock().push((due, key.to_owned(), value.clone()));
        }
    }

    /// Stores the values that are due. Calls come all the time, so no waiting thread is needed.
    fn replay(&self) -> Stored {
        let mut late = self.late.lock();
        let now = Instant::now();
        let due: Vec<_> = late.extract_if(.., |(due, _, _)| *due <= now).collect();
        due.into_iter().try_for_each(|(_, key, value)| self.backend.set(&key, value, &StoreOptions::new()))
    }
}

impl ProxyBackend for Replaying {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.backend
    }

    fn get(&self, key: &str) -> Found {
        self.replay()?;
        self.backend.get(key)
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        self.replay()?;
        self.backend.get_multi(keys)
    }

    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Stored {
        self.keep(key, &value);
        self.backend.set(key, value, options)
    }

    fn set_multi(&self, entries: Vec<Entry>) -> Stored {
        entries.iter().for_each(|entry| self.keep(&entry.key, &entry.value));
        self.backend.set_multi(entries)
    }
}

/// E10: drops a created value if its key was deleted within the last milliseconds.
#[derive(Debug)]
pub(super) struct Forgetful {
    backend: Arc<dyn CacheBackend>,
    deleted: Mutex<HashMap<String, Instant>>,
}

impl Forgetful {
    pub(super) fn new(backend: Arc<dyn CacheBackend>) -> Self {
        Forgetful { backend, deleted: Mutex::default() }
    }

    fn drops(&self, key: &str, value: &CachedValue) -> bool {
        let deleted = self.deleted.lock().get(key).copied();
        was_created(value) && deleted.is_some_and(|deleted| deleted.elapsed() < Duration::from_millis(3))
    }

    fn note(&self, key: &str) {
        self.deleted.lock().insert(key.to_owned(), Instant::now());
    }
}

impl ProxyBackend for Forgetful {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.backend
    }

    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Stored {
        if self.drops(key, &value) { Ok(()) } else { self.backend.set(key, value, options) }
    }

    fn set_multi(&self, mut entries: Vec<Entry>) -> Stored {
        entries.retain(|entry| !self.drops(&entry.key, &entry.value));
        self.backend.set_multi(entries)
    }

    fn delete(&self, key: &str) -> Stored {
        self.note(key);
        self.backend.delete(key)
    }

    fn delete_multi(&self, keys: &[&str]) -> Stored {
        keys.iter().for_each(|key| self.note(key));
        self.backend.delete_multi(keys)
    }
}

/// Claims to store nothing, so that creators need not exclude each other.
#[derive(Debug)]
pub(super) struct CreatesSideBySide(pub(super) Arc<dyn CacheBackend>);

impl ProxyBackend for CreatesSideBySide {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.0
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities().without_storage()
    }
}

/// Returns the value of key 1 to calls that request key 0.
#[derive(Debug)]
pub(super) struct Swapped(pub(super) Arc<dyn CacheBackend>);

impl ProxyBackend for Swapped {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.0
    }

    fn get(&self, key: &str) -> Found {
        match key.strip_suffix("-0") {
            Some(round) => self.0.get(&format!("{round}-1")),
            None => self.0.get(key),
        }
    }
}

/// Returns from no `delete` before the test is over.
#[derive(Debug)]
pub(super) struct Frozen {
    backend: Arc<dyn CacheBackend>,
    thaw: Signal,
}

impl Frozen {
    pub(super) fn new(backend: Arc<dyn CacheBackend>, thaw: Signal) -> Self {
        Frozen { backend, thaw }
    }
}

impl ProxyBackend for Frozen {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.backend
    }

    fn delete(&self, key: &str) -> Stored {
        self.thaw.wait();
        self.backend.delete(key)
    }
}
