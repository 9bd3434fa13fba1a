//! Leased mutexes on the runtime of their backend.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use dogpile_sdk::lease::{AsyncLeaseStore, LeaseOptions};
use dogpile_sdk::{BackendError, CacheBackend, ErrorKind, Fence, OnTokio};

use super::drawer::{Control, Drawer, until};
use super::lifetime::on_own_thread;
use super::{LIMIT, begun, only, start, value};

/// The locks take effect before a call waits at the gate, as a request to a server may.
impl AsyncLeaseStore for Drawer {
    async fn acquire(&self, key: &str, token: &str, _lease: Duration) -> Result<bool, BackendError> {
        self.0.attempts.fetch_add(1, SeqCst);
        let acquired =
            *self.0.locks.lock().unwrap().entry(key.to_owned()).or_insert_with(|| token.to_owned()) == token;
        if key.starts_with("gate_acquire") {
            self.0.gate().await;
        }
        assert!(!key.starts_with("panic"), "panic requested by key {key}");
        Ok(acquired)
    }

    async fn renew(&self, key: &str, token: &str, _lease: Duration) -> Result<bool, BackendError> {
        assert_eq!(thread::current().name(), Some("dogpile-tokio"));
        self.0.renewals.fetch_add(1, SeqCst);
        if key.starts_with("gate_renew") {
            self.0.gate().await;
        }
        Ok(self.0.locks.lock().unwrap().get(key).is_some_and(|owner| owner == token))
    }

    async fn release(&self, key: &str, token: &str) -> Result<bool, BackendError> {
        if key.starts_with("gate_release") {
            self.0.gate().await;
        }
        let mut locks = self.0.locks.lock().unwrap();
        let is_ours = locks.get(key).is_some_and(|owner| owner == token);
        if is_ours {
            locks.remove(key);
            self.0.released.notify_waiters();
        }
        Ok(is_ours)
    }

    async fn locked(&self, key: &str) -> Result<bool, BackendError> {
        Ok(self.0.is_locked(key))
    }

    async fn released(&self, _key: &str) {
        self.0.released.notified().await;
        self.0.signals.fetch_add(1, SeqCst);
    }

    fn fence(&self, _key: &str, token: &str) -> Option<Fence> {
        Some(Fence::new(token.as_bytes().to_vec()))
    }

    fn is_stuck(&self, key: &str) -> bool {
        key.starts_with("stuck")
    }
}

impl Control {
    fn is_locked(&self, key: &str) -> bool {
        self.locks.lock().unwrap().contains_key(key)
    }
}

/// Returns a backend with `threads` threads and leases that are changed by `change`.
fn leased(threads: usize, change: fn(&mut LeaseOptions)) -> (OnTokio<Drawer>, Control) {
    let (backend, control) = start(threads);
    let mut options = LeaseOptions::default();
    change(&mut options);
    (backend.with_leases(options), control)
}

fn short(options: &mut LeaseOptions) {
    options.lease = Duration::from_millis(30);
}

fn far() -> Instant {
    Instant::now() + LIMIT
}

#[test]
fn leased_mutex_is_acquired_and_released() {
    let (backend, _control) = leased(1, |_| {});
    let (one, two) = (backend.get_mutex("a").unwrap(), backend.get_mutex("a").unwrap());
    assert!(!one.locked().unwrap() && one.fence().is_none());
    assert!(one.try_acquire().unwrap() && !two.try_acquire().unwrap());
    assert!(two.locked().unwrap() && one.fence().is_some() && !one.is_lost());
    one.release().unwrap();
    assert_eq!(one.release().unwrap_err().kind(), ErrorKind::NotHeld);
    assert!(two.acquire_until(Instant::now()).unwrap());
    two.release().unwrap();
    backend.set("a", value("x"), &dogpile_sdk::StoreOptions::new()).unwrap();
}

#[test]
fn lease_store_has_the_locks_of_the_mutexes() {
    let (backend, _control) = leased(1, |_| {});
    let store = backend.lease_store();
    assert!(store.acquire("a", "token", LIMIT, far()).unwrap());
    assert!(!backend.get_mutex("a").unwrap().try_acquire().unwrap());
    drop(backend);
    assert!(store.renew("a", "token", LIMIT).unwrap() && !store.renew("a", "other", LIMIT).unwrap());
    assert!(store.release("a", "token").unwrap() && !store.locked("a").unwrap());
}

/// The signal ends a pause of the runtime, for a thread and for a task.
#[test]
fn release_is_signaled_to_waiters() {
    let (backend, control) = leased(1, |_| {});
    let wanted = backend.get_mutex("a").unwrap();
    for is_blocking in [true, false] {
        let held = backend.get_mutex("a").unwrap();
        assert!(held.try_acquire().unwrap());
        let attempts = control.attempts.load(SeqCst);
        let (sender, acquired) = mpsc::channel();
        let (mutex, deadline) = (wanted.clone(), far());
        let waiter = thread::spawn(move || {
            let outcome = if is_blocking {
                mutex.acquire_until(deadline)
            } else {
                let calls = mutex.operations().unwrap();
                let (_running, outcomes) = begun(|done| calls.begin_acquire_until(deadline, done));
                only(&outcomes)
            };
            sender.send(outcome).unwrap();
        });
        until("the waiter polls", || control.attempts.load(SeqCst) > attempts + 2);
        // The pauses of a waiter have short gaps, in which it misses a signal.
        let before = control.signals.load(SeqCst);
        until("a signal ends a pause", || {
            control.released.notify_waiters();
            control.signals.load(SeqCst) > before
        });
        held.release().unwrap();
        assert!(acquired.recv_timeout(LIMIT).unwrap().unwrap());
        waiter.join().unwrap();
        wanted.release().unwrap();
    }
}

