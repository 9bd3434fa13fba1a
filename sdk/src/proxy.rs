//! [`ProxyBackend`]: a wrapper around a backend, and the bridge that makes a [`CacheBackend`] of it.

// Source: dogpile.cache `proxy.py`, `ProxyBackend`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::backend::{CacheBackend, Capabilities, KeyMangler};
use crate::error::BackendError;
use crate::mutex::CacheMutex;
use crate::value::CachedValue;

/// A wrapper around a backend. It implements the methods that it changes; all others forward to [`proxied`].
///
/// Values arrive with their metadata. A proxy that overrides `get` sees every single get. A `_multi` call does not go
/// through `get`, so override both forms.
///
/// ```
/// use std::sync::{Arc, atomic::{AtomicU64, Ordering::Relaxed}};
///
/// use dogpile_sdk::{BackendError, CacheBackend, CachedValue, ProxyBackend};
///
/// #[derive(Debug)]
/// struct HitCounter {
///     hits: AtomicU64,
///     proxied: Arc<dyn CacheBackend>,
/// }
///
/// impl ProxyBackend for HitCounter {
///     fn proxied(&self) -> &dyn CacheBackend { &*self.proxied }
///
///     fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
///         let found = self.proxied.get(key)?;
///         self.hits.fetch_add(u64::from(found.is_some()), Relaxed);
///         Ok(found)
///     }
/// }
/// ```
///
/// [`proxied`]: ProxyBackend::proxied
pub trait ProxyBackend: fmt::Debug + Send + Sync + 'static {
    /// Returns the wrapped backend.
    fn proxied(&self) -> &dyn CacheBackend;

    /// See [`CacheBackend::get`].
    ///
    /// # Errors
    /// If the wrapped backend fails. This holds for the methods below too.
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        self.proxied().get(key)
    }

    /// See [`CacheBackend::set`].
    #[allow(clippy::missing_errors_doc)]
    fn set(&self, key: &str, value: CachedValue) -> Result<(), BackendError> {
        self.proxied().set(key, value)
    }

    /// See [`CacheBackend::delete`].
    #[allow(clippy::missing_errors_doc)]
    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.proxied().delete(key)
    }

    /// See [`CacheBackend::get_multi`].
    #[allow(clippy::missing_errors_doc)]
    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        self.proxied().get_multi(keys)
    }

    /// See [`CacheBackend::set_multi`].
    #[allow(clippy::missing_errors_doc)]
    fn set_multi(&self, entries: Vec<(String, CachedValue)>) -> Result<(), BackendError> {
        self.proxied().set_multi(entries)
    }

    /// See [`CacheBackend::delete_multi`].
    #[allow(clippy::missing_errors_doc)]
    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        self.proxied().delete_multi(keys)
    }

    /// See [`CacheBackend::get_mutex`].
    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        self.proxied().get_mutex(key)
    }

    /// See [`CacheBackend::key_mangler`].
    fn key_mangler(&self) -> Option<KeyMangler> {
        self.proxied().key_mangler()
    }

    /// See [`CacheBackend::default_serializer`].
    fn default_serializer(&self) -> Option<String> {
        self.proxied().default_serializer()
    }

    /// See [`CacheBackend::has_lock_timeout`].
    fn has_lock_timeout(&self) -> bool {
        self.proxied().has_lock_timeout()
    }

    /// See [`CacheBackend::scope`]. A proxy does not change the store, so it has no reason to override this method.
    fn scope(&self) -> Option<String> {
        self.proxied().scope()
    }

    /// See [`CacheBackend::store_key`]. A proxy that renames keys overrides this method, and passes the renamed key to
    /// the wrapped backend's `store_key`.
    fn store_key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        self.proxied().store_key(key)
    }

    /// See [`CacheBackend::capabilities`].
    fn capabilities(&self) -> Capabilities {
        self.proxied().capabilities()
    }
}

const _: fn(&dyn ProxyBackend) = |_| {};

/// Creates a backend from `proxy`.
pub fn proxy(proxy: impl ProxyBackend) -> Arc<dyn CacheBackend> {
    Arc::new(Bridge(proxy))
}

struct Bridge<P>(P);

impl<P: fmt::Debug> fmt::Debug for Bridge<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<P: ProxyBackend> CacheBackend for Bridge<P> {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        self.0.get(key)
    }

    fn set(&self, key: &str, value: CachedValue) -> Result<(), BackendError> {
        self.0.set(key, value)
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.0.delete(key)
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        self.0.get_multi(keys)
    }

    fn set_multi(&self, entries: Vec<(String, CachedValue)>) -> Result<(), BackendError> {
        self.0.set_multi(entries)
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
        self.0.default_serializer()
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
