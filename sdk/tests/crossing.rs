//! Backends and mutexes that cross the FFI boundary and come back, within one binary.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dogpile_sdk::{
    Attributes, BackendError, CacheBackend, CacheMutex, CachedValue, Capabilities, CreationTime, Entry,
    ErrorKind, ExportedBackend, Fence, LoadedBackend, Metadata, Payload, StoreOptions,
};

/// Keeps one value, and records the deadlines of its mutexes and the options of its stores.
#[derive(Clone, Debug, Default)]
struct Recording {
    deadlines: Arc<Mutex<Vec<Instant>>>,
    stored: Arc<Mutex<Vec<Entry>>>,
    lost: Arc<AtomicBool>,
    renames: bool,
}

fn value(bytes: &[u8]) -> CachedValue {
    let attributes = Attributes::from_members(r#""d.a": 1"#);
    let metadata = Metadata::new(CreationTime::from_seconds(1.5)).with_attributes(attributes);
    CachedValue { payload: Payload::Bytes(bytes.into()), metadata }
}

impl CacheBackend for Recording {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        let stored = self.stored.lock().expect("nothing panics meanwhile");
        Ok(stored.iter().rfind(|entry| entry.key == key).map(|entry| entry.value.clone()))
    }

    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        let entry = Entry::new(key, value).with_options(options.clone());
        self.stored.lock().expect("nothing panics meanwhile").push(entry);
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        let error = BackendError::new(ErrorKind::Configuration, "the store is read-only").during("delete");
        let error = error.for_key(key).at_server("cache1:6379").for_argument("db");
        Err(error.with_source(std::io::Error::other("no space left")))
    }

    fn get_mutex(&self, _key: &str) -> Option<Arc<dyn CacheMutex>> {
        Some(Arc::new(self.clone()))
    }

    fn capabilities(&self) -> Capabilities {
        let capabilities = Capabilities::default()
            .with_fencing()
            .with_immediate(true)
            .with_serializer("json")
            .with_reserved_prefix("_lock");
        if self.renames { capabilities.with_scope("recording:1") } else { capabilities }
    }

    fn health(&self) -> Result<(), BackendError> {
        Err(BackendError::new(ErrorKind::Unavailable, "the store is down"))
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

    fn fence(&self) -> Option<Fence> {
        Some(Fence::new(&b"token"[..]))
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
    assert_eq!(mutex.fence().expect("the mutex has a fence").as_bytes(), b"token");
}

#[test]
fn values_cross_with_their_attributes() {
    let backend = crossed(&Recording::default());
    backend.set("key", value(b"x"), &StoreOptions::new()).unwrap();
    assert_eq!(backend.get("key").unwrap(), Some(value(b"x")));
    let mut lent = None;
    assert!(backend.get_with("key", &mut |found| lent = Some(found.clone())).unwrap());
    assert_eq!(lent, Some(value(b"x")));
    assert!(!backend.get_with("missing", &mut |_| panic!("there is no value")).unwrap());
}

#[test]
fn panic_of_a_visitor_reaches_the_caller() {
    let backend = crossed(&Recording::default());
    backend.set("key", value(b"x"), &StoreOptions::new()).unwrap();
    let visit = || backend.get_with("key", &mut |_| panic!("visited"));
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(visit)).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"visited"));
    assert!(backend.get("key").unwrap().is_some(), "the backend keeps working");
}

#[test]
fn store_options_cross() {
    let recording = Recording::default();
    let backend = crossed(&recording);
    let some =
        StoreOptions::new().with_keep_for(Duration::from_millis(1500)).with_fence(Fence::new(&b"x"[..]));
    let kept = StoreOptions::new().with_keep_for(Duration::MAX);
    backend.set("a", value(b"a"), &some).unwrap();
    let entries = [("b", &some), ("c", &StoreOptions::new()), ("d", &kept)];
    let entries = entries.map(|(key, options)| Entry::new(key, value(b"x")).with_options(options.clone()));
    backend.set_multi(entries.into()).unwrap();
    let stored = recording.stored.lock().unwrap();
    let longest = Duration::from_nanos(u64::MAX);
    let seen: Vec<_> = stored.iter().map(|entry| (&*entry.key, entry.options.keep_for)).collect();
    let lifetime = Some(Duration::from_millis(1500));
    assert_eq!(seen, [("a", lifetime), ("b", lifetime), ("c", None), ("d", Some(longest))]);
    assert_eq!((&stored[0].options, &stored[1].options), (&some, &some));
}

#[test]
fn errors_cross_with_all_their_parts() {
    let error = crossed(&Recording::default()).delete("key").unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Configuration, "the store is read-only")
    );
    assert_eq!((error.operation(), error.key()), (Some("delete"), Some("key")));
    assert_eq!((error.server(), error.argument()), (Some("cache1:6379"), Some("db")));
    let source = std::error::Error::source(&error).expect("the cause crosses");
    assert_eq!(source.to_string(), "no space left");
    let error = crossed(&Recording::default()).health().unwrap_err();
    assert!(error.is_transient());
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
fn capabilities_and_store_key_cross() {
    let (plain, renaming) = (Recording::default(), Recording { renames: true, ..Recording::default() });
    for recording in [&plain, &renaming] {
        assert_eq!(crossed(recording).capabilities(), recording.capabilities());
    }
    assert_eq!(crossed(&plain).store_key("key"), Cow::Borrowed("key"));
    let renaming = crossed(&renaming);
    assert_eq!(renaming.capabilities().scope.as_deref(), Some("recording:1"));
    assert_eq!(renaming.store_key("key"), "renamed:key");
}
