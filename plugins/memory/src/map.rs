//! [`CacheMap`]: the caller's own map, as the store of a memory backend.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Mutex, PoisonError, RwLock};

use dogpile_sdk::CachedValue;

/// The caller's own map, which replaces the map of a backend.
///
/// See [`MemoryBackend::with_map`](crate::MemoryBackend::with_map). The trait is implemented for a
/// `HashMap<String, CachedValue>` behind a `Mutex` or an `RwLock` of the standard library. Poison is ignored, because a
/// panic leaves the map valid.
///
/// # For implementors
/// An entry that one thread inserted is visible to all others. The map may drop entries at any time.
// Source: dogpile.cache `backends/memory.py`, the argument `cache_dict`.
pub trait CacheMap: Send + Sync + 'static {
    /// Returns the value of `key`, or `None` if the key is missing.
    fn get(&self, key: &str) -> Option<CachedValue>;

    /// Stores `value` under `key`, replacing an earlier value.
    fn insert(&self, key: &str, value: CachedValue);

    /// Removes the value of `key`, if there is one.
    fn remove(&self, key: &str);
}

const _: fn(&dyn CacheMap) = |_| {};

impl<S: BuildHasher + Send + 'static> CacheMap for Mutex<HashMap<String, CachedValue, S>> {
    fn get(&self, key: &str) -> Option<CachedValue> {
        self.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn insert(&self, key: &str, value: CachedValue) {
        // Bind the old value, so that the lock is released before the value is dropped.
        let old = self.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), value);
        drop(old);
    }

    fn remove(&self, key: &str) {
        let old = self.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        drop(old);
    }
}

impl<S: BuildHasher + Send + Sync + 'static> CacheMap for RwLock<HashMap<String, CachedValue, S>> {
    fn get(&self, key: &str) -> Option<CachedValue> {
        self.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn insert(&self, key: &str, value: CachedValue) {
        let old = self.write().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), value);
        drop(old);
    }

    fn remove(&self, key: &str) {
        let old = self.write().unwrap_or_else(PoisonError::into_inner).remove(key);
        drop(old);
    }
}
