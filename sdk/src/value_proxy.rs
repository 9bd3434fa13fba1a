//! [`ValueProxy`]: a proxy that transforms values, in one pair of methods.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::backend::{CacheBackend, KeyMangler};
use crate::capabilities::Capabilities;
use crate::error::BackendError;
use crate::mutex::CacheMutex;
use crate::options::{Entry, StoreOptions};
use crate::value::CachedValue;

/// A proxy that transforms values on their way into a backend and out of it.
///
/// It encrypts, compresses, or checks values, for example. Every form of reading and storing goes through its two
/// methods, so that no form can be forgotten.
///
/// ```
/// use std::sync::Arc;
///
/// use dogpile_sdk::{BackendError, CacheBackend, CachedValue, ErrorKind, Payload, ValueProxy};
///
/// /// Stores the bytes of each value in reverse.
/// #[derive(Debug)]
/// struct Reversed(Arc<dyn CacheBackend>);
///
/// fn reverse(value: CachedValue) -> Option<CachedValue> {
///     let reversed: Vec<u8> = value.payload.as_bytes()?.iter().rev().copied().collect();
///     Some(CachedValue { payload: Payload::Bytes(reversed.into()), metadata: value.metadata })
/// }
///
/// impl ValueProxy for Reversed {
///     fn proxied(&self) -> &dyn CacheBackend { &*self.0 }
///
///     fn encode(&self, _key: &str, value: CachedValue) -> Result<CachedValue, BackendError> {
///         let problem = "cannot reverse an object: set a serializer for the region";
///         reverse(value).ok_or_else(|| BackendError::new(ErrorKind::InvalidValue, problem))
///     }
///
///     fn decode(&self, _key: &str, value: CachedValue) -> Result<Option<CachedValue>, BackendError> {
///         Ok(reverse(value))
///     }
/// }
/// ```
pub trait ValueProxy: fmt::Debug + Send + Sync + 'static {
    /// Returns the wrapped backend.
    fn proxied(&self) -> &dyn CacheBackend;

    /// Returns the form in which the wrapped backend stores `value`.
    ///
    /// # Errors
    /// If the value cannot be transformed. Nothing is stored then.
    fn encode(&self, key: &str, value: CachedValue) -> Result<CachedValue, BackendError>;

    /// Returns the value whose stored form is `value`, or `None` if it is not valid, which makes the key a miss.
    ///
    /// The store may hold values that this proxy did not encode. They must not panic.
    ///
    /// # Errors
    /// If the proxy itself fails. An invalid value is not an error.
    fn decode(&self, key: &str, value: CachedValue) -> Result<Option<CachedValue>, BackendError>;

    /// See [`CacheBackend::capabilities`].
    ///
    /// The default returns those of the wrapped backend. A proxy that blocks clears
    /// [`immediate`](Capabilities::immediate).
    fn capabilities(&self) -> Capabilities {
        self.proxied().capabilities()
    }
}

const _: fn(&dyn ValueProxy) = |_| {};

/// Creates a backend from `proxy`.
pub fn value_proxy(proxy: impl ValueProxy) -> Arc<dyn CacheBackend> {
    Arc::new(Transforming(proxy))
}

struct Transforming<P>(P);

impl<P: fmt::Debug> fmt::Debug for Transforming<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<P: ValueProxy> Transforming<P> {
    fn decode(&self, key: &str, found: Option<CachedValue>) -> Result<Option<CachedValue>, BackendError> {
        found.map_or(Ok(None), |value| self.0.decode(key, value))
    }
}

impl<P: ValueProxy> CacheBackend for Transforming<P> {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        self.decode(key, self.0.proxied().get(key)?)
    }

    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        self.0.proxied().set(key, self.0.encode(key, value)?, options)
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.0.proxied().delete(key)
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        let found = self.0.proxied().get_multi(keys)?;
        keys.iter().zip(found).map(|(key, found)| self.decode(key, found)).collect()
    }

    fn set_multi(&self, mut entries: Vec<Entry>) -> Result<(), BackendError> {
        for entry in &mut entries {
            entry.value = self.0.encode(&entry.key, entry.value.clone())?;
        }
        self.0.proxied().set_multi(entries)
    }

    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        self.0.proxied().delete_multi(keys)
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        self.0.proxied().get_mutex(key)
    }

    fn key_mangler(&self) -> Option<KeyMangler> {
        self.0.proxied().key_mangler()
    }

    fn store_key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        self.0.proxied().store_key(key)
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn health(&self) -> Result<(), BackendError> {
        self.0.proxied().health()
    }

    fn close(&self) -> Result<(), BackendError> {
        self.0.proxied().close()
    }
}
