//! The asynchronous calls of [`CacheRegion`].

use std::fmt;

use super::async_calls::{Look, create_fallible, create_plain};
use super::cache_region::CacheRegion;
use super::plain_value::PlainValue;
use crate::created::Aged;
use crate::error::{CreateError, RegionError};
use crate::value::CacheValue;

/// # Asynchronous calls
///
/// These are the same calls for tasks of an async runtime. They use the same keys, values, and locks. A task and a thread
/// that request one key share one creation. No call blocks the thread that polls it, except a read of LMDB whose pages are
/// not in memory:
///
/// * A backend that never blocks, such as the one in memory, is called by the task. A hit ends at the first poll and
///   allocates nothing.
/// * A backend with asynchronous calls is awaited.
/// * Any other backend is called on other threads, at most 64 at a time for each store, and 64 more that wait for mutexes.
///   A call that gets no thread within 30 seconds fails.
///
/// Any runtime will do. See [`RegionConfig::runtime`](crate::RegionConfig::runtime).
///
/// **Cancellation.** All futures may be dropped at any time.
/// * A caller that waits for another one leaves no trace.
/// * If the caller that creates is dropped, its creator is dropped with it, and one of those that wait creates, at once. A
///   mutex of the backend is released in the background. To let a creation go on without its caller, use
///   [`detach`](crate::CallOptions::detach).
/// * A `set` or `delete` that began may or may not take effect. A created value that is being stored by then will be.
impl CacheRegion {
    /// Returns the value of `key`, or `None` if it is missing, stale, or invalidated. See [`get`](Self::get).
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub async fn get_async<T: CacheValue>(&self, key: &str) -> Result<Option<T>, RegionError> {
        self.options().get_async(key).await
    }

    /// Returns the values of many keys, in the order of the keys. See [`get_multi`](Self::get_multi).
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub async fn get_multi_async<T: CacheValue>(
        &self,
        keys: &[impl AsRef<str>],
    ) -> Result<Vec<Option<T>>, RegionError> {
        self.options().get_multi_async(keys).await
    }

    /// Returns the value of `key` with its creation time and age. See [`get_value_metadata`](Self::get_value_metadata).
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub async fn get_value_metadata_async<T: CacheValue>(
        &self,
        key: &str,
    ) -> Result<Option<Aged<T>>, RegionError> {
        self.options().get_value_metadata_async(key).await
    }

    /// Stores `value` under `key`. See [`set`](Self::set).
    ///
    /// # Errors
    /// See [`set`](Self::set).
    pub async fn set_async<T: CacheValue>(&self, key: &str, value: T) -> Result<(), RegionError> {
        self.options().set_async(key, value).await
    }

    /// Stores many values in one call of the backend. See [`set_multi`](Self::set_multi).
    ///
    /// # Errors
    /// See [`set_multi`](Self::set_multi).
    pub async fn set_multi_async<K: AsRef<str>, T: CacheValue>(
        &self,
        values: impl IntoIterator<Item = (K, T)>,
    ) -> Result<(), RegionError> {
        self.options().set_multi_async(values).await
    }

    /// Deletes `key`. See [`delete`](Self::delete).
    ///
    /// # Errors
    /// See [`delete`](Self::delete).
    pub async fn delete_async(&self, key: &str) -> Result<(), RegionError> {
        self.options().delete_async(key).await
    }

    /// Deletes many keys in one call of the backend. See [`delete_multi`](Self::delete_multi).
    ///
    /// # Errors
    /// See [`delete_multi`](Self::delete_multi).
    pub async fn delete_multi_async(&self, keys: &[impl AsRef<str>]) -> Result<(), RegionError> {
        self.options().delete_multi_async(keys).await
    }

    /// Returns the value of `key`, awaiting `creator` if it is missing or stale. See [`get_or_create`](Self::get_or_create).
    ///
    /// ```
    /// # fn main() -> Result<(), dogpile::RegionError> { smol::block_on(run()) }
    /// # async fn run() -> Result<(), dogpile::RegionError> {
    /// use dogpile::{CacheRegion, RegionConfig};
    ///
    /// let region = CacheRegion::new("users");
    /// region.configure(RegionConfig::new("dogpile.cache.memory"))?;
    /// let user = 1;
    /// let name = region.get_or_create_async("user:1", async || format!("user {user}")).await?;
    /// assert_eq!(name, "user 1");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The future is `Send` if `creator` and its future are.
    ///
    /// # Errors
    /// See [`get_or_create`](Self::get_or_create).
    pub async fn get_or_create_async<T, Kind, Fut>(
        &self,
        key: &str,
        creator: impl FnOnce() -> Fut,
    ) -> Result<T, RegionError>
    where
        T: CacheValue + PlainValue<Kind>,
        Fut: Future<Output = T>,
    {
        let look = match self.options().creating().look(key)? {
            Look::Fresh(value) => return Ok(value),
            look => look,
        };
        create_plain(self.options(), look, key, creator).await
    }

    /// Returns the value of `key`, awaiting a creator that may fail. See [`try_get_or_create`](Self::try_get_or_create).
    ///
    /// # Errors
    /// See [`try_get_or_create`](Self::try_get_or_create).
    pub async fn try_get_or_create_async<T, E, Fut>(
        &self,
        key: &str,
        creator: impl FnOnce() -> Fut,
    ) -> Result<T, CreateError<E>>
    where
        T: CacheValue,
        E: fmt::Display,
        Fut: Future<Output = Result<T, E>>,
    {
        let look = match self.options().creating().look(key)? {
            Look::Fresh(value) => return Ok(value),
            look => look,
        };
        create_fallible(self.options(), look, key, creator).await
    }

    /// Returns the values of many keys, awaiting `creator` for those that are missing or stale. See
    /// [`get_or_create_multi`](Self::get_or_create_multi). The creator gets owned keys.
    ///
    /// # Errors
    /// See [`get_or_create_multi`](Self::get_or_create_multi).
    pub async fn get_or_create_multi_async<T, Kind, Fut>(
        &self,
        keys: &[impl AsRef<str>],
        creator: impl FnMut(Vec<String>) -> Fut,
    ) -> Result<Vec<T>, RegionError>
    where
        T: CacheValue + PlainValue<Kind>,
        Fut: Future<Output = Vec<T>>,
    {
        self.options().get_or_create_multi_async(keys, creator).await
    }

    /// Returns the values of many keys, awaiting a creator that may fail. See
    /// [`try_get_or_create_multi`](Self::try_get_or_create_multi). The creator gets owned keys.
    ///
    /// # Errors
    /// See [`try_get_or_create_multi`](Self::try_get_or_create_multi).
    pub async fn try_get_or_create_multi_async<T, E, Fut>(
        &self,
        keys: &[impl AsRef<str>],
        creator: impl FnMut(Vec<String>) -> Fut,
    ) -> Result<Vec<T>, CreateError<E>>
    where
        T: CacheValue,
        E: fmt::Display,
        Fut: Future<Output = Result<Vec<T>, E>>,
    {
        self.options().try_get_or_create_multi_async(keys, creator).await
    }

    /// Returns whether `key` is being created, as [`key_is_locked`](Self::key_is_locked) does.
    ///
    /// A mutex is checked on another thread, even if the backend has asynchronous calls.
    ///
    /// # Errors
    /// See [`key_is_locked`](Self::key_is_locked).
    pub async fn key_is_locked_async(&self, key: &str) -> Result<bool, RegionError> {
        self.options().key_is_locked_async(key).await
    }
}
