//! `acme.shelf`: values in a map.

use std::{collections::HashMap, sync::Mutex};

use dogpile_sdk::{BackendError, CacheBackend, CachedValue, NoArguments, StoreOptions};

/// A backend that keeps values in a map. A panic elsewhere under its lock leaves the map whole.
#[derive(Debug, Default)]
pub struct Shelf(Mutex<HashMap<String, CachedValue>>);

impl CacheBackend for Shelf {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        Ok(self.0.lock().unwrap_or_else(|e| e.into_inner()).get(key).cloned())
    }
    fn set(&self, key: &str, value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).insert(key.to_owned(), value);
        Ok(())
    }
    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).remove(key);
        Ok(())
    }
}

dogpile_sdk::register_backend! {
    name: "acme.shelf",
    config: NoArguments,
    build: |_| Ok::<_, BackendError>(Shelf::default()),
}
