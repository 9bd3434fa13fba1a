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
/// bytes implements [`BytesBackend`](crate::BytesBackend) instead.
///
/// * **Values.** Return a value as it was stored, including its metadata. A store may drop a value at any time. A
///   missing key is `Ok(None)`, and deleting a missing key succeeds.
/// * **Keys.** A region passes only keys that the [`capabilities`](Self::capabilities) admit. Other callers may pass
///   any string. Keep the key, or return [`ErrorKind::InvalidKey`].
/// * **Duplicates.** A `_multi` call may name a key more than once. `get_multi` returns one entry for each occurrence,
///   `set_multi` stores the last of the values, and `delete_multi` deletes the key.
/// * **Overlap.** Calls run at the same time, also for the same keys and on one backend. Calls of other processes do,
///   too. Two `_multi` calls may name the same keys in different orders. Neither may fail for that reason, and they
///   must not wait for each other forever: a store that locks rows locks them in the order of their keys. Each key then
///   has one of the two values as a whole. Which one is not defined.
/// * **Threads.** Any thread may make any call, several at a time. A region calls from the application's threads, and
///   from threads of the host.
/// * **Blocking.** `get`, `set`, `delete`, their other forms, [`health`](Self::health), and [`close`](Self::close) may
///   block. A region sets no limit for them, so bound each one by a timeout of your own. All other methods perform no
///   I/O and never block, because tasks call them directly.
/// * **Errors.** An error means that the store failed. A region makes each call once and never repeats it, except for
///   deletions that it queued during an outage. [`ErrorKind`] lists what it does with each kind.
/// * **Panics.** See [`ErrorKind::Panicked`]. The backend stays in use after a panic, so recover from poisoned locks.
/// * **Lifetimes.** Keys and options are borrowed for the call alone. Values are owned.
/// * **Forks.** A child uses no connection and no thread of its parent. See [`PerProcess`](crate::PerProcess).
pub trait CacheBackend: fmt::Debug + Send + Sync + 'static {
    /// Returns the value stored under `key`, or `None` if the key is missing.
    ///
    /// # Errors
    /// If the store fails.
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError>;

    /// Calls `visit` with the value stored under `key`, and returns whether there was one.
    ///
    /// The default calls [`get`](Self::get). Override it only if lending the value is cheaper than cloning it. A region
    /// makes this call for hits. Call `visit` at most once, on this thread, and without holding a lock: it may run
    /// foreign code that calls this backend again. The value is lent for the call of `visit` alone. If `visit` panics,
    /// let the panic pass.
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
    /// Once it returns, every read of this process finds the value, unless the store dropped it. A concurrent read
    /// finds the old value or the new one as a whole.
    ///
    /// # Errors
    /// If the store fails, or does not accept the key or the value. The value may have been stored nevertheless, if the
    /// kind is [`ErrorKind::Timeout`] or [`ErrorKind::Unavailable`].
    /// [`ErrorKind::Fenced`](crate::ErrorKind::Fenced) if the fence no longer holds.
    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError>;

    /// Deletes the value stored under `key`, if there is one.
    ///
    /// # Errors
    /// If the store fails. An error means that the value may still be there.
    fn delete(&self, key: &str) -> Result<(), BackendError>;

    /// Returns one entry per key, in order; `None` marks a missing key.
    ///
    /// A key that occurs twice has two entries. A region reports an error if the number of entries is not that of the
    /// keys. The default reads one key after the other.
    ///
    /// # Errors
    /// If the store fails. Return an error rather than `None` for keys that could not be read.
    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    /// Stores many values, each as [`set`](Self::set) does. If a key occurs twice, the last of its values is stored.
    ///
    /// The call need not be atomic: others may find some of the values before the rest. The default stores one value
    /// after the other, and stops at the first error, unless it is of the kind [`ErrorKind::Fenced`].
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

    /// Deletes many keys. A key that occurs twice is deleted, and so is one that is missing.
    ///
    /// The default deletes one key after the other, and stops at the first error.
    ///
    /// # Errors
    /// If the store fails. Some of the keys may have been deleted.
    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        keys.iter().try_for_each(|key| self.delete(key))
    }

    /// Returns the mutex for `key`, if the backend has mutexes that other processes share.
    ///
    /// With `None`, the default, creators exclude each other within this process only. A region calls this method for
    /// creations, perhaps twice for one of them, and never on a hit. It performs no I/O and never blocks: a mutex that
    /// cannot be made reports that from [`CacheMutex::try_acquire`]. All mutexes for one key exclude each other. A
    /// mutex may outlive the backend.
    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        let _ = key;
        None
    }

    /// Returns the key mangler to use if the region names none. The default is `None`.
    ///
    /// A region calls this when it is configured. It calls the mangler once for each key of each call, also on a hit.
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

    /// Returns the features and limits of the store.
    ///
    /// A region calls this when it is configured, several times, and keeps the result. It must always be the same.
    /// [`Capabilities`] states what a region does with each of them.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// Checks that the store can be reached. The default succeeds.
    ///
    /// Regions never call it. `dogpile check` does, and applications may.
    ///
    /// # Errors
    /// If the store cannot be reached.
    fn health(&self) -> Result<(), BackendError> {
        Ok(())
    }

    /// Closes connections and files that are not in use. The default does nothing.
    ///
    /// A later call opens them again. Dropping the backend closes them as well, without waiting for a server. Regions
    /// never call this method, but applications may.
    ///
    /// # Errors
    /// If closing fails. The backend stays usable.
    fn close(&self) -> Result<(), BackendError> {
        Ok(())
    }

    /// Returns the asynchronous calls of the backend. A region calls this when it is configured.
    ///
    /// With `None`, the default, an asynchronous host runs the blocking calls on threads of its own: at most 64 at a
    /// time for each store, and 64 more that wait for mutexes. They are not used if the backend is
    /// [`immediate`](Capabilities::immediate).
    fn operations(&self) -> Option<Arc<dyn Operations>> {
        None
    }
}

const _: fn(&dyn CacheBackend) = |_| {};

/// A function from a key to the key under which its value is stored.
///
/// Clones share the function. It runs on the thread or in the task that makes a call, performs no I/O, and must not
/// panic.
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
