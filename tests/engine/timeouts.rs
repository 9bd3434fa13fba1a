//! A caller whose wait for the backend timed out does not wait again to release its mutexes.

use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::Instant;

use dogpile::RegionConfig;
use dogpile::sdk::{BackendError, CacheBackend, CacheMutex, ErrorKind, ProxyBackend};
use dogpile_tests::regions::region_of;
use dogpile_tests::scripted::Scripted;
use dogpile_tests::threads::until;
use parking_lot::Mutex;

/// The thread of each release.
type Releases = Arc<Mutex<Vec<ThreadId>>>;

/// Notes the threads that release mutexes.
#[derive(Debug)]
struct Noting(Arc<Scripted>, Releases);

impl ProxyBackend for Noting {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.0
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        let mutex = self.0.get_mutex(key)?;
        Some(Arc::new(NotingMutex(mutex, Arc::clone(&self.1))))
    }
}

#[derive(Debug)]
struct NotingMutex(Arc<dyn CacheMutex>, Releases);

impl CacheMutex for NotingMutex {
    fn try_acquire(&self) -> Result<bool, BackendError> {
        self.0.try_acquire()
    }

    fn acquire_until(&self, deadline: Instant) -> Result<bool, BackendError> {
        self.0.acquire_until(deadline)
    }

    fn release(&self) -> Result<(), BackendError> {
        self.1.lock().push(thread::current().id());
        self.0.release()
    }

    fn locked(&self) -> Result<bool, BackendError> {
        self.0.locked()
    }
}

/// Returns the threads that released the mutexes of a creation of two keys, while `operation` fails with `kind`.
fn releases(operation: &'static str, kind: ErrorKind) -> Vec<ThreadId> {
    let (store, releases) = (Scripted::with_mutexes(), Releases::default());
    let backend = dogpile::sdk::proxy(Noting(Arc::clone(&store), Arc::clone(&releases)));
    let region = region_of("timeouts", RegionConfig::from_instance(backend));
    store.fail(operation, kind);
    let created = region.get_or_create_multi(&["a", "b"], |keys| vec![7; keys.len()]);
    assert_eq!(created.unwrap(), [7, 7]);
    until("both mutexes are released", || {
        ["a", "b"].iter().all(|key| !store.mutex(key).locked().expect("it never fails"))
    });
    let releases = releases.lock().clone();
    assert_eq!(releases.len(), 2);
    releases
}

#[test]
fn mutexes_are_released_in_the_background_after_a_timeout() {
    let this = thread::current().id();
    assert!(releases("set_multi", ErrorKind::Timeout).iter().all(|thread| *thread != this));
}

#[test]
fn mutexes_are_released_by_their_caller_otherwise() {
    let this = thread::current().id();
    for operation in ["set_multi", "delete"] {
        assert_eq!(releases(operation, ErrorKind::Unavailable), [this; 2]);
    }
}
