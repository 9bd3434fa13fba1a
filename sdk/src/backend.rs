//! [`CacheBackend`]: a store of cached values.

// Source: dogpile.cache `api.py`, `CacheBackend`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::BackendError;
use crate::mutex::CacheMutex;
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

    /// Stores `value` under `key`, replacing any previous value.
    ///
    /// # Errors
    /// If the store fails, or does not accept the key or the value.
    fn set(&self, key: &str, value: CachedValue) -> Result<(), BackendError>;

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

    /// Stores many values.
    ///
    /// # Errors
    /// If the store fails. Some of the values may have been stored.
    fn set_multi(&self, entries: Vec<(String, CachedValue)>) -> Result<(), BackendError> {
        entries.into_iter().try_for_each(|(key, value)| self.set(&key, value))
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

    /// Returns the name of the serializer to use if the region names none.
    ///
    /// With `None`, the default, values are stored unserialized, as [`Payload::Object`](crate::Payload::Object).
    fn default_serializer(&self) -> Option<String> {
        None
    }

    /// Returns whether a held mutex can expire, so that two creators may overlap. The default is `false`.
    fn has_lock_timeout(&self) -> bool {
        false
    }

    /// Returns a string that all backends over one store in this process share.
    ///
    /// Regions over one store then wait for each other's creators. The string is readable, such as
    /// `redis://host:6379/0` or `file:/var/cache/pages.db`, and contains no password. Regions ask for it when they are
    /// configured, and never on a hit. The default is `None`: each backend instance is a store of its own.
    fn scope(&self) -> Option<String> {
        None
    }

    /// Returns the key under which the bottom store keeps `key`.
    ///
    /// A region passes a mangled key. Creators of two regions exclude each other if the regions have one
    /// [`scope`](Self::scope) and one store key. The default is `key` itself, which is right for every backend that is
    /// not a proxy. A proxy that renames keys overrides it. It must return one key for one key, and is never called on
    /// a hit.
    fn store_key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        Cow::Borrowed(key)
    }

    /// Returns the features and limits of the store. Regions ask for them when they are configured.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
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

/// The features and limits of a store. Start from the default and change what differs.
///
/// ```
/// use dogpile_sdk::{Capabilities, KeyBytes};
///
/// let capabilities =
///     Capabilities::default().with_key_limit(250).with_key_bytes(KeyBytes::NoBlanks).with_native_expiry();
/// assert_eq!(capabilities.max_key_bytes, Some(250));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Capabilities {
    /// Whether the store keeps values. If it does not, creators run side by side. Default: true.
    pub stores: bool,
    /// The length of the longest key, in bytes. Default: no limit.
    pub max_key_bytes: Option<usize>,
    /// The bytes that a key may contain. Default: any.
    pub key_bytes: KeyBytes,
    /// The size of the largest serialized value, in bytes. Default: no limit.
    pub max_value_bytes: Option<u64>,
    /// Whether the store drops values by itself after a time. Default: false.
    pub native_expiry: bool,
    /// Whether the `_multi` calls save round trips. Default: false.
    pub native_batch: bool,
}

/// The bytes that a key may contain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum KeyBytes {
    /// Any bytes.
    #[default]
    Any,
    /// No whitespace and no control characters, as in memcached.
    NoBlanks,
}

impl Default for Capabilities {
    fn default() -> Self {
        Capabilities {
            stores: true,
            max_key_bytes: None,
            key_bytes: KeyBytes::Any,
            max_value_bytes: None,
            native_expiry: false,
            native_batch: false,
        }
    }
}

impl Capabilities {
    /// Sets that the store keeps nothing.
    #[must_use]
    pub fn without_storage(mut self) -> Self {
        self.stores = false;
        self
    }

    /// Sets the length of the longest key, in bytes.
    #[must_use]
    pub fn with_key_limit(mut self, bytes: usize) -> Self {
        self.max_key_bytes = Some(bytes);
        self
    }

    /// Sets the bytes that a key may contain.
    #[must_use]
    pub fn with_key_bytes(mut self, key_bytes: KeyBytes) -> Self {
        self.key_bytes = key_bytes;
        self
    }

    /// Sets the size of the largest serialized value, in bytes.
    #[must_use]
    pub fn with_value_limit(mut self, bytes: u64) -> Self {
        self.max_value_bytes = Some(bytes);
        self
    }

    /// Sets that the store drops values by itself after a time.
    #[must_use]
    pub fn with_native_expiry(mut self) -> Self {
        self.native_expiry = true;
        self
    }

    /// Sets that the `_multi` calls save round trips.
    #[must_use]
    pub fn with_native_batch(mut self) -> Self {
        self.native_batch = true;
        self
    }

    /// Returns whether the store accepts `key`.
    pub fn admits_key(&self, key: &str) -> bool {
        let fits = self.max_key_bytes.is_none_or(|limit| key.len() <= limit);
        let clean = match self.key_bytes {
            KeyBytes::Any => true,
            KeyBytes::NoBlanks => !key.chars().any(|c| c.is_whitespace() || c.is_control()),
        };
        fits && clean
    }
}
