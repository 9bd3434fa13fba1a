//! [`Front`]: the blocking or the asynchronous calls of a region, for tests of both.

use dogpile::{CacheRegion, CacheValue, RegionError};

use crate::threads::block_on;

/// The form in which a test makes the calls of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    /// The calls block their thread.
    Blocking,
    /// The calls are awaited. Each thread of the test waits for one at a time.
    Asynchronous,
}

impl Front {
    /// Calls `get`.
    ///
    /// # Errors
    /// See [`CacheRegion::get`].
    pub fn get<T: CacheValue>(self, region: &CacheRegion, key: &str) -> Result<Option<T>, RegionError> {
        match self {
            Front::Blocking => region.get(key),
            Front::Asynchronous => block_on(region.get_async(key)),
        }
    }

    /// Calls `get_multi`.
    ///
    /// # Errors
    /// See [`CacheRegion::get_multi`].
    pub fn get_multi<T: CacheValue>(
        self,
        region: &CacheRegion,
        keys: &[&str],
    ) -> Result<Vec<Option<T>>, RegionError> {
        match self {
            Front::Blocking => region.get_multi(keys),
            Front::Asynchronous => block_on(region.get_multi_async(keys)),
        }
    }

    /// Calls `set`.
    ///
    /// # Errors
    /// See [`CacheRegion::set`].
    pub fn set<T: CacheValue>(self, region: &CacheRegion, key: &str, value: T) -> Result<(), RegionError> {
        match self {
            Front::Blocking => region.set(key, value),
            Front::Asynchronous => block_on(region.set_async(key, value)),
        }
    }

    /// Calls `set_multi`.
    ///
    /// # Errors
    /// See [`CacheRegion::set_multi`].
    pub fn set_multi<T: CacheValue>(
        self,
        region: &CacheRegion,
        values: Vec<(&str, T)>,
    ) -> Result<(), RegionError> {
        match self {
            Front::Blocking => region.set_multi(values),
            Front::Asynchronous => block_on(region.set_multi_async(values)),
        }
    }

    /// Calls `delete`.
    ///
    /// # Errors
    /// See [`CacheRegion::delete`].
    pub fn delete(self, region: &CacheRegion, key: &str) -> Result<(), RegionError> {
        match self {
            Front::Blocking => region.delete(key),
            Front::Asynchronous => block_on(region.delete_async(key)),
        }
    }

    /// Calls `get_or_create` with a creator of a copy of `value`.
    ///
    /// # Errors
    /// See [`CacheRegion::get_or_create`].
    pub fn get_or_create<T: CacheValue + Clone>(
        self,
        region: &CacheRegion,
        key: &str,
        value: &T,
    ) -> Result<T, RegionError> {
        match self {
            Front::Blocking => region.get_or_create(key, || value.clone()),
            Front::Asynchronous => block_on(region.get_or_create_async(key, async || value.clone())),
        }
    }
}
