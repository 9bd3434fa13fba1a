//! [`ProxyBackend`]: a wrapper around a backend, and the one bridge that makes a backend of it.

use std::fmt;
use std::sync::Arc;

use crate::backend::{CacheBackend, Capabilities, KeyMangler};
use crate::error::BackendError;
use crate::mutex::CacheMutex;
use crate::value::CachedValue;

/// A wrapper around a backend that names only what it changes; everything else goes on to [`proxied`].
///
/// Values arrive with their metadata, whatever lies beneath: a proxy that overrides `get` sees every single get.
/// The `_multi` calls are calls of their own, though, and so are forwarded as they are.
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
/// Source: dogpile.cache `proxy.py`, `ProxyBackend`.
///
/// [`proxied`]: ProxyBackend::proxied
pub trait ProxyBackend: fmt::Debug + Send + Sync + 'static {
    /// The next backend in.
    fn proxied(&self) -> &dyn CacheBackend;

    /// See [`CacheBackend::get`].
    ///
    /// # Errors
    /// As there, and so for the methods below.
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

    /// See [`CacheBackend::lock_scope`]. A proxy that gives keys other names answers a number of its own, such as a
    /// hash of how it names them and of the number of what it wraps: else a key here would share its lock with the
    /// key of the same name beneath.
    fn lock_scope(&self) -> Option<u64> {
        self.proxied().lock_scope()
    }

    /// See [`CacheBackend::capabilities`].
    fn capabilities(&self) -> Capabilities {
        self.proxied().capabilities()
    }
}

const _: fn(&dyn ProxyBackend) = |_| {};

/// `proxy` as a backend.
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

    fn lock_scope(&self) -> Option<u64> {
        self.0.lock_scope()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
}
