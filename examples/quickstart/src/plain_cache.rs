//! The cache that most programs begin with: a map under a lock.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// A map under a lock. Nothing keeps its callers from creating the same value at the same time.
#[derive(Default)]
pub(crate) struct PlainCache(Mutex<HashMap<String, u32>>);

impl PlainCache {
    /// Returns the value of `key`, creating it if it is missing.
    pub(crate) fn get_or_create(&self, key: &str, create: impl FnOnce() -> u32) -> u32 {
        if let Some(value) = self.lock().get(key) {
            return *value;
        }
        let value = create();
        self.lock().insert(key.to_owned(), value);
        value
    }

    /// Removes the value of `key`, as an expiration time does.
    pub(crate) fn expire(&self, key: &str) {
        self.lock().remove(key);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
