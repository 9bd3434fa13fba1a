//! [`CacheBackend`]: a store of cached values.

// Source: dogpile.cache `api.py`, `CacheBackend`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::capabilities::Capabilities;
use crate::error::{BackendError, ErrorKind};
use crate::mutex::CacheMutex;
use crate::operations::Operations;
use crate::options::{Entry, StoreOptions};
use crate::value::CachedValue;

/// A store of cached values, as a region sees it.
///
/// # For implementors
/// Only `get`, `set`, and `delete` are required. Override the `_multi` forms where they save round trips. A store of
/// bytes implements [`BytesBackend`](crate::BytesBackend) instead. Return values as they were stored, including their
/// metadata. A store may drop a value at any time. A missing key is `Ok(None)`, and deleting a missing key succeeds. An
/// error means that the store failed.
pub trait CacheBackend: fmt::Debug + Send + Sync + 'static {
    /// Returns the value stored under `key`, or `None` if the key is missing.
    ///
    /// # Errors
    /// If the store fails.
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError>;

    /// Calls `visit` with the value stored under `key`, and returns whether there was one.
    ///
    /// The default calls [`get`](Self::get). Override it only if lending the value is cheaper than cloning it. `visit`
    /// may run foreign code that calls this backend again, so that no lock may be held meanwhile.
    ///
    /// # Errors
    /// If the store fails.
    #[inline]
    fn get_with(&self, key: &str, visit: &mut dyn FnMut(&CachedValue)) -> Result<bool, BackendError> {
        let found = self.get(key)?;
        found.iter().for_each(visit);
        Ok(found.is_some())
    }

    /// Stores `value` under `key`, replacing any previous value. [`StoreOptions`] explains `options`.
    ///
    /// # Errors
    /// If the store fails, or does not accept the key or the value.
    /// [`ErrorKind::Fenced`](crate::ErrorKind::Fenced) if the fence no longer holds.
    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError>;

    /// Deletes the value stored under `key`, if there is one.
    ///
    /// # Errors
    /// If the store fails.
    fn delete(&self, key: &str) -> Result<(), BackendError>;

    /// Returns one entry per key, in order; `None` marks a missing key.
    ///
    /// # Errors
    /// If the store fails.
    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    /// Stores many values, each as [`set`](Self::set) does. If a key occurs twice, the last of its values is stored.
    ///
    /// # Errors
    /// If the store fails. Some of the values may have been stored. [`ErrorKind::Fenced`](crate::ErrorKind::Fenced) if
    /// the fence of a value no longer holds. All values whose fence holds are stored then.
    fn set_multi(&self, entries: Vec<Entry>) -> Result<(), BackendError> {
        let mut fenced = Ok(());
        for Entry { key, value, options } in entries {
            match self.set(&key, value, &options) {
                Err(error) if error.kind() == ErrorKind::Fenced => fenced = Err(error),
                other => other?,
            }
        }
        fenced
    }

    /// Deletes many keys.
    ///
    /// # Errors
    /// If the store fails. Some of the keys may have been deleted.
    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        keys.iter().try_for_each(|key| self.delete(key))
    }

    /// Returns the mutex for `key`, if the backend has mutexes that other processes share.
    ///
    /// With `None`, the default, creators exclude each other within this process only. A region calls this method once
    /// per creation, and never on a hit.
    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        let _ = key;
        None
    }

    /// Returns the key mangler to use if the region names none. The default is `None`.
    fn key_mangler(&self) -> Option<KeyMangler> {
        None
    }

    /// Returns the key under which the bottom store keeps `key`.
    ///
    /// A region passes a mangled key. Creators of two regions exclude each other if the regions have one
    /// [`scope`](Capabilities::scope) and one store key. The default is `key` itself, which is right for every backend
    /// that is not a proxy. A proxy that renames keys overrides it. It must return one key for one key, and is never
    /// called on a hit.
    fn store_key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        Cow::Borrowed(key)
    }

    /// Returns the features and limits of the store. A region calls this once, when it is configured.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// Checks that the store can be reached. The default succeeds.
    ///
    /// # Errors
    /// If the store cannot be reached.
    fn health(&self) -> Result<(), BackendError> {
        Ok(())
    }

    /// Closes connections and files that are not in use. The default does nothing.
    ///
    /// A later call opens them again. Dropping the backend closes them as well.
    ///
    /// # Errors
    /// If closing fails. The backend stays usable.
    fn close(&self) -> Result<(), BackendError> {
        Ok(())
    }

    /// Returns the asynchronous calls of the backend. A region calls this when it is configured.
    ///
    /// With `None`, the default, an asynchronous host runs the blocking calls on threads of its own.
    fn operations(&self) -> Option<Arc<dyn Operations>> {
        None
    }
}

const _: fn(&dyn CacheBackend) = |_| {};

/// A function from a key to the key under which its value is stored.
#[derive(Clone)]
pub struct KeyMangler(Arc<dyn Fn(&str) -> String + Send + Sync>);

impl KeyMangler {
    /// Creates a key mangler from `mangle`, which must be deterministic.
    pub fn new(mangle: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        KeyMangler(Arc::new(mangle))
    }

    /// Returns the mangled form of `key`.
    pub fn mangle(&self, key: &str) -> String {
        (self.0)(key)
    }
}

impl fmt::Debug for KeyMangler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyMangler")
    }
}
