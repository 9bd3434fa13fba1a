//! Stores that record their calls and fail on demand.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Instant;

use dogpile::sdk::{
    BackendError, BytesBackend, CacheBackend, CacheMutex, CachedValue, Capabilities, Entry, Enveloped,
    ErrorKind, KeyMangler, StoreOptions,
};
use parking_lot::{Condvar, Mutex};

use crate::threads::LIMIT;

/// Stands for all operations.
const ALL: &str = "all";

/// A store in memory that records its calls and fails on demand. It can have mutexes.
#[derive(Default)]
pub struct Scripted {
    kept: Mutex<HashMap<String, CachedValue>>,
    calls: Mutex<Vec<(&'static str, String)>>,
    failing: Mutex<Option<(&'static str, ErrorKind)>>,
    mutexes: Option<Mutex<HashMap<String, Arc<ScriptedMutex>>>>,
    key_mangler: Option<KeyMangler>,
    capabilities: Capabilities,
}

/// The scope, by which tests find the events of this store.
impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.capabilities.scope.as_deref().unwrap_or("Scripted"))
    }
}

impl Scripted {
    /// Creates an empty store without mutexes.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Creates an empty store with a mutex for each key.
    pub fn with_mutexes() -> Arc<Self> {
        Arc::new(Scripted { mutexes: Some(Mutex::default()), ..Scripted::default() })
    }

    /// Creates an empty store with `capabilities` and a mutex for each key.
    pub fn with_mutexes_and(capabilities: Capabilities) -> Arc<Self> {
        Arc::new(Scripted { mutexes: Some(Mutex::default()), capabilities, ..Scripted::default() })
    }

    /// Creates an empty store whose key mangler puts `prefix` before each key.
    pub fn with_key_mangler(prefix: &'static str) -> Arc<Self> {
        let mangler = KeyMangler::new(move |key| format!("{prefix}{key}"));
        Arc::new(Scripted { key_mangler: Some(mangler), ..Scripted::default() })
    }

    /// Creates an empty store with `capabilities`.
    pub fn with_capabilities(capabilities: Capabilities) -> Arc<Self> {
        Arc::new(Scripted { capabilities, ..Scripted::default() })
    }

    /// Makes `operation` fail until [`heal`](Self::heal) is called.
    pub fn fail(&self, operation: &'static str, kind: ErrorKind) {
        *self.failing.lock() = Some((operation, kind));
    }

    /// Makes all operations fail until [`heal`](Self::heal) is called. Mutexes are as before.
    pub fn fail_all(&self, kind: ErrorKind) {
        self.fail(ALL, kind);
    }

    /// Makes all operations succeed again.
    pub fn heal(&self) {
        *self.failing.lock() = None;
    }

    /// Returns the number of calls of `operation`.
    pub fn calls(&self, operation: &str) -> usize {
        self.calls.lock().iter().filter(|(called, _)| *called == operation).count()
    }

    /// Returns the keys of all calls of `operation`, in order.
    pub fn keys_of(&self, operation: &str) -> Vec<String> {
        let calls = self.calls.lock();
        calls.iter().filter(|(called, _)| *called == operation).map(|(_, key)| key.clone()).collect()
    }

    /// Returns the stored keys, sorted.
    pub fn stored_keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.kept.lock().keys().cloned().collect();
        keys.sort();
        keys
    }

    /// Stores `value` without recording a call, as another process would.
    pub fn put(&self, key: &str, value: CachedValue) {
        self.kept.lock().insert(key.to_owned(), value);
    }

    /// Changes the value stored under `key`.
    ///
    /// # Panics
    /// Panics if the key is missing.
    pub fn alter(&self, key: &str, alter: impl FnOnce(&mut CachedValue)) {
        alter(self.kept.lock().get_mut(key).expect("a value is stored"));
    }

    /// Returns the mutex of `key`.
    ///
    /// # Panics
    /// Panics if the store has no mutexes.
    pub fn mutex(&self, key: &str) -> Arc<ScriptedMutex> {
        let mutexes = self.mutexes.as_ref().expect("the store has mutexes");
        Arc::clone(mutexes.lock().entry(key.to_owned()).or_default())
    }

    fn called(&self, operation: &'static str, key: &str) -> Result<(), BackendError> {
        self.calls.lock().push((operation, key.to_owned()));
        match *self.failing.lock() {
            Some((failing, kind)) if failing == operation || failing == ALL => {
                Err(BackendError::new(kind, "scripted failure").during(operation).for_key(key))
            }
            _ => Ok(()),
        }
    }
}

