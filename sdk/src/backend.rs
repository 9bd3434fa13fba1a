//! [`CacheBackend`]: a store of cached values.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::BackendError;
use crate::mutex::CacheMutex;
use crate::value::CachedValue;

/// A store of cached values, as a region sees it.
///
/// Source: dogpile.cache `api.py`, `CacheBackend`.
///
/// # For implementors
/// Only `get`, `set` and `delete` are required. Override the `_multi` forms where they save round trips. A
/// store of bytes implements [`BytesBackend`](crate::BytesBackend) instead. Values are given back as they were
/// stored, metadata included; a store may drop a value at any time. Errors are for a store that fails: what is
/// not there is `Ok(None)`, and deleting it is fine.
pub trait CacheBackend: fmt::Debug + Send + Sync + 'static {
    /// Reads what is stored under `key`; `None` when nothing is.
    ///
    /// # Errors
    /// If the store fails.
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError>;

    /// Stores `value` under `key`, in place of what was there.
    ///
    /// # Errors
    /// If the store fails, or cannot take the key or the value.
    fn set(&self, key: &str, value: CachedValue) -> Result<(), BackendError>;

    /// Removes what is stored under `key`, if anything is.
    ///
    /// # Errors
    /// If the store fails.
    fn delete(&self, key: &str) -> Result<(), BackendError>;

    /// Reads many keys; answers one value or `None` for each, in the order asked.
    ///
    /// # Errors
    /// If the store fails.
    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    /// Stores many values.
    ///
    /// # Errors
    /// If the store fails; some of the values may have been stored.
    fn set_multi(&self, entries: Vec<(String, CachedValue)>) -> Result<(), BackendError> {
        entries.into_iter().try_for_each(|(key, value)| self.set(&key, value))
    }

    /// Removes many keys.
    ///
    /// # Errors
    /// If the store fails; some of the keys may have been removed.
    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        keys.iter().try_for_each(|key| self.delete(key))
    }

    /// The mutex for `key`, if the backend has mutexes of its own, shared with other processes. `None`, the
    /// default, leaves the region to its in-process lock. Asked for at each creation, never on a hit.
    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        let _ = key;
        None
    }

    /// The key mangler to use where the region names none. Default: none.
    fn key_mangler(&self) -> Option<KeyMangler> {
        None
    }

    /// The name of the serializer to use where the region names none. `None`, the default, stores host values as
    /// they are, as [`Payload::Object`](crate::Payload::Object).
    fn default_serializer(&self) -> Option<String> {
        None
    }

    /// Whether the backend's mutexes may time out while they are held, so that two creators may overlap.
    /// Default: no.
    fn has_lock_timeout(&self) -> bool {
        false
    }

    /// A number shared by all backends over one store in this process, so that their regions share the
    /// in-process lock too. Default: none, each backend for itself.
    fn lock_scope(&self) -> Option<u64> {
        None
    }

    /// What the store can do, and its limits. Asked for when a region is configured.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }
}

const _: fn(&dyn CacheBackend) = |_| {};

/// Turns a key into the one that is stored under.
#[derive(Clone)]
pub struct KeyMangler(Arc<dyn Fn(&str) -> String + Send + Sync>);

impl KeyMangler {
    /// A key mangler that calls `mangle`, which must give one answer for one key, always.
    pub fn new(mangle: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        KeyMangler(Arc::new(mangle))
    }

    /// What `key` is stored under.
    pub fn mangle(&self, key: &str) -> String {
        (self.0)(key)
    }
}

impl fmt::Debug for KeyMangler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyMangler")
    }
}

/// What a store can do, and its limits. Start from the default and change what differs.
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
    /// Whether the store keeps anything. Where it does not, creators run side by side. Default: true.
    pub stores: bool,
    /// The longest key in bytes. Default: no limit.
    pub max_key_bytes: Option<usize>,
    /// Which bytes a key may have. Default: any.
    pub key_bytes: KeyBytes,
    /// The largest serialised value in bytes. Default: no limit.
    pub max_value_bytes: Option<u64>,
    /// Whether the store drops values by itself after a time. Default: no.
    pub native_expiry: bool,
    /// Whether the `_multi` calls save round trips. Default: no.
    pub native_batch: bool,
}

/// Which bytes a key may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum KeyBytes {
    /// Any.
    #[default]
    Any,
    /// No blank and no control character, as in memcached.
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
    /// A store that keeps nothing.
    #[must_use]
    pub fn without_storage(mut self) -> Self {
        self.stores = false;
        self
    }

    /// Keys of at most `bytes`.
    #[must_use]
    pub fn with_key_limit(mut self, bytes: usize) -> Self {
        self.max_key_bytes = Some(bytes);
        self
    }

    /// Keys of these bytes only.
    #[must_use]
    pub fn with_key_bytes(mut self, key_bytes: KeyBytes) -> Self {
        self.key_bytes = key_bytes;
        self
    }

    /// Serialised values of at most `bytes`.
    #[must_use]
    pub fn with_value_limit(mut self, bytes: u64) -> Self {
        self.max_value_bytes = Some(bytes);
        self
    }

    /// A store that drops values by itself after a time.
    #[must_use]
    pub fn with_native_expiry(mut self) -> Self {
        self.native_expiry = true;
        self
    }

    /// A store whose `_multi` calls save round trips.
    #[must_use]
    pub fn with_native_batch(mut self) -> Self {
        self.native_batch = true;
        self
    }

    /// Whether the store can take `key`.
    pub fn admits_key(&self, key: &str) -> bool {
        let fits = self.max_key_bytes.is_none_or(|limit| key.len() <= limit);
        let clean = match self.key_bytes {
            KeyBytes::Any => true,
            KeyBytes::NoBlanks => !key.chars().any(|c| c.is_whitespace() || c.is_control()),
        };
        fits && clean
    }
}
