//! [`BytesBackend`]: a store of bytes, and the adapter that makes a [`CacheBackend`] of it.

// Source: dogpile.cache `api.py`, `BytesBackend`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::backend::{CacheBackend, KeyMangler};
use crate::capabilities::Capabilities;
use crate::envelope;
use crate::error::{BackendError, ErrorKind};
use crate::mutex::CacheMutex;
use crate::operations::Operations;
use crate::options::{BytesEntry, Entry, StoreOptions};
use crate::value::CachedValue;

/// A store of bytes. [`Enveloped`] makes a [`CacheBackend`] of it; `register_backend!` does so by itself.
///
/// # For implementors
/// The rules and the defaults of [`CacheBackend`] hold here too, those for duplicates, overlap, threads, and panics
/// included. The bytes are opaque: return exactly what was stored. Return foreign bytes as well; the caller decides
/// whether they are readable. Keys, values, and options are borrowed for the call alone.
pub trait BytesBackend: fmt::Debug + Send + Sync + 'static {
    /// Returns the bytes stored under `key`, or `None` if the key is missing.
    ///
    /// # Errors
    /// If the store fails. Bytes that look damaged are not an error.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BackendError>;

    /// Stores `value` under `key`, replacing any previous value. [`StoreOptions`] explains `options`.
    ///
    /// See [`CacheBackend::set`].
    ///
    /// # Errors
    /// If the store fails, or does not accept the key or the value. [`ErrorKind::Fenced`] if the fence no longer holds.
    fn set(&self, key: &str, value: &[u8], options: &StoreOptions) -> Result<(), BackendError>;

    /// Deletes the value stored under `key`, if there is one.
    ///
    /// # Errors
    /// If the store fails. An error means that the value may still be there.
    fn delete(&self, key: &str) -> Result<(), BackendError>;

    /// Returns one entry per key, in order; `None` marks a missing key.
    ///
    /// A key that occurs twice has two entries. The default reads one key after the other.
    ///
    /// # Errors
    /// If the store fails. Return an error rather than `None` for keys that could not be read.
    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, BackendError> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    /// Stores many values, each as [`set`](Self::set) does. If a key occurs twice, the last of its values is stored.
    ///
    /// See [`CacheBackend::set_multi`].
    ///
    /// # Errors
    /// If the store fails. Some of the values may have been stored. [`ErrorKind::Fenced`] if the fence of a value no
    /// longer holds. All values whose fence holds are stored then.
    fn set_multi(&self, entries: &[BytesEntry<'_>]) -> Result<(), BackendError> {
        let mut fenced = Ok(());
        for BytesEntry { key, value, options } in entries {
            match self.set(key, value, options) {
                Err(error) if error.kind() == ErrorKind::Fenced => fenced = Err(error),
                other => other?,
            }
        }
        fenced
    }

    /// Deletes many keys. A key that occurs twice is deleted, and so is one that is missing.
    ///
    /// The default deletes one key after the other, and stops at the first error.
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

    /// See [`CacheBackend::store_key`].
    fn store_key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        Cow::Borrowed(key)
    }

    /// See [`CacheBackend::capabilities`]. If they name no serializer, regions use `json`.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// See [`CacheBackend::health`].
    ///
    /// # Errors
    /// If the store cannot be reached.
    fn health(&self) -> Result<(), BackendError> {
        Ok(())
    }

    /// See [`CacheBackend::close`].
    ///
    /// # Errors
    /// If closing fails. The backend stays usable.
    fn close(&self) -> Result<(), BackendError> {
        Ok(())
    }

    /// See [`CacheBackend::operations`]. Its values are payloads: write and read their [envelope](crate::envelope)
    /// there.
    fn operations(&self) -> Option<Arc<dyn Operations>> {
        None
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

impl<B: BytesBackend> CacheBackend for Enveloped<B> {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        Ok(self.0.get(key)?.and_then(envelope::open))
    }

    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        self.0.set(key, &envelope::seal(key, &value)?, options)
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.0.delete(key)
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        Ok(self.0.get_multi(keys)?.into_iter().map(|stored| stored.and_then(envelope::open)).collect())
    }

    fn set_multi(&self, entries: Vec<Entry>) -> Result<(), BackendError> {
        let seal = |entry: &Entry| envelope::seal(&entry.key, &entry.value);
        let sealed = entries.iter().map(seal).collect::<Result<Vec<_>, BackendError>>()?;
        let borrow = |(entry, value)| {
            let Entry { key, options, .. }: &Entry = entry;
            let value: &Vec<u8> = value;
            BytesEntry::new(key, value, options)
        };
        let borrowed: Vec<BytesEntry<'_>> = entries.iter().zip(&sealed).map(borrow).collect();
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

    fn store_key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        self.0.store_key(key)
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.0.capabilities();
        capabilities.serializer.get_or_insert_with(|| "json".to_owned());
        capabilities
    }

    fn health(&self) -> Result<(), BackendError> {
        self.0.health()
    }

    fn close(&self) -> Result<(), BackendError> {
        self.0.close()
    }

    fn operations(&self) -> Option<Arc<dyn Operations>> {
        self.0.operations()
    }
}
