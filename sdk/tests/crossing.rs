//! Backends and mutexes that cross the FFI boundary and come back, within one binary.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dogpile_sdk::{
    BackendError, CacheBackend, CacheMutex, CachedValue, ErrorKind, ExportedBackend, LoadedBackend,
};

/// Records the deadlines of its mutexes.
#[derive(Clone, Debug, Default)]
struct Recording {
    deadlines: Arc<Mutex<Vec<Instant>>>,
    lost: Arc<AtomicBool>,
    renames: bool,
}

impl CacheBackend for Recording {
    fn get(&self, _key: &str) -> Result<Option<CachedValue>, BackendError> {
        Ok(None)
    }

    fn set(&self, _key: &str, _value: CachedValue) -> Result<(), BackendError> {
        Ok(())
    }

    fn delete(&self, _key: &str) -> Result<(), BackendError> {
        Ok(())
    }

    fn get_mutex(&self, _key: &str) -> Option<Arc<dyn CacheMutex>> {
        Some(Arc::new(self.clone()))
    }

    fn scope(&self) -> Option<String> {
        self.renames.then(|| "recording:1".to_owned())
    }

    fn store_key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        if self.renames { Cow::Owned(format!("renamed:{key}")) } else { Cow::Borrowed(key) }
    }
}

impl CacheMutex for Recording {
    fn try_acquire(&self) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn acquire_until(&self, deadline: Instant) -> Result<bool, BackendError> {
        self.deadlines.lock().expect("nothing panics meanwhile").push(deadline);
        Ok(false)
    }

    fn release(&self) -> Result<(), BackendError> {
        Err(BackendError::new(ErrorKind::NotHeld, "it was taken over"))
    }

    fn locked(&self) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn is_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }
}

/// Returns `backend` as the other side sees it.
fn crossed(backend: &Recording) -> LoadedBackend {
    LoadedBackend::new(ExportedBackend::object(Arc::new(backend.clone())), "test")
}

#[test]
fn mutex_calls_cross() {
    let backend = Recording::default();
    let mutex = crossed(&backend).get_mutex("key").unwrap();
    assert!(mutex.try_acquire().unwrap());
    assert!(mutex.locked().unwrap());
    assert_eq!(mutex.release().unwrap_err().kind(), ErrorKind::NotHeld);
    assert!(!mutex.is_lost());
    backend.lost.store(true, Ordering::SeqCst);
    assert!(mutex.is_lost());
}

#[test]
fn deadline_crosses_as_remaining_time() {
    let backend = Recording::default();
    let mutex = crossed(&backend).get_mutex("key").unwrap();
    let now = Instant::now();
    for deadline in [now, now + Duration::from_secs(60), now + Duration::from_secs(100_000_000_000)] {
        assert!(!mutex.acquire_until(deadline).unwrap());
    }
    let crossed = backend.deadlines.lock().unwrap();
    assert!(crossed[0] <= Instant::now(), "a past deadline leaves no time to wait");
    assert!(crossed[1] >= now + Duration::from_secs(60));
    assert!(crossed[1] <= Instant::now() + Duration::from_secs(60));
    assert!(crossed[2] > now + Duration::from_secs(10_000_000_000), "a distant deadline saturates");
}

#[test]
fn scope_and_store_key_cross() {
    let plain = crossed(&Recording::default());
    assert_eq!((plain.scope(), plain.store_key("key")), (None, Cow::Borrowed("key")));
    let renaming = crossed(&Recording { renames: true, ..Recording::default() });
    assert_eq!(renaming.scope().as_deref(), Some("recording:1"));
    assert_eq!(renaming.store_key("key"), "renamed:key");
}
