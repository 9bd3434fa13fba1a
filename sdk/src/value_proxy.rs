//! [`ValueProxy`]: a proxy that transforms values, in one pair of methods.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::backend::{CacheBackend, KeyMangler};
use crate::capabilities::Capabilities;
use crate::completion::Completion;
use crate::error::BackendError;
use crate::mutex::CacheMutex;
use crate::operations::Operations;
use crate::options::{Entry, StoreOptions};
use crate::running::Running;
use crate::value::CachedValue;

/// A proxy that transforms values on their way into a backend and out of it.
///
/// It encrypts, compresses, or checks values, for example. Every form of reading and storing goes through its two
/// methods, so that no form can be forgotten: single, `_multi`, blocking, and asynchronous. All other calls go to the
/// wrapped backend. If that has asynchronous calls, so has the proxy.
///
/// # For implementors
/// * Each value of a call is transformed once, in the order of the call, also if a key occurs twice. The key is that of
///   this proxy. It is borrowed for the call alone.
/// * Any thread may call both methods, several at a time. They never block: with an asynchronous backend, `encode` runs
///   in the task that stores, and `decode` on the thread that delivers the reply. A proxy that waits for something,
///   such as a server with keys, implements [`ProxyBackend`](crate::ProxyBackend).
/// * Keep the metadata, which holds the creation time. The payload is an [`Object`](crate::Payload::Object) if the
///   region has no serializer; an object cannot be transformed.
/// * A value that is not stored, or not valid, affects its own call alone. A panic is treated as one of the backend.
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
    /// Returns the wrapped backend, always the same one.
    fn proxied(&self) -> &dyn CacheBackend;

    /// Returns the form in which the wrapped backend stores `value`.
    ///
    /// # Errors
    /// If the value cannot be transformed. The call stores nothing then, and none of the other values of `set_multi`.
    fn encode(&self, key: &str, value: CachedValue) -> Result<CachedValue, BackendError>;

    /// Returns the value whose stored form is `value`, or `None` if it is not valid, which makes the key a miss.
    ///
    /// The store may hold values that this proxy did not encode, such as older ones or damaged ones. They must not make
    /// it panic.
    ///
    /// # Errors
    /// If the proxy itself fails. The call then returns no value of any of its keys. An invalid value is not an error.
    fn decode(&self, key: &str, value: CachedValue) -> Result<Option<CachedValue>, BackendError>;

    /// See [`CacheBackend::capabilities`].
    ///
    /// The default returns those of the wrapped backend. A proxy whose values grow lowers
    /// [`max_value_bytes`](Capabilities::max_value_bytes). One that takes long for a value clears
    /// [`immediate`](Capabilities::immediate), so that tasks do not transform values of a store in memory themselves.
    fn capabilities(&self) -> Capabilities {
        self.proxied().capabilities()
    }
}

const _: fn(&dyn ValueProxy) = |_| {};

/// Creates a backend from `proxy`.
pub fn value_proxy(proxy: impl ValueProxy) -> Arc<dyn CacheBackend> {
    Arc::new(Transforming(Arc::new(proxy)))
}

struct Transforming<P>(Arc<P>);

impl<P: fmt::Debug> fmt::Debug for Transforming<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<P: ValueProxy> CacheBackend for Transforming<P> {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        decode(&*self.0, key, self.0.proxied().get(key)?)
    }

    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        self.0.proxied().set(key, self.0.encode(key, value)?, options)
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.0.proxied().delete(key)
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        let found = self.0.proxied().get_multi(keys)?;
        keys.iter().zip(found).map(|(key, found)| decode(&*self.0, key, found)).collect()
    }

    fn set_multi(&self, entries: Vec<Entry>) -> Result<(), BackendError> {
        self.0.proxied().set_multi(encode_all(&*self.0, entries)?)
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
    fn operations(&self) -> Option<Arc<dyn Operations>> {
        let proxied = self.0.proxied().operations()?;
        Some(Arc::new(TransformingOperations { proxy: Arc::clone(&self.0), proxied }))
    }
}

/// The asynchronous calls of `proxy`.
struct TransformingOperations<P> {
    proxy: Arc<P>,
    /// The calls of the wrapped backend.
    proxied: Arc<dyn Operations>,
}

impl<P: ValueProxy> Operations for TransformingOperations<P> {
    fn begin_get(&self, key: &str, completion: Completion<Option<CachedValue>>) -> Running {
        let (proxy, owned) = (Arc::clone(&self.proxy), key.to_owned());
        self.proxied.begin_get(key, then(completion, move |found| decode(&*proxy, &owned, found)))
    }

    fn begin_get_multi(&self, keys: &[&str], completion: Completion<Vec<Option<CachedValue>>>) -> Running {
        let proxy = Arc::clone(&self.proxy);
        let owned: Vec<String> = keys.iter().map(|&key| key.to_owned()).collect();
        let decoded = move |found: Vec<_>| {
            owned.iter().zip(found).map(|(key, found)| decode(&*proxy, key, found)).collect()
        };
        self.proxied.begin_get_multi(keys, then(completion, decoded))
    }

    fn begin_set(
        &self,
        key: &str,
        value: CachedValue,
        options: &StoreOptions,
        completion: Completion<()>,
    ) -> Running {
        match self.proxy.encode(key, value) {
            Ok(encoded) => self.proxied.begin_set(key, encoded, options, completion),
            Err(error) => failed(completion, error),
        }
    }

    fn begin_set_multi(&self, entries: Vec<Entry>, completion: Completion<()>) -> Running {
        match encode_all(&*self.proxy, entries) {
            Ok(encoded) => self.proxied.begin_set_multi(encoded, completion),
            Err(error) => failed(completion, error),
        }
    }

    fn begin_delete(&self, key: &str, completion: Completion<()>) -> Running {
        self.proxied.begin_delete(key, completion)
    }

    fn begin_delete_multi(&self, keys: &[&str], completion: Completion<()>) -> Running {
        self.proxied.begin_delete_multi(keys, completion)
    }
}

impl<P: fmt::Debug> fmt::Debug for TransformingOperations<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.proxy.fmt(f)
    }
}

/// Creates a completion that changes a success by `change` and passes it on to `completion`.
fn then<T: Send + 'static>(
    completion: Completion<T>,
    change: impl FnOnce(T) -> Result<T, BackendError> + Send + 'static,
) -> Completion<T> {
    Completion::new(|outcome: Result<T, BackendError>| completion.complete(outcome.and_then(change)))
}

fn failed(completion: Completion<()>, error: BackendError) -> Running {
    completion.complete(Err(error));
    Running::done()
}

fn decode(
    proxy: &impl ValueProxy,
    key: &str,
    found: Option<CachedValue>,
) -> Result<Option<CachedValue>, BackendError> {
    found.map_or(Ok(None), |value| proxy.decode(key, value))
}

fn encode_all(proxy: &impl ValueProxy, mut entries: Vec<Entry>) -> Result<Vec<Entry>, BackendError> {
    for entry in &mut entries {
        entry.value = proxy.encode(&entry.key, entry.value.clone())?;
    }
    Ok(entries)
}
