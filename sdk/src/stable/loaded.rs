//! Backends and mutexes of the other side, as implementations of our traits.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use dogpile_abi::std_types::{RSlice, RStr};
use dogpile_abi::{AbiError, BackendObject, CachedValue, MutexObject};

use super::crossing::stable_keys;
use super::deadline;
use super::error::from_abi;
use super::loaded_operations::{LoadedMutexOperations, LoadedOperations};
use super::options::{lend_entries, to_stable};
use crate::backend::{CacheBackend, KeyMangler};
use crate::capabilities::Capabilities;
use crate::error::BackendError;
use crate::mutex::CacheMutex;
use crate::no_mutex::NoMutex;
use crate::operations::{MutexOperations, Operations};
use crate::options::{Entry, Fence, StoreOptions};
use crate::value::Bytes;

/// A backend of another binary. A panic of that binary is an error that names its origin.
///
/// Methods that cannot fail return the trait's default if the other side panics.
pub struct LoadedBackend(Arc<Inner>);

struct Inner {
    object: BackendObject,
    /// The owner, for errors: a plugin's package, version, and path, or the host.
    origin: Arc<str>,
}

impl LoadedBackend {
    /// Creates the backend from `object`, which came from `origin`.
    pub fn new(object: BackendObject, origin: impl Into<Arc<str>>) -> Self {
        LoadedBackend(Arc::new(Inner { object, origin: origin.into() }))
    }

    /// Converts `error`, which the binary named `origin` returned.
    pub fn error(error: AbiError, origin: &str) -> BackendError {
        from_abi(error, origin)
    }

    fn failed(&self, operation: &'static str) -> impl FnOnce(AbiError) -> BackendError {
        let origin = Arc::clone(&self.0.origin);
        move |error| {
            let error = from_abi(error, &origin);
            if error.operation().is_some() { error } else { error.during(operation) }
        }
    }
}

impl CacheBackend for LoadedBackend {
    #[inline]
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        match self.0.object.get(RStr::from_str(key)) {
            Ok(found) => Ok(found.into_option()),
            Err(error) => Err(self.failed("get")(error).for_key(key)),
        }
    }

    #[inline]
    fn get_with(&self, key: &str, visit: &mut dyn FnMut(&CachedValue)) -> Result<bool, BackendError> {
        self.0.object.visit(key, visit).map_err(|error| self.failed("get")(error).for_key(key))
    }

    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        let stored = self.0.object.set(RStr::from_str(key), value, to_stable(options));
        stored.map_err(|error| self.failed("set")(error).for_key(key))
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        let deleted = self.0.object.delete(RStr::from_str(key));
        deleted.map_err(|error| self.failed("delete")(error).for_key(key))
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        let keys = stable_keys(keys);
        let found = self.0.object.get_multi(RSlice::from_slice(&keys)).map_err(self.failed("get_multi"))?;
        Ok(found.into_iter().map(Into::into).collect())
    }

    fn set_multi(&self, entries: Vec<Entry>) -> Result<(), BackendError> {
        lend_entries(entries, |entries| self.0.object.set_multi(entries)).map_err(self.failed("set_multi"))
    }

    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        let keys = stable_keys(keys);
        self.0.object.delete_multi(RSlice::from_slice(&keys)).map_err(self.failed("delete_multi"))
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        match self.0.object.get_mutex(RStr::from_str(key)) {
            Ok(mutex) => mutex.into_option().map(|object| -> Arc<dyn CacheMutex> {
                Arc::new(LoadedMutex { object, origin: Arc::clone(&self.0.origin) })
            }),
            Err(error) => Some(Arc::new(NoMutex(from_abi(error, &self.0.origin).to_string()))),
        }
    }

    fn key_mangler(&self) -> Option<KeyMangler> {
        let probe = self.0.object.mangle_key(RStr::from_str("")).ok()?;
        probe.into_option()?;
        let inner = Arc::clone(&self.0);
        Some(KeyMangler::new(move |key| {
            let mangled = inner.object.mangle_key(RStr::from_str(key)).ok().and_then(|key| key.into_option());
            mangled.map_or_else(|| key.to_owned(), |key| key.into_string())
        }))
    }

    fn store_key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        let renamed = self.0.object.store_key(RStr::from_str(key)).ok().and_then(|key| key.into_option());
        renamed.map_or(Cow::Borrowed(key), |renamed| Cow::Owned(renamed.into()))
    }

    fn capabilities(&self) -> Capabilities {
        let capabilities = self.0.object.capabilities();
        capabilities.ok().and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default()
    }

    fn health(&self) -> Result<(), BackendError> {
        self.0.object.health().map_err(self.failed("health"))
    }

    fn close(&self) -> Result<(), BackendError> {
        self.0.object.close().map_err(self.failed("close"))
    }

    fn operations(&self) -> Option<Arc<dyn Operations>> {
        let object = self.0.object.operations().ok()?.into_option()?;
        Some(Arc::new(LoadedOperations::new(object, Arc::clone(&self.0.origin))))
    }
}

impl fmt::Debug for LoadedBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.object.describe() {
            Ok(text) => f.write_str(&text),
            Err(_) => write!(f, "a backend of {}", self.0.origin),
        }
    }
}

struct LoadedMutex {
    object: MutexObject,
    origin: Arc<str>,
}

impl CacheMutex for LoadedMutex {
    fn try_acquire(&self) -> Result<bool, BackendError> {
        self.object.try_acquire().map_err(|error| from_abi(error, &self.origin).during("try_acquire"))
    }

    fn acquire_until(&self, deadline: Instant) -> Result<bool, BackendError> {
        let acquired = self.object.acquire_within(deadline::nanoseconds_until(deadline));
        acquired.map_err(|error| from_abi(error, &self.origin).during("acquire_until"))
    }

    fn release(&self) -> Result<(), BackendError> {
        self.object.release().map_err(|error| from_abi(error, &self.origin).during("release"))
    }

    fn locked(&self) -> Result<bool, BackendError> {
        self.object.locked().map_err(|error| from_abi(error, &self.origin).during("locked"))
    }

    fn is_lost(&self) -> bool {
        self.object.is_lost().unwrap_or_default()
    }

    fn fence(&self) -> Option<Fence> {
        self.object.fence().ok().and_then(|token| token.into_option()).map(|token: Bytes| Fence::new(token))
    }

    fn operations(&self) -> Option<Arc<dyn MutexOperations>> {
        let object = self.object.operations().ok()?.into_option()?;
        Some(Arc::new(LoadedMutexOperations::new(object, Arc::clone(&self.origin))))
    }
}

impl fmt::Debug for LoadedMutex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.object.describe() {
            Ok(text) => f.write_str(&text),
            Err(_) => write!(f, "a mutex of {}", self.origin),
        }
    }
}
