//! [`CacheMap`]: a map of the caller's, for a memory backend to work on.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Mutex, PoisonError, RwLock};

use dogpile_sdk::CachedValue;

/// A map of the caller's, which takes the place of the backend's own; see
/// [`MemoryBackend::with_map`](crate::MemoryBackend::with_map).
///
/// Implemented for a `HashMap<String, CachedValue>` behind a `Mutex` or an `RwLock` of the standard library. A
/// panic that poisoned the lock is no reason to stop: the map is still whole.
///
/// Source: dogpile.cache `backends/memory.py`, the argument `cache_dict`.
///
/// # For implementors
/// What one thread inserted is found by all others. The map may drop entries at any time.
pub trait CacheMap: Send + Sync + 'static {
    /// What is kept under `key`.
    fn get(&self, key: &str) -> Option<CachedValue>;

    /// Keeps `value` under `key`, in place of what was there.
    fn insert(&self, key: &str, value: CachedValue);

    /// Drops what is kept under `key`, if anything is.
    fn remove(&self, key: &str);
}

const _: fn(&dyn CacheMap) = |_| {};

impl<S: BuildHasher + Send + 'static> CacheMap for Mutex<HashMap<String, CachedValue, S>> {
    fn get(&self, key: &str) -> Option<CachedValue> {
        self.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn insert(&self, key: &str, value: CachedValue) {
        // Bound, so that the lock is free again before the old value is dropped.
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
