//! [`Watched`]: a reference store that notes keys, or fails.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use dogpile_sdk::{
    BackendError, CacheBackend, CacheMutex, CachedValue, Capabilities, Completion, Entry, ErrorKind,
    Operations, Running, StoreOptions,
};

use super::Reference;

/// A reference store that notes the keys of stored values and of mutexes. It may fail all calls.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    reference: Reference,
    fails: bool,
    set: Mutex<Vec<String>>,
    mutexes: Mutex<Vec<String>>,
}

impl Watched {
    /// Creates a store that fails all calls.
    pub(crate) fn failing() -> Self {
        Watched { fails: true, ..Watched::default() }
    }

    /// Returns the keys whose values were set.
    pub(crate) fn keys_set(&self) -> Vec<String> {
        locked(&self.set).clone()
    }

    /// Returns the keys whose mutexes were requested.
    pub(crate) fn keys_of_mutexes(&self) -> Vec<String> {
        locked(&self.mutexes).clone()
    }

    fn check(&self) -> Result<&Reference, BackendError> {
        if self.fails { Err(failure()) } else { Ok(&self.reference) }
    }
}

fn locked(keys: &Mutex<Vec<String>>) -> MutexGuard<'_, Vec<String>> {
    // Ignore poison: no code panics while it holds this lock.
    keys.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failure() -> BackendError {
    BackendError::new(ErrorKind::Unavailable, "the store fails on purpose")
}

impl CacheBackend for Watched {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        self.check()?.get(key)
    }

    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        locked(&self.set).push(key.to_owned());
        self.check()?.set(key, value, options)
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.check()?.delete(key)
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        self.check()?.get_multi(keys)
    }

    fn set_multi(&self, entries: Vec<Entry>) -> Result<(), BackendError> {
        locked(&self.set).extend(entries.iter().map(|entry| entry.key.clone()));
        self.check()?.set_multi(entries)
    }

    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        self.check()?.delete_multi(keys)
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        locked(&self.mutexes).push(key.to_owned());
        if self.fails { Some(Arc::new(Fails)) } else { self.reference.get_mutex(key) }
    }

    fn capabilities(&self) -> Capabilities {
        self.reference.capabilities()
    }

    fn health(&self) -> Result<(), BackendError> {
        self.check().map(drop)
    }

    fn close(&self) -> Result<(), BackendError> {
        self.check().map(drop)
    }

    fn operations(&self) -> Option<Arc<dyn Operations>> {
        if self.fails { Some(Arc::new(Fails)) } else { self.reference.operations() }
    }
}

/// The mutexes and the asynchronous calls of a store that fails.
#[derive(Debug)]
struct Fails;

impl CacheMutex for Fails {
    fn try_acquire(&self) -> Result<bool, BackendError> {
        Err(failure())
    }

    fn acquire_until(&self, _deadline: Instant) -> Result<bool, BackendError> {
        Err(failure())
    }

    fn release(&self) -> Result<(), BackendError> {
        Err(failure())
    }

    fn locked(&self) -> Result<bool, BackendError> {
        Err(failure())
    }
}

fn fail<T>(completion: Completion<T>) -> Running {
    completion.complete(Err(failure()));
    Running::done()
}

impl Operations for Fails {
    fn begin_get(&self, _key: &str, completion: Completion<Option<CachedValue>>) -> Running {
        fail(completion)
    }

    fn begin_get_multi(&self, _keys: &[&str], completion: Completion<Vec<Option<CachedValue>>>) -> Running {
        fail(completion)
    }

    fn begin_set(
        &self,
        _key: &str,
        _value: CachedValue,
        _options: &StoreOptions,
        completion: Completion<()>,
    ) -> Running {
        fail(completion)
    }

    fn begin_set_multi(&self, _entries: Vec<Entry>, completion: Completion<()>) -> Running {
        fail(completion)
    }

    fn begin_delete(&self, _key: &str, completion: Completion<()>) -> Running {
        fail(completion)
    }

    fn begin_delete_multi(&self, _keys: &[&str], completion: Completion<()>) -> Running {
        fail(completion)
    }
}
