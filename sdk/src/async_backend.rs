//! [`AsyncBytesBackend`]: a store of bytes whose calls are `async fn`s.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;

use crate::async_mutex::BoxedMutex;
use crate::backend::KeyMangler;
use crate::capabilities::Capabilities;
use crate::error::{BackendError, ErrorKind};
use crate::options::StoreOptions;

/// A store of bytes whose calls are `async fn`s.
///
/// The trait depends on no executor. `OnTokio` (feature `tokio`) makes a [`CacheBackend`](crate::CacheBackend) of it,
/// with blocking and asynchronous calls.
///
/// ```
/// use std::{collections::HashMap, sync::Mutex};
///
/// use dogpile_sdk::{AsyncBytesBackend, BackendError, StoreOptions};
///
/// #[derive(Debug, Default)]
/// struct Drawer(Mutex<HashMap<String, Vec<u8>>>);
///
/// impl AsyncBytesBackend for Drawer {
///     async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BackendError> {
///         Ok(self.0.lock().unwrap().get(key).cloned())
///     }
///     async fn set(&self, key: &str, value: Vec<u8>, _options: &StoreOptions) -> Result<(), BackendError> {
///         self.0.lock().unwrap().insert(key.to_owned(), value);
///         Ok(())
///     }
///     async fn delete(&self, key: &str) -> Result<(), BackendError> {
///         self.0.lock().unwrap().remove(key);
///         Ok(())
///     }
/// }
/// ```
///
/// # For implementors
/// The rules and the defaults of [`BytesBackend`](crate::BytesBackend) hold here too, those for duplicates and overlap
/// included. In addition:
/// * Write plain `async fn`s. Their futures must be `Send`, so do not hold a guard of `std::sync::Mutex` across an
///   `.await`.
/// * A call may be canceled: its future is then dropped at an `.await`. The next call must still work, so close
///   a connection on which only a part of an exchange has taken place.
/// * Bound each wait, for example for a reply. A caller may wait for the call without a limit of its own.
/// * Do not block the thread. Other calls run on it too.
/// * Many calls run at a time, on all threads of the runtime. One call may move from thread to thread.
/// * Keys and options are borrowed for as long as the future lives. Values are owned.
/// * A panic ends its call alone, as an error of the kind [`ErrorKind::Panicked`]. The backend stays in use.
pub trait AsyncBytesBackend: fmt::Debug + Send + Sync + 'static {
    /// See [`BytesBackend::get`](crate::BytesBackend::get).
    ///
    /// # Errors
    /// If the store fails.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Vec<u8>>, BackendError>> + Send;

    /// See [`BytesBackend::set`](crate::BytesBackend::set).
    ///
    /// # Errors
    /// If the store fails, or does not accept the key or the value. [`ErrorKind::Fenced`] if the fence no longer holds.
    fn set(
        &self,
        key: &str,
        value: Vec<u8>,
        options: &StoreOptions,
    ) -> impl Future<Output = Result<(), BackendError>> + Send;

    /// See [`BytesBackend::delete`](crate::BytesBackend::delete).
    ///
    /// # Errors
    /// If the store fails.
    fn delete(&self, key: &str) -> impl Future<Output = Result<(), BackendError>> + Send;

    /// See [`BytesBackend::get_multi`](crate::BytesBackend::get_multi). The default reads one key after the other.
    ///
    /// # Errors
    /// If the store fails.
    fn get_multi(
        &self,
        keys: &[&str],
    ) -> impl Future<Output = Result<Vec<Option<Vec<u8>>>, BackendError>> + Send {
        async move {
            let mut found = Vec::with_capacity(keys.len());
            for key in keys {
                found.push(self.get(key).await?);
            }
            Ok(found)
        }
    }

    /// See [`BytesBackend::set_multi`](crate::BytesBackend::set_multi). The default stores one value after the other.
    ///
    /// # Errors
    /// If the store fails. Some of the values may have been stored. [`ErrorKind::Fenced`] if the fence of a value no
    /// longer holds. All values whose fence holds are stored then.
    fn set_multi(
        &self,
        entries: Vec<OwnedBytesEntry>,
    ) -> impl Future<Output = Result<(), BackendError>> + Send {
        async move {
            let mut fenced = Ok(());
            for OwnedBytesEntry { key, value, options } in entries {
                match self.set(&key, value, &options).await {
                    Err(error) if error.kind() == ErrorKind::Fenced => fenced = Err(error),
                    other => other?,
                }
            }
            fenced
        }
    }

    /// See [`BytesBackend::delete_multi`](crate::BytesBackend::delete_multi). The default deletes one key after the
    /// other.
    ///
    /// # Errors
    /// If the store fails. Some of the keys may have been deleted.
    fn delete_multi(&self, keys: &[&str]) -> impl Future<Output = Result<(), BackendError>> + Send {
        async move {
            for key in keys {
                self.delete(key).await?;
            }
            Ok(())
        }
    }

    /// Returns the mutex for `key`, if the backend has mutexes that other processes share. The default is `None`.
    ///
    /// See [`CacheBackend::get_mutex`](crate::CacheBackend::get_mutex). This call performs no I/O and never blocks.
    fn get_mutex(&self, key: &str) -> Option<BoxedMutex> {
        let _ = key;
        None
    }

    /// See [`CacheBackend::key_mangler`](crate::CacheBackend::key_mangler).
    fn key_mangler(&self) -> Option<KeyMangler> {
        None
    }

    /// See [`CacheBackend::store_key`](crate::CacheBackend::store_key).
    fn store_key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        Cow::Borrowed(key)
    }

    /// See [`CacheBackend::capabilities`](crate::CacheBackend::capabilities). If they name no serializer, regions use
    /// `json`.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// See [`CacheBackend::health`](crate::CacheBackend::health).
    ///
    /// # Errors
    /// If the store cannot be reached.
    fn health(&self) -> impl Future<Output = Result<(), BackendError>> + Send {
        async { Ok(()) }
    }

    /// See [`CacheBackend::close`](crate::CacheBackend::close).
    ///
    /// # Errors
    /// If closing fails. The backend stays usable.
    fn close(&self) -> impl Future<Output = Result<(), BackendError>> + Send {
        async { Ok(()) }
    }
}

/// One of the values that [`AsyncBytesBackend::set_multi`] stores.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnedBytesEntry {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
    /// How the value is to be stored.
    pub options: StoreOptions,
}

impl OwnedBytesEntry {
    /// Creates an entry.
    pub fn new(key: impl Into<String>, value: Vec<u8>, options: StoreOptions) -> Self {
        OwnedBytesEntry { key: key.into(), value, options }
    }
}
