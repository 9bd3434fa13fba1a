//! [`ContainedBackend`]: a backend of this binary whose panics become errors.

use std::borrow::Cow;
use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use crate::backend::{CacheBackend, KeyMangler};
use crate::capabilities::Capabilities;
use crate::contained_mutex::ContainedMutex;
use crate::contained_operations::ContainedOperations;
use crate::error::BackendError;
use crate::mutex::CacheMutex;
use crate::no_mutex::NoMutex;
use crate::operations::Operations;
use crate::options::{Entry, StoreOptions};
use crate::panicked::{panicked, record_panic_locations, without_panic};
use crate::value::CachedValue;

/// A backend whose panics are errors of the kind [`ErrorKind::Panicked`](crate::ErrorKind::Panicked).
///
/// Methods that cannot fail return the trait's default if the backend panics. A mutex counts as lost then. A panic of a call that
/// [`operations`](CacheBackend::operations) begins is the outcome of its [`Pending`](crate::Pending).
///
/// Hosts wrap linked backends in it. Nothing is contained in a program that was built with `panic = "abort"`.
pub struct ContainedBackend {
    backend: Arc<dyn CacheBackend>,
    /// What provides the backend, for errors.
    origin: Arc<str>,
}

impl ContainedBackend {
    /// Creates the backend from `backend`, which `origin` provides.
    pub fn new(backend: Arc<dyn CacheBackend>, origin: impl Into<Arc<str>>) -> Self {
        ContainedBackend { backend, origin: origin.into() }
    }

    /// Calls `build`, which `origin` provides, and returns its result.
    ///
    /// The first call adds a panic hook that records locations and then calls the previous hook. If an application sets
    /// another hook later, errors lack the file and line.
    ///
    /// # Errors
    /// The error of `build`, or its panic.
    pub fn build<T>(
        origin: &str,
        build: impl FnOnce() -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        record_panic_locations();
        catch_unwind(AssertUnwindSafe(build)).unwrap_or_else(|payload| Err(panicked(origin, payload)))
    }

    #[inline]
    fn call<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&dyn CacheBackend) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        // A panic may leave data half changed, but only behind the backend's own locks. The caller sees only the error.
        catch_unwind(AssertUnwindSafe(|| work(&*self.backend)))
            .unwrap_or_else(|payload| Err(panicked(&self.origin, payload).during(operation)))
    }

    #[inline]
    fn call_for<T>(
        &self,
        operation: &'static str,
        key: &str,
        work: impl FnOnce(&dyn CacheBackend) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        catch_unwind(AssertUnwindSafe(|| work(&*self.backend)))
            .unwrap_or_else(|payload| Err(panicked(&self.origin, payload).during(operation).for_key(key)))
    }
}

impl CacheBackend for ContainedBackend {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        self.call_for("get", key, |backend| backend.get(key))
    }

    fn get_with(&self, key: &str, visit: &mut dyn FnMut(&CachedValue)) -> Result<bool, BackendError> {
        // A panic of `visit` is the caller's own. It passes the backend's code and goes on here.
        let mut panic = None;
        let visited = self.call_for("get", key, |backend| {
            backend.get_with(key, &mut |value| {
                if let Err(payload) = catch_unwind(AssertUnwindSafe(|| visit(value))) {
                    panic = Some(payload);
                }
            })
        });
        match panic {
            Some(payload) => resume_unwind(payload),
            None => visited,
        }
    }

    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        self.call_for("set", key, |backend| backend.set(key, value, options))
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.call_for("delete", key, |backend| backend.delete(key))
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        self.call("get_multi", |backend| backend.get_multi(keys))
    }

    fn set_multi(&self, entries: Vec<Entry>) -> Result<(), BackendError> {
        self.call("set_multi", |backend| backend.set_multi(entries))
    }

    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        self.call("delete_multi", |backend| backend.delete_multi(keys))
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        match self.call_for("get_mutex", key, |backend| Ok(backend.get_mutex(key))) {
            Ok(mutex) => Some(Arc::new(ContainedMutex::new(mutex?, Arc::clone(&self.origin)))),
            Err(error) => Some(Arc::new(NoMutex(error.to_string()))),
        }
    }

    fn key_mangler(&self) -> Option<KeyMangler> {
        let mangler = without_panic(|| self.backend.key_mangler()).flatten()?;
        Some(KeyMangler::new(move |key| {
            without_panic(|| mangler.mangle(key)).unwrap_or_else(|| key.to_owned())
        }))
    }

    fn store_key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        without_panic(|| self.backend.store_key(key)).unwrap_or(Cow::Borrowed(key))
    }

    fn capabilities(&self) -> Capabilities {
        without_panic(|| self.backend.capabilities()).unwrap_or_default()
    }

    fn health(&self) -> Result<(), BackendError> {
        self.call("health", |backend| backend.health())
    }

    fn close(&self) -> Result<(), BackendError> {
        self.call("close", |backend| backend.close())
    }

    fn operations(&self) -> Option<Arc<dyn Operations>> {
        let operations = without_panic(|| self.backend.operations()).flatten()?;
        Some(Arc::new(ContainedOperations::new(operations)))
    }
}

impl fmt::Debug for ContainedBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match without_panic(|| format!("{:?}", self.backend)) {
            Some(text) => f.write_str(&text),
            None => write!(f, "a backend of {}", self.origin),
        }
    }
}

impl Drop for ContainedBackend {
    fn drop(&mut self) {
        let backend = mem::replace(&mut self.backend, Arc::new(Gone));
        without_panic(|| drop(backend));
    }
}

/// Takes the place of a backend that is being dropped. It is never called.
#[derive(Debug)]
struct Gone;

impl CacheBackend for Gone {
    fn get(&self, _key: &str) -> Result<Option<CachedValue>, BackendError> {
        Ok(None)
    }

    fn set(&self, _key: &str, _value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
        Ok(())
    }

    fn delete(&self, _key: &str) -> Result<(), BackendError> {
        Ok(())
    }
}
