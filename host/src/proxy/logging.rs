//! [`Logging`]: the proxy `dogpile.proxy.logging`, which logs each call to the backend.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use dogpile_sdk::{
    BackendError, CacheBackend, CachedValue, Entry, ProxyBackend, StoreOptions, error_chain, register_proxy,
};
use serde::Deserialize;

use crate::log_targets::PROXY;
use crate::shorten::Shortened;

/// The arguments of the `dogpile.proxy.logging` entry point.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LoggingConfig {
    /// Label of the events, to distinguish regions. Default: `cache`.
    pub label: String,
}

impl Default for LoggingConfig {
    fn default() -> Self {
        LoggingConfig { label: "cache".to_owned() }
    }
}

register_proxy! {
    name: "dogpile.proxy.logging",
    config: LoggingConfig,
    build: |config, proxied| Ok::<_, BackendError>(Logging::new(config, proxied)),
}

/// A proxy that emits a `tracing` event for each call to the backend.
///
/// Calls that succeed are logged at level debug, with their outcome and duration. Calls that fail are logged at level
/// warn.
#[derive(Debug)]
pub struct Logging {
    label: String,
    proxied: Arc<dyn CacheBackend>,
}

impl Logging {
    /// Creates a proxy around `proxied`.
    pub fn new(config: LoggingConfig, proxied: Arc<dyn CacheBackend>) -> Self {
        Logging { label: config.label, proxied }
    }

    fn logged<R>(
        &self,
        operation: &'static str,
        keys: &dyn fmt::Debug,
        call: impl FnOnce(&dyn CacheBackend) -> Result<R, BackendError>,
        outcome: impl FnOnce(&R) -> String,
    ) -> Result<R, BackendError> {
        let began = Instant::now();
        let result = call(&*self.proxied);
        let (label, keys, micros) = (&*self.label, Shortened(keys), began.elapsed().as_micros());
        match &result {
            // Check the level first: most hits are not logged and should not pay for formatting.
            Ok(value) if tracing::enabled!(target: PROXY, tracing::Level::DEBUG) => {
                let outcome = outcome(value);
                tracing::debug!(target: PROXY, label, operation, %keys, outcome, micros, "backend called");
            }
            Ok(_) => {}
            Err(error) => {
                let (server, error) = (error.server(), error_chain(error));
                tracing::warn!(target: PROXY, label, operation, %keys, server, %error, micros, "backend failed");
            }
        }
        result
    }
}

fn done(_: &()) -> String {
    "done".to_owned()
}

impl ProxyBackend for Logging {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.proxied
    }

    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        let outcome = |found: &Option<_>| if found.is_some() { "hit" } else { "miss" }.to_owned();
        self.logged("get", &key, |proxied| proxied.get(key), outcome)
    }

    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        self.logged("set", &key, |proxied| proxied.set(key, value, options), done)
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.logged("delete", &key, |proxied| proxied.delete(key), done)
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        let outcome = |found: &Vec<Option<_>>| {
            let hits = found.iter().flatten().count();
            format!("{hits} of {} hit", found.len())
        };
        self.logged("get_multi", &keys, |proxied| proxied.get_multi(keys), outcome)
    }

    fn set_multi(&self, entries: Vec<Entry>) -> Result<(), BackendError> {
        let keys: Vec<String> = entries.iter().map(|entry| entry.key.clone()).collect();
        self.logged("set_multi", &keys, |proxied| proxied.set_multi(entries), done)
    }

    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        self.logged("delete_multi", &keys, |proxied| proxied.delete_multi(keys), done)
    }
}
