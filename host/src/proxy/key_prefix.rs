//! `dogpile.proxy.key_prefix`: a proxy that prefixes every key, so that regions can share a store.

use std::borrow::Cow;
use std::sync::Arc;

use dogpile_sdk::{
    BackendError, CacheBackend, CacheMutex, CachedValue, Capabilities, Entry, ErrorKind, ProxyBackend,
    StoreOptions, register_proxy,
};
use serde::Deserialize;

/// Arguments of the `dogpile.proxy.key_prefix` entry point.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct KeyPrefixConfig {
    /// Prefix of every key, at least one character. Required.
    pub prefix: String,
}

register_proxy! {
    name: "dogpile.proxy.key_prefix",
    config: KeyPrefixConfig,
    build: |config: KeyPrefixConfig, proxied| KeyPrefix::new(config.prefix, proxied),
}

/// A proxy that adds a prefix to every key and to its mutex's name.
///
/// It receives mangled keys, so the prefix stays readable in the store.
#[derive(Debug)]
pub struct KeyPrefix {
    prefix: String,
    proxied: Arc<dyn CacheBackend>,
}

impl KeyPrefix {
    /// Creates the proxy around `proxied`.
    ///
    /// # Errors
    /// If the prefix is empty, or is reserved for locks or replaced keys.
    pub fn new(prefix: String, proxied: Arc<dyn CacheBackend>) -> Result<Self, BackendError> {
        let invalid = |why: &str| {
            let message = format!("invalid argument \"prefix\": {why}");
            Err(BackendError::new(ErrorKind::Configuration, message).for_argument("prefix"))
        };
        if prefix.is_empty() {
            return invalid("it is empty; set at least one character");
        }
        if proxied.capabilities().reserves_key(&prefix) {
            return invalid(&format!("{prefix:?} is reserved for locks or replaced keys; use another one"));
        }
        Ok(KeyPrefix { prefix, proxied })
    }

    fn prefixed(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn all_prefixed<R>(&self, keys: &[&str], call: impl FnOnce(&[&str]) -> R) -> R {
        let prefixed: Vec<String> = keys.iter().map(|key| self.prefixed(key)).collect();
        call(&prefixed.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

impl ProxyBackend for KeyPrefix {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.proxied
    }

    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        self.proxied.get(&self.prefixed(key))
    }

    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        self.proxied.set(&self.prefixed(key), value, options)
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.proxied.delete(&self.prefixed(key))
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        self.all_prefixed(keys, |keys| self.proxied.get_multi(keys))
    }

    fn set_multi(&self, mut entries: Vec<Entry>) -> Result<(), BackendError> {
        for entry in &mut entries {
            entry.key = self.prefixed(&entry.key);
        }
        self.proxied.set_multi(entries)
    }

    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        self.all_prefixed(keys, |keys| self.proxied.delete_multi(keys))
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        self.proxied.get_mutex(&self.prefixed(key))
    }

    fn store_key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        Cow::Owned(self.proxied.store_key(&self.prefixed(key)).into_owned())
    }

    fn capabilities(&self) -> Capabilities {
        self.proxied.capabilities().behind_prefix(&self.prefix)
    }
}
