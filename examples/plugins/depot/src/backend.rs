//! [`MokaBackend`]: `depot.moka`.

use dogpile_sdk::{
    BackendError, CacheBackend, CachedValue, Capabilities, ErrorKind, Payload, StoreOptions, register_backend,
};
use moka::sync::Cache;

use crate::config::{MokaConfig, time};

register_backend! {
    name: "depot.moka",
    config: MokaConfig,
    build: |config: MokaConfig| MokaBackend::new(&config),
}

/// Values in a bounded cache of this process, which drops what is used least.
///
/// It keeps what it is given: an object stays the very object, without being serialised. It has no mutex, so that
/// creators are kept apart within the process.
#[derive(Debug)]
pub struct MokaBackend {
    cache: Cache<String, CachedValue>,
    max_value_bytes: u64,
    drops_by_time: bool,
}

impl MokaBackend {
    /// An empty cache.
    ///
    /// # Errors
    /// If an argument is wrong.
    pub fn new(config: &MokaConfig) -> Result<Self, BackendError> {
        config.check()?;
        let live = time("time_to_live", config.time_to_live)?;
        let idle = time("time_to_idle", config.time_to_idle)?;
        let mut cache = Cache::builder().max_capacity(config.max_entries);
        if let Some(live) = live {
            cache = cache.time_to_live(live);
        }
        if let Some(idle) = idle {
            cache = cache.time_to_idle(idle);
        }
        Ok(MokaBackend {
            cache: cache.build(),
            max_value_bytes: config.max_value_bytes,
            drops_by_time: live.is_some() || idle.is_some(),
        })
    }
}

impl CacheBackend for MokaBackend {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        Ok(self.cache.get(key))
    }

    fn set(&self, key: &str, value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
        if let Payload::Bytes(bytes) = &value.payload
            && bytes.len() as u64 > self.max_value_bytes
        {
            let message =
                format!("the value has {} bytes, and may have {}", bytes.len(), self.max_value_bytes);
            return Err(BackendError::new(ErrorKind::InvalidValue, message).during("set").for_key(key));
        }
        self.cache.insert(key.to_owned(), value);
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.cache.invalidate(key);
        Ok(())
    }

    /// What the host may count on: it reports values above the limit itself, and knows that values may vanish.
    fn capabilities(&self) -> Capabilities {
        let able = Capabilities::default().with_value_limit(self.max_value_bytes);
        if self.drops_by_time { able.with_native_expiry() } else { able }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use dogpile_sdk::{Arguments, BackendEntry};

    fn refused(arguments: &[(&str, f64)]) -> String {
        let entry = BackendEntry::linked().find(|entry| entry.name == "depot.moka").unwrap();
        let arguments: std::collections::BTreeMap<_, _> = arguments.iter().copied().collect();
        (entry.build)(Arguments::from_serialize(arguments).unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn wrong_arguments_are_refused_by_name() {
        assert!(refused(&[("time_to_live", -1.0)]).contains("\"time_to_live\" of depot.moka is -1"));
        assert!(refused(&[("time_to_idle", 1e18)]).contains("\"time_to_idle\""));
        assert!(refused(&[("max_entrys", 5.0)]).contains("did you mean \"max_entries\"?"));
    }
}
