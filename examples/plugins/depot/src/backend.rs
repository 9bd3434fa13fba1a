//! [`MokaBackend`]: `depot.moka`.

use std::time::{Duration, Instant};

use dogpile_sdk::{
    BackendError, CacheBackend, CachedValue, Capabilities, ErrorKind, Payload, StoreOptions, register_backend,
};
use moka::Expiry;
use moka::sync::Cache;

use crate::config::MokaConfig;

register_backend! {
    name: "depot.moka",
    config: MokaConfig,
    build: |config: MokaConfig| MokaBackend::new(&config),
}

/// Stores values in a bounded cache of this process. The values that are used least are dropped.
///
/// Objects are stored as they are, without being serialized. There is no mutex, because the region excludes the creators
/// of one process.
#[derive(Debug)]
pub struct MokaBackend {
    cache: Cache<String, Stored>,
    max_value_bytes: u64,
}

/// A value, and the time after which the cache may drop it.
#[derive(Clone, Debug)]
struct Stored {
    value: CachedValue,
    keep_for: Option<Duration>,
}

/// Applies the lifetime with which each value was stored.
struct OwnLifetime;

impl Expiry<String, Stored> for OwnLifetime {
    fn expire_after_create(&self, _key: &String, stored: &Stored, _now: Instant) -> Option<Duration> {
        stored.keep_for
    }

    fn expire_after_update(
        &self,
        _key: &String,
        stored: &Stored,
        _now: Instant,
        _left: Option<Duration>,
    ) -> Option<Duration> {
        stored.keep_for
    }
}

impl MokaBackend {
    /// Creates an empty cache.
    ///
    /// # Errors
    /// If an argument is invalid.
    pub fn new(config: &MokaConfig) -> Result<Self, BackendError> {
        config.check()?;
        let mut cache = Cache::builder().max_capacity(config.max_entries).expire_after(OwnLifetime);
        if let Some(live) = config.time_to_live {
            cache = cache.time_to_live(live);
        }
        if let Some(idle) = config.time_to_idle {
            cache = cache.time_to_idle(idle);
        }
        Ok(MokaBackend { cache: cache.build(), max_value_bytes: config.max_value_bytes })
    }
}

impl CacheBackend for MokaBackend {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        Ok(self.cache.get(key).map(|stored| stored.value))
    }

    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        if let Payload::Bytes(bytes) = &value.payload
            && bytes.len() as u64 > self.max_value_bytes
        {
            let message =
                format!("the value has {} bytes, but the limit is {}", bytes.len(), self.max_value_bytes);
            return Err(BackendError::new(ErrorKind::InvalidValue, message).during("set").for_key(key));
        }
        self.cache.insert(key.to_owned(), Stored { value, keep_for: options.keep_for });
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.cache.invalidate(key);
        Ok(())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
            .with_value_limit(self.max_value_bytes)
            .with_native_expiry()
            .with_immediate(true)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use dogpile_sdk::{Arguments, BackendEntry};

    fn refused(arguments: &[(&str, f64)]) -> String {
        let entry = BackendEntry::linked().find(|entry| entry.name == "depot.moka").unwrap();
        let arguments: std::collections::BTreeMap<_, _> = arguments.iter().copied().collect();
        (entry.build)(Arguments::from_serialize(arguments).unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn invalid_arguments_are_named() {
        assert!(refused(&[("time_to_live", -1.0)]).contains("invalid argument \"time_to_live\": "));
        assert!(refused(&[("time_to_live", 0.0)]).contains("expected a time above 0"));
        assert!(refused(&[("time_to_idle", 1e12)]).contains("invalid argument \"time_to_idle\": "));
        assert!(refused(&[("max_entrys", 5.0)]).contains("did you mean \"max_entries\"?"));
    }
}