impl CacheBackend for Scripted {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        self.called("get", key)?;
        Ok(self.kept.lock().get(key).cloned())
    }

    fn set(&self, key: &str, value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
        self.called("set", key)?;
        self.kept.lock().insert(key.to_owned(), value);
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.called("delete", key)?;
        self.kept.lock().remove(key);
        Ok(())
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        self.called("get_multi", &keys.join(" "))?;
        Ok(keys.iter().map(|key| self.kept.lock().get(*key).cloned()).collect())
    }

    fn set_multi(&self, entries: Vec<Entry>) -> Result<(), BackendError> {
        let keys: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
        self.called("set_multi", &keys.join(" "))?;
        self.kept.lock().extend(entries.into_iter().map(|entry| (entry.key, entry.value)));
        Ok(())
    }

    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        self.called("delete_multi", &keys.join(" "))?;
        keys.iter().for_each(|key| drop(self.kept.lock().remove(*key)));
        Ok(())
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        self.mutexes.as_ref()?;
        self.calls.lock().push(("get_mutex", key.to_owned()));
        Some(self.mutex(key))
    }

    fn key_mangler(&self) -> Option<KeyMangler> {
        self.key_mangler.clone()
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }
}

/// A mutex that fails, times out at once, or loses its lease on demand.
#[derive(Debug, Default)]
pub struct ScriptedMutex {
    held: Mutex<bool>,
    released: Condvar,
    /// Whether acquiring the mutex returns an error. See [`break_down`](ScriptedMutex::break_down).
    pub fails: AtomicBool,
    /// Whether `acquire_until` returns `false` at once while the mutex is held.
    pub gives_up: AtomicBool,
    /// Whether the holder loses the mutex. `is_lost` is then true while it is held, and `release` returns an error.
    pub loses_its_lease: AtomicBool,
    /// The number of calls of `acquire_until`.
    pub waits: AtomicUsize,
}

impl ScriptedMutex {
    /// Makes all current and later calls that acquire the mutex return an error.
    pub fn break_down(&self) {
        self.fails.store(true, SeqCst);
        let _held = self.held.lock();
        self.released.notify_all();
    }

    fn assert_works(&self, operation: &'static str) -> Result<(), BackendError> {
        if !self.fails.load(SeqCst) {
            return Ok(());
        }
        Err(BackendError::new(ErrorKind::Unavailable, "scripted failure").during(operation))
    }

    /// Makes all current and later calls of `acquire_until` return `false` while the mutex is held.
    pub fn give_up(&self) {
        self.gives_up.store(true, SeqCst);
        let _held = self.held.lock();
        self.released.notify_all();
    }
}

impl CacheMutex for ScriptedMutex {
    fn try_acquire(&self) -> Result<bool, BackendError> {
        self.assert_works("try_acquire")?;
        Ok(!std::mem::replace(&mut *self.held.lock(), true))
    }

    fn acquire_until(&self, deadline: Instant) -> Result<bool, BackendError> {
        self.waits.fetch_add(1, SeqCst);
        self.assert_works("acquire_until")?;
        let limit = deadline.min(Instant::now() + LIMIT);
        let mut held = self.held.lock();
        while *held {
            if self.gives_up.load(SeqCst) || self.released.wait_until(&mut held, limit).timed_out() {
                return Ok(false);
            }
            self.assert_works("acquire_until")?;
        }
        *held = true;
        Ok(true)
    }

    fn release(&self) -> Result<(), BackendError> {
        let held = std::mem::replace(&mut *self.held.lock(), false);
        self.released.notify_all();
        if held && !self.loses_its_lease.load(SeqCst) {
            return Ok(());
        }
        Err(BackendError::new(ErrorKind::NotHeld, "the mutex has another holder").during("release"))
    }

    fn locked(&self) -> Result<bool, BackendError> {
        Ok(*self.held.lock())
    }

    fn is_lost(&self) -> bool {
        self.loses_its_lease.load(SeqCst) && *self.held.lock()
    }
}

/// A store of bytes in memory, which a test can read and damage.
#[derive(Clone, Debug, Default)]
pub struct ByteStore(Arc<Mutex<HashMap<String, Vec<u8>>>>);

impl ByteStore {
    /// Returns the store as a backend for a region.
    pub fn backend(&self) -> Arc<dyn CacheBackend> {
        Arc::new(Enveloped::new(self.clone()))
    }

    /// Returns the bytes stored under `key`.
    ///
    /// # Panics
    /// Panics if the key is missing.
    pub fn raw(&self, key: &str) -> Vec<u8> {
        self.0.lock().get(key).expect("the key is stored").clone()
    }

    /// Returns the keys under which values are stored.
    pub fn keys(&self) -> Vec<String> {
        self.0.lock().keys().cloned().collect()
    }

    /// Stores `bytes` as they are, as a foreign program would.
    pub fn put_raw(&self, key: &str, bytes: impl Into<Vec<u8>>) {
        self.0.lock().insert(key.to_owned(), bytes.into());
    }
}

impl BytesBackend for ByteStore {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BackendError> {
        Ok(self.0.lock().get(key).cloned())
    }

    fn set(&self, key: &str, value: &[u8], _options: &StoreOptions) -> Result<(), BackendError> {
        self.0.lock().insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.0.lock().remove(key);
        Ok(())
    }
}
