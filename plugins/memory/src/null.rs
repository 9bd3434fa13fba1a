//! [`NullBackend`]: `dogpile.cache.null`.

// Source: dogpile.cache `backends/null.py`.

use std::sync::Arc;
use std::time::Instant;

use dogpile_sdk::{
    BackendError, CacheBackend, CacheMutex, CachedValue, Capabilities, NoArguments, StoreOptions,
    register_backend,
};

use crate::config::FOREIGN;

register_backend! {
    name: "dogpile.cache.null",
    config: NoArguments,
    foreign: FOREIGN,
    build: |_| Ok::<_, BackendError>(NullBackend),
}

/// A backend that stores nothing. Every creator runs, and no caller waits for another.
// Source: dogpile.cache `backends/null.py`, `NullBackend`.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullBackend;

impl CacheBackend for NullBackend {
    fn get(&self, _key: &str) -> Result<Option<CachedValue>, BackendError> {
        Ok(None)
    }

    fn set(&self, _key: &str, _value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
        Ok(())
    }

    fn delete(&self, _key: &str) -> Result<(), BackendError> {
        Ok(())
    }

    fn get_mutex(&self, _key: &str) -> Option<Arc<dyn CacheMutex>> {
        Some(Arc::new(NullMutex))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().without_storage().with_immediate(true)
    }
}

/// A mutex that can always be acquired and is never held.
// Source: dogpile.cache `backends/null.py`, `NullLock`.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullMutex;

impl CacheMutex for NullMutex {
    fn try_acquire(&self) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn acquire_until(&self, _deadline: Instant) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn release(&self) -> Result<(), BackendError> {
        Ok(())
    }

    fn locked(&self) -> Result<bool, BackendError> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use dogpile_sdk::{Arguments, BackendEntry, CreationTime, Entry, Metadata, Object, Payload};

    use super::*;

    fn value() -> CachedValue {
        let metadata = Metadata::new(CreationTime::from_seconds(1.0));
        CachedValue { payload: Payload::Object(Object::new(7)), metadata }
    }

    fn keys() -> [&'static str; 3] {
        ["a", "b", "c"]
    }

    /// Behavior: `null-get`, `null-set-discards`
    #[test]
    fn set_value_is_not_stored() {
        assert_eq!(NullBackend.get("a").unwrap(), None);
        NullBackend.set("a", value(), &StoreOptions::new()).unwrap();
        assert_eq!(NullBackend.get("a").unwrap(), None);
        assert!(!NullBackend.capabilities().stores);
    }

    /// Behavior: `null-delete`
    #[test]
    fn delete_succeeds_without_effect() {
        NullBackend.delete("a").unwrap();
        assert_eq!(NullBackend.get("a").unwrap(), None);
    }

    /// Behavior: `null-multi-get`, `null-multi-set-discards`
    #[test]
    fn set_values_are_not_stored() {
        assert_eq!(NullBackend.get_multi(&keys()).unwrap(), [None, None, None]);
        NullBackend.set_multi(keys().map(|key| Entry::new(key, value())).into()).unwrap();
        assert_eq!(NullBackend.get_multi(&keys()).unwrap(), [None, None, None]);
    }

    /// Behavior: `null-multi-delete`
    #[test]
    fn delete_multi_succeeds_without_effect() {
        NullBackend.delete_multi(&keys()).unwrap();
        assert_eq!(NullBackend.get_multi(&keys()).unwrap(), [None, None, None]);
    }

    /// Behavior: `null-mutex-always-acquires`
    #[test]
    fn mutex_is_always_acquired() {
        let mutex = NullBackend.get_mutex("a").unwrap();
        assert!(mutex.acquire_until(Instant::now()).unwrap());
        mutex.release().unwrap();
        assert!(mutex.try_acquire().unwrap());
        mutex.release().unwrap();
    }

    /// Behavior: `null-mutex-does-not-exclude`
    #[test]
    fn mutex_does_not_exclude() {
        let mutex = NullBackend.get_mutex("a").unwrap();
        assert!(mutex.acquire_until(Instant::now()).unwrap());
        assert!(mutex.try_acquire().unwrap());
        assert!(!mutex.locked().unwrap());
    }

    #[test]
    fn backend_is_found_by_name() {
        let entry = BackendEntry::linked().find(|entry| entry.name == "dogpile.cache.null").unwrap();
        let backend = (entry.build)(Arguments::default()).unwrap();
        assert_eq!(format!("{backend:?}"), "NullBackend");
    }
}
