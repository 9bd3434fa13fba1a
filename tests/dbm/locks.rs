//! Locks and serializers that the user provides.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use dogpile::RegionConfig;
use dogpile::lock::{ReadGuard, ReadWriteMutex, WriteGuard};
use dogpile::sdk::{BackendError, BytesBackend, CacheBackend, Enveloped, ErrorKind, StoreOptions};
use dogpile_conformance::{Setup, Stop, check};
use dogpile_dbm::{AbstractFileLock, DbmBackend, DbmConfig, LockFactory, Lockfile};
use dogpile_tests::regions::region_of;
use dogpile_tests::threads::{bounded, together};
use parking_lot::Mutex;

use super::{DBM, Place};

/// The library's mutex for readers and writers, used as the lock of a file. The thread that acquired it releases it,
/// as in every call of the backend.
#[derive(Debug)]
struct MutexLock {
    mutex: &'static ReadWriteMutex,
    number: usize,
}

enum Guard {
    Read(#[expect(dead_code, reason = "held")] ReadGuard<'static>),
    Write(#[expect(dead_code, reason = "held")] WriteGuard<'static>),
}

thread_local! {
    /// The guards, by the number of the holder.
    static HELD: RefCell<HashMap<usize, Guard>> = RefCell::default();
}

impl MutexLock {
    /// Returns a holder of the mutex called `path`.
    fn of(path: &Path) -> Self {
        static MUTEXES: Mutex<Option<HashMap<PathBuf, &'static ReadWriteMutex>>> = Mutex::new(None);
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let mut mutexes = MUTEXES.lock();
        let named = mutexes.get_or_insert_default().entry(path.to_owned());
        let mutex = *named.or_insert_with(|| Box::leak(Box::default()));
        MutexLock { mutex, number: NEXT.fetch_add(1, SeqCst) }
    }

    fn acquire(&self, wait: Duration, attempt: fn(&'static ReadWriteMutex) -> Option<Guard>) -> bool {
        let start = Instant::now();
        loop {
            if let Some(guard) = attempt(self.mutex) {
                HELD.with_borrow_mut(|held| held.insert(self.number, guard));
                return true;
            }
            if start.elapsed() >= wait {
                return false;
            }
            thread::yield_now();
        }
    }

    fn release(&self) -> Result<(), BackendError> {
        let held = HELD.with_borrow_mut(|held| held.remove(&self.number));
        held.map(drop).ok_or_else(|| BackendError::new(ErrorKind::NotHeld, "this thread did not acquire it"))
    }
}

impl AbstractFileLock for MutexLock {
    fn acquire_read_lock(&self, wait: Duration) -> Result<bool, BackendError> {
        Ok(self.acquire(wait, |mutex| mutex.try_read().map(Guard::Read)))
    }

    fn acquire_write_lock(&self, wait: Duration) -> Result<bool, BackendError> {
        Ok(self.acquire(wait, |mutex| mutex.try_write().map(Guard::Write)))
    }

    fn release_read_lock(&self) -> Result<(), BackendError> {
        self.release()
    }

    fn release_write_lock(&self) -> Result<(), BackendError> {
        self.release()
    }

    fn is_held(&self) -> bool {
        HELD.with_borrow(|held| held.contains_key(&self.number))
    }
}

fn backend(path: PathBuf) -> Result<Arc<dyn CacheBackend>, BackendError> {
    let mut config = DbmConfig::new(path);
    config.dogpile_lockfile = Some(Lockfile::Switch(false));
    let factory = LockFactory::new(|path| Ok(Box::new(MutexLock::of(path))));
    Ok(Arc::new(Enveloped::new(DbmBackend::with_lock_factory(config, factory)?)))
}

/// DIFFERENCE: it is the lock of readers and writers only. Another thread may release the creators' lock, which a
/// guard cannot do.
///
/// Behavior: `rwlock-as-dbm-lock`
#[test]
fn read_write_mutex_of_the_library_serves_as_a_file_lock() {
    let place = Place::new(DBM);
    let (folder, built) = (place.folder.path().to_owned(), AtomicUsize::new(0));
    let setup =
        Setup::new("dbm over a mutex", move || backend(folder.join(built.fetch_add(1, SeqCst).to_string())));
    let failed: Vec<_> = check(&setup)
        .into_iter()
        .filter_map(|(case, outcome)| match outcome {
            Ok(()) | Err(Stop::Skipped(_)) => None,
            Err(stop) => Some((case, stop)),
        })
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
}

/// Behavior: `rwlock-serialises-dbm-access-of-threads`
#[test]
fn threads_regenerating_a_key_over_the_mutex_exclude_each_other() {
    bounded(|| {
        let place = Place::new(DBM);
        let config = RegionConfig::from_instance(backend(place.file()).unwrap());
        let region = region_of("over a mutex", config.expiration_time(Duration::from_nanos(1)));
        let (inside, created) = (AtomicUsize::new(0), AtomicUsize::new(0));
        together(10, |_| {
            for _ in 0..20 {
                let made = region.get_or_create("key", || {
                    assert_eq!(inside.fetch_add(1, SeqCst), 0, "two create at once");
                    thread::yield_now();
                    inside.fetch_sub(1, SeqCst);
                    created.fetch_add(1, SeqCst)
                });
                assert!(made.unwrap() < 200);
            }
        });
        assert!(created.into_inner() > 2);
    });
}

/// Behavior: `dbm-custom-serializer`
#[test]
fn values_are_stored_in_the_form_of_the_serializer() {
    for serializer in ["json", "msgpack", "pickle"] {
        let place = Place::new(DBM);
        let arguments = serde_json::json!({ "filename": place.file() });
        let config = RegionConfig::new(DBM).arguments(arguments).serializer_named(serializer);
        let region = region_of("serialized", config);
        let value = (vec![1, 2], Some("text".to_owned()));
        region.set("key", value.clone()).unwrap();
        assert_eq!(region.get("key").unwrap(), Some(value));
        let stored = DbmBackend::new(DbmConfig::new(place.file())).unwrap().get("key").unwrap().unwrap();
        assert!(stored.starts_with(b"{\"ct\": "), "{serializer}");
        let payload = stored.iter().position(|byte| *byte == b'|').unwrap() + 1;
        if serializer == "json" {
            assert_eq!(&stored[payload..], b"[[1,2],\"text\"]");
        }
        DbmBackend::new(DbmConfig::new(place.file()))
            .unwrap()
            .set("key", &stored[..payload], &StoreOptions::new())
            .unwrap();
        assert_eq!(region.get::<(Vec<i32>, Option<String>)>("key").unwrap(), None, "{serializer}");
    }
}
