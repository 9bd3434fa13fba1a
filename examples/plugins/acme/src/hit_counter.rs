//! `acme.hit_counter`: a proxy that counts hits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use dogpile_sdk::{BackendError, CacheBackend, CachedValue, ProxyBackend, register_proxy};
use serde::Deserialize;

/// Arguments of the `acme.hit_counter` entry point.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HitCounterConfig {
    /// Label of the log records. Default: `cache`.
    pub label: String,
    /// Number of reads between two log records, at least 1. Default: 1000.
    pub log_every: u64,
}

impl Default for HitCounterConfig {
    fn default() -> Self {
        HitCounterConfig { label: "cache".to_owned(), log_every: 1000 }
    }
}

register_proxy! {
    name: "acme.hit_counter",
    config: HitCounterConfig,
    build: HitCounter::new,
}

/// Counts the reads of the wrapped backend and the hits among them. Logs both at level info.
#[derive(Debug)]
pub struct HitCounter {
    config: HitCounterConfig,
    reads: AtomicU64,
    hits: AtomicU64,
    proxied: Arc<dyn CacheBackend>,
}

impl HitCounter {
    /// Wraps `proxied`.
    ///
    /// # Errors
    /// If `log_every` is 0.
    pub fn new(config: HitCounterConfig, proxied: Arc<dyn CacheBackend>) -> Result<Self, String> {
        if config.log_every == 0 {
            return Err("invalid argument \"log_every\": 0 is too low; use at least 1".to_owned());
        }
        Ok(HitCounter { config, reads: AtomicU64::new(0), hits: AtomicU64::new(0), proxied })
    }

    /// Returns the number of reads that found a value.
    pub fn hits(&self) -> u64 {
        self.hits.load(Relaxed)
    }

    /// Returns the number of reads.
    pub fn reads(&self) -> u64 {
        self.reads.load(Relaxed)
    }

    fn count(&self, found: &Option<CachedValue>) {
        let hits = self.hits.fetch_add(found.is_some().into(), Relaxed) + u64::from(found.is_some());
        let reads = self.reads.fetch_add(1, Relaxed) + 1;
        if reads.is_multiple_of(self.config.log_every) {
            log::info!("{}: {hits} of {reads} reads hit", self.config.label);
        }
    }
}

/// Override the reads only. All other calls are forwarded to the wrapped backend.
impl ProxyBackend for HitCounter {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.proxied
    }

    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        let found = self.proxied.get(key)?;
        self.count(&found);
        Ok(found)
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        let found = self.proxied.get_multi(keys)?;
        found.iter().for_each(|found| self.count(found));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use dogpile_sdk::{
        Arguments, CreationTime, ErrorKind, Metadata, Object, Payload, ProxyEntry, StoreOptions,
    };

    use super::*;
    use crate::Shelf;

    fn counter() -> HitCounter {
        HitCounter::new(HitCounterConfig::default(), Arc::new(Shelf::default())).unwrap()
    }

    #[test]
    fn single_and_multiple_reads_are_counted() {
        let counter = counter();
        let metadata = Metadata::new(CreationTime::from_seconds(1.0));
        counter
            .set(
                "a",
                CachedValue { payload: Payload::Object(Object::new(7)), metadata },
                &StoreOptions::new(),
            )
            .unwrap();
        counter.get("a").unwrap();
        counter.get("b").unwrap();
        counter.get_multi(&["a", "b", "a"]).unwrap();
        assert_eq!((counter.hits(), counter.reads()), (3, 5));
    }

    #[test]
    fn wrong_argument_is_refused_by_name() {
        let entry = ProxyEntry::linked().find(|entry| entry.name == "acme.hit_counter").unwrap();
        let build = |name: &str| {
            let arguments = std::collections::HashMap::from([(name, 0)]);
            (entry.build)(Arguments::from_serialize(arguments).unwrap(), Arc::new(Shelf::default()))
                .unwrap_err()
        };
        assert_eq!(build("log_every").kind(), ErrorKind::Configuration);
        assert!(build("log_evry").to_string().contains("did you mean \"log_every\"?"));
    }
}
