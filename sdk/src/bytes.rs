//! [`BytesBackend`]: a store of bytes, and the adapter that makes a [`CacheBackend`] of it.

// Source: dogpile.cache `api.py`, `BytesBackend`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::backend::{CacheBackend, Capabilities, KeyMangler};
use crate::envelope;
use crate::error::{BackendError, ErrorKind};
use crate::mutex::CacheMutex;
use crate::value::{Bytes, CachedValue, Payload};

/// A store of bytes. [`Enveloped`] makes a [`CacheBackend`] of it; `register_backend!` does so by itself.
///
/// # For implementors
/// The rules and the defaults of [`CacheBackend`] hold here too. The bytes are opaque: return exactly what was stored.
/// Return foreign bytes as well; the caller decides whether they are readable.
pub trait BytesBackend: fmt::Debug + Send + Sync + 'static {
    /// Returns the bytes stored under `key`, or `None` if the key is missing.
    ///
    /// # Errors
    /// If the store fails.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BackendError>;

    /// Stores `value` under `key`, replacing any previous value.
    ///
    /// # Errors
    /// If the store fails, or does not accept the key or the value.
    fn set(&self, key: &str, value: &[u8]) -> Result<(), BackendError>;

    /// Deletes the value stored under `key`, if there is one.
    ///
    /// # Errors
    /// If the store fails.
    fn delete(&self, key: &str) -> Result<(), BackendError>;

    /// Returns one entry per key, in order; `None` marks a missing key.
    ///
    /// # Errors
    /// If the store fails.
    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, BackendError> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    /// Stores many values.
    ///
    /// # Errors
    /// If the store fails. Some of the values may have been stored.
    fn set_multi(&self, entries: &[(&str, &[u8])]) -> Result<(), BackendError> {
        entries.iter().try_for_each(|(key, value)| self.set(key, value))
    }

    /// Deletes many keys.
    ///
    /// # Errors
    /// If the store fails. Some of the keys may have been deleted.
    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        keys.iter().try_for_each(|key| self.delete(key))
    }

    /// See [`CacheBackend::get_mutex`].
    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        let _ = key;
        None
    }

    /// See [`CacheBackend::key_mangler`].
    fn key_mangler(&self) -> Option<KeyMangler> {
        None
    }

    /// Returns the name of the serializer to use if the region names none. The default is `json`.
    fn default_serializer(&self) -> String {
        "json".to_owned()
    }

    /// See [`CacheBackend::has_lock_timeout`].
    fn has_lock_timeout(&self) -> bool {
        false
    }

    /// See [`CacheBackend::scope`].
    fn scope(&self) -> Option<String> {
        None
    }

    /// See [`CacheBackend::store_key`].
    fn store_key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        Cow::Borrowed(key)
    }

    /// See [`CacheBackend::capabilities`].
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }
}

const _: fn(&dyn BytesBackend) = |_| {};

/// A [`BytesBackend`] as a [`CacheBackend`]: writes and reads the [envelope](crate::envelope).
///
/// Unreadable bytes are a miss, never an error.
pub struct Enveloped<B>(B);

impl<B: BytesBackend> Enveloped<B> {
    /// Creates the adapter around `backend`.
    pub fn new(backend: B) -> Self {
        Enveloped(backend)
    }
}

impl<B: fmt::Debug> fmt::Debug for Enveloped<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn open(stored: Vec<u8>) -> Option<CachedValue> {
    let stored = Bytes::from(stored);
    let (metadata, start) = envelope::read(&stored)?;
    Some(CachedValue { payload: Payload::Bytes(stored.slice(start..)), metadata })
}

fn seal(key: &str, value: &CachedValue) -> Result<Vec<u8>, BackendError> {
    let Payload::Bytes(payload) = &value.payload else {
        let error = BackendError::new(
            ErrorKind::InvalidValue,
            "cannot store an object: this backend stores bytes; configure a serializer for the region",
        );
        return Err(error.during("set").for_key(key));
    };
    Ok(envelope::write(value.metadata, payload))
}

impl<B: BytesBackend> CacheBackend for Enveloped<B> {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        Ok(self.0.get(key)?.and_then(open))
    }

    fn set(&self, key: &str, value: CachedValue) -> Result<(), BackendError> {
        self.0.set(key, &seal(key, &value)?)
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.0.delete(key)
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        Ok(self.0.get_multi(keys)?.into_iter().map(|stored| stored.and_then(open)).collect())
    }

    fn set_multi(&self, entries: Vec<(String, CachedValue)>) -> Result<(), BackendError> {
        let sealed: Vec<(&str, Vec<u8>)> = entries
            .iter()
            .map(|(key, value)| Ok((key.as_str(), seal(key, value)?)))
            .collect::<Result<_, BackendError>>()?;
        let borrowed: Vec<(&str, &[u8])> =
            sealed.iter().map(|(key, value)| (*key, value.as_slice())).collect();
        self.0.set_multi(&borrowed)
    }

    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        self.0.delete_multi(keys)
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        self.0.get_mutex(key)
    }

    fn key_mangler(&self) -> Option<KeyMangler> {
        self.0.key_mangler()
    }

    fn default_serializer(&self) -> Option<String> {
        Some(self.0.default_serializer())
    }

    fn has_lock_timeout(&self) -> bool {
        self.0.has_lock_timeout()
    }

    fn scope(&self) -> Option<String> {
        self.0.scope()
    }

    fn store_key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        self.0.store_key(key)
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
}
