//! [`Forgetful`]: a backend that claims to store values, and keeps none.

use std::fmt;

use dogpile::sdk::{BackendError, CacheBackend, CachedValue, StoreOptions};

/// A backend that claims to store values, and keeps none. Its `Debug` output shows what it contains.
#[derive(Debug)]
pub struct Forgetful<T>(
    /// What it was built with.
    pub T,
);

impl<T: fmt::Debug + Send + Sync + 'static> CacheBackend for Forgetful<T> {
    fn get(&self, _key: &str) -> Result<Option<CachedValue>, BackendError> {
        Ok(None)
    }

    fn set(&self, _key: &str, _value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
        Ok(())
    }

    fn delete(&self, _key: &str) -> Result<(), BackendError> {
        Ok(())
    }
}
