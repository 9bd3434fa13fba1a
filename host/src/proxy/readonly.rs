//! [`ReadOnly`]: the proxy `dogpile.proxy.readonly`, which rejects writes.

use std::sync::Arc;

use dogpile_sdk::{
    BackendError, CacheBackend, CachedValue, Entry, ErrorKind, NoArguments, ProxyBackend, StoreOptions,
    register_proxy,
};

register_proxy! {
    name: "dogpile.proxy.readonly",
    config: NoArguments,
    build: |_, proxied| Ok::<_, BackendError>(ReadOnly::new(proxied)),
}

/// A proxy that rejects every write with an error of kind [`ErrorKind::Refused`].
///
/// It is for a process that must not change a cache that others fill.
#[derive(Debug)]
pub struct ReadOnly(Arc<dyn CacheBackend>);

impl ReadOnly {
    /// Creates a proxy around `proxied`.
    pub fn new(proxied: Arc<dyn CacheBackend>) -> Self {
        ReadOnly(proxied)
    }
}

fn refused(operation: &str) -> BackendError {
    let message = "the region is read-only: its configuration wraps it in dogpile.proxy.readonly";
    BackendError::new(ErrorKind::Refused, message).during(operation)
}

impl ProxyBackend for ReadOnly {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.0
    }

    fn set(&self, key: &str, _value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
        Err(refused("set").for_key(key))
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        Err(refused("delete").for_key(key))
    }

    fn set_multi(&self, _entries: Vec<Entry>) -> Result<(), BackendError> {
        Err(refused("set_multi"))
    }

    fn delete_multi(&self, _keys: &[&str]) -> Result<(), BackendError> {
        Err(refused("delete_multi"))
    }
}
