//! [`Reference`]: a store in memory with every feature, around which proxies are tested.

mod asynchronous;
mod mutex;
mod store;
mod watched;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dogpile_sdk::{
    BackendError, CacheBackend, CacheMutex, CachedValue, Capabilities, Entry, KeyBytes, Operations,
    StoreOptions,
};

use self::asynchronous::Calls;
use self::mutex::KeyMutex;
use self::store::Store;

pub(crate) use self::watched::Watched;

/// A store in memory with every feature that a proxy may hide or break.
///
/// It stores bytes, has mutexes, fences, native expiry, limits for keys and values, reserved keys, and asynchronous calls.
/// [`Setup::proxy`](crate::Setup::proxy) wraps a proxy around it. No call of it blocks, except the wait for a mutex.
#[derive(Clone, Debug)]
pub struct Reference {
    store: Arc<Store>,
    capabilities: Capabilities,
}

impl Reference {
    /// Creates a store without values.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let scope = format!("reference:{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let capabilities = Capabilities::default()
            .with_key_limit(250)
            .with_key_bytes(KeyBytes::NoWhitespace)
            .with_reserved_prefix("_reference:")
            .with_value_limit(4 << 20)
            .with_native_expiry()
            .with_native_batch()
            .with_fencing()
            .with_serializer("json")
            .with_scope(scope);
        Reference { store: Arc::new(Store::new(capabilities.clone())), capabilities }
    }
}

impl Default for Reference {
    fn default() -> Self {
        Reference::new()
    }
}

impl CacheBackend for Reference {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        self.store.get(key)
    }

    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        self.store.set(key, value, options)
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.store.delete(key)
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        keys.iter().map(|key| self.store.get(key)).collect()
    }

    fn set_multi(&self, entries: Vec<Entry>) -> Result<(), BackendError> {
        self.store.set_multi(entries)
    }

    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        keys.iter().try_for_each(|key| self.store.delete(key))
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        Some(KeyMutex::new(Arc::clone(&self.store), key))
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    fn operations(&self) -> Option<Arc<dyn Operations>> {
        Some(Arc::new(Calls(Arc::clone(&self.store))))
    }
}
