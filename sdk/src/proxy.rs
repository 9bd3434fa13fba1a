//! [`ProxyBackend`]: a wrapper around a backend, and the bridge that makes a [`CacheBackend`] of it.

// Source: dogpile.cache `proxy.py`, `ProxyBackend`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::backend::{CacheBackend, KeyMangler};
use crate::capabilities::Capabilities;
use crate::error::BackendError;
use crate::mutex::CacheMutex;
use crate::operations::Operations;
use crate::options::{Entry, StoreOptions};
use crate::value::CachedValue;

/// A wrapper around a backend. It implements the methods that it changes; all others forward to [`proxied`].
///
/// Values arrive with their metadata. A `_multi` call does not go through the single form, so override both. A proxy
/// that only changes values implements [`ValueProxy`](crate::ValueProxy) instead, which has one pair of methods for all
/// forms.
///
/// The rules of [`CacheBackend`] hold for a proxy too: any thread may make any call, several at a time, and a key may
/// occur twice in one. Pass on the options of a value unchanged. A panic of a proxy is treated as one of the backend. A
/// linked proxy and a loaded one work alike.
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
    /// Returns the wrapped backend, always the same one. Each call that is not overridden goes to it.
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
    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        self.proxied().set(key, value, options)
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
    fn set_multi(&self, entries: Vec<Entry>) -> Result<(), BackendError> {
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

    /// See [`CacheBackend::store_key`]. A proxy that renames keys overrides this method, and passes the renamed key to
    /// the wrapped backend's `store_key`.
    fn store_key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        self.proxied().store_key(key)
    }

    /// See [`CacheBackend::capabilities`].
    ///
    /// The default returns those of the wrapped backend, except that [`immediate`](Capabilities::immediate) is false,
    /// because the methods of this proxy may block. A proxy that never blocks sets it again.
    fn capabilities(&self) -> Capabilities {
        self.proxied().capabilities().with_immediate(false)
    }

    /// See [`CacheBackend::health`].
    #[allow(clippy::missing_errors_doc)]
    fn health(&self) -> Result<(), BackendError> {
        self.proxied().health()
    }

    /// See [`CacheBackend::close`].
    #[allow(clippy::missing_errors_doc)]
    fn close(&self) -> Result<(), BackendError> {
        self.proxied().close()
    }

    /// See [`CacheBackend::operations`]. The default is `None`, because the calls of the wrapped backend would bypass
    /// the proxy.
    fn operations(&self) -> Option<Arc<dyn Operations>> {
        None
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

    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        self.0.set(key, value, options)
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.0.delete(key)
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        self.0.get_multi(keys)
    }

    fn set_multi(&self, entries: Vec<Entry>) -> Result<(), BackendError> {
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

    fn store_key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        self.0.store_key(key)
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
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