#[test]
fn lease_is_renewed_on_the_runtime() {
    let (backend, control) = leased(1, short);
    let mutex = backend.get_mutex("a").unwrap();
    assert!(mutex.try_acquire().unwrap());
    until("the lease is renewed", || control.renewals.load(SeqCst) > 2);
    mutex.release().unwrap();
}

#[test]
fn lease_acquisition_is_dropped_at_its_deadline() {
    let (backend, control) = leased(1, |_| {});
    let mutex = backend.get_mutex("gate_acquire").unwrap();
    let soon = Instant::now() + Duration::from_millis(50);
    let error = mutex.acquire_until(soon).unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, Some("acquire")));
    assert_eq!(control.dropped.load(SeqCst), 1);
    until("the lock is removed", || !control.is_locked("gate_acquire"));
}

#[test]
fn lease_calls_have_the_time_limit_of_the_backend() {
    let (backend, control) = leased(1, |_| {});
    let backend = backend.with_call_timeout(Duration::from_millis(50));
    let error = backend.get_mutex("gate_acquire").unwrap().try_acquire().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    until("the lock is removed", || !control.is_locked("gate_acquire"));
}

#[test]
fn canceled_lease_acquisition_is_undone() {
    let (backend, control) = leased(1, |_| {});
    let calls = backend.get_mutex("gate_acquire").unwrap().operations().unwrap();
    let (running, outcomes) = begun(|done| calls.begin_try_acquire(done));
    until("the attempt waits for its reply", || control.waiting.load(SeqCst) == 1);
    assert!(control.is_locked("gate_acquire"));
    running.cancel();
    assert_eq!(only(&outcomes).unwrap_err().kind(), ErrorKind::Dropped);
    until("the lock is removed", || !control.is_locked("gate_acquire"));
}

#[test]
fn panic_of_a_lease_store_is_an_error() {
    let (backend, control) = leased(1, |_| {});
    let error = backend.get_mutex("panic").unwrap().try_acquire().unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Panicked, Some("acquire")));
    until("the lock is removed", || !control.is_locked("panic"));
}

#[test]
fn lock_of_a_stuck_server_is_released_in_the_background() {
    let (backend, control) = leased(1, |_| {});
    let mutex = backend.get_mutex("stuck").unwrap();
    assert!(mutex.try_acquire().unwrap());
    assert_eq!(mutex.release().unwrap_err().kind(), ErrorKind::Timeout);
    until("the lock is removed", || !control.is_locked("stuck"));
}

#[test]
fn lease_release_outlives_the_backend() {
    let (backend, control) = leased(1, |_| {});
    let mutex = backend.get_mutex("gate_release").unwrap();
    assert!(mutex.try_acquire().unwrap());
    let calls = mutex.operations().unwrap();
    let (_running, outcomes) = begun(|done| calls.begin_release(done));
    until("the release waits", || control.waiting.load(SeqCst) == 1);
    drop((backend, mutex, calls));
    control.open();
    only(&outcomes).unwrap();
    assert!(!control.is_locked("gate_release"));
    until("the backend is dropped", || Control::strong_count(&control) == 1);
}

/// A renewal without a reply ends after a third of the lease, whatever the time limit of calls.
#[test]
fn hung_renewal_is_followed_by_another_one() {
    let (backend, control) = leased(1, short);
    let backend = backend.with_call_timeout(Duration::MAX);
    let mutex = backend.get_mutex("gate_renew").unwrap();
    assert!(mutex.try_acquire().unwrap());
    until("other renewals follow", || control.renewals.load(SeqCst) > 2);
    control.open();
    drop((backend, mutex));
}

/// The last owner waits for a renewal, which needs the only thread of the runtime.
#[test]
fn last_owner_may_die_on_the_only_thread_during_a_renewal() {
    let (backend, control) = leased(1, |options| options.lease = Duration::from_secs(2));
    let backend = backend.with_call_timeout(Duration::MAX);
    let mutex = backend.get_mutex("gate_renew").unwrap();
    assert!(mutex.try_acquire().unwrap());
    until("a renewal waits", || control.waiting.load(SeqCst) == 1);
    let (sender, dropping) = mpsc::channel();
    let opening = control.clone();
    let opener = thread::spawn(move || {
        dropping.recv_timeout(LIMIT).unwrap();
        opening.open();
    });
    on_own_thread(backend, move |backend| {
        sender.send(()).unwrap();
        drop((backend, mutex));
    });
    opener.join().unwrap();
    until("the backend is dropped", || Control::strong_count(&control) == 1);
}
