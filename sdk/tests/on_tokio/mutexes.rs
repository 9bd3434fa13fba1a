//! Mutexes: deadlines, cancellation, and attempts that end too late.

use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use dogpile_sdk::{CacheBackend, ErrorKind, Pending};

use super::drawer::until;
use super::{LIMIT, begun, only, start};

fn far() -> Instant {
    Instant::now() + LIMIT
}

#[test]
fn mutex_is_acquired_and_released() {
    let (backend, _control) = start(1);
    assert!(backend.get_mutex("none").is_none());
    let mutex = backend.get_mutex("a").unwrap();
    assert!(!mutex.locked().unwrap() && mutex.fence().is_none());
    assert!(mutex.try_acquire().unwrap() && !mutex.try_acquire().unwrap());
    assert!(mutex.locked().unwrap() && mutex.fence().is_some() && !mutex.is_lost());
    mutex.release().unwrap();
    assert_eq!(mutex.release().unwrap_err().kind(), ErrorKind::NotHeld);
    assert!(mutex.acquire_until(Instant::now()).unwrap());
}

#[test]
fn waiter_acquires_released_mutex() {
    let (backend, control) = start(1);
    let (held, wanted) = (backend.get_mutex("a").unwrap(), backend.get_mutex("a").unwrap());
    assert!(held.try_acquire().unwrap());
    let calls = wanted.operations().unwrap();
    let (_running, outcomes) = begun(|done| calls.begin_acquire_until(far(), done));
    until("the waiter tried", || control.attempts.load(SeqCst) > 1);
    held.release().unwrap();
    assert!(only(&outcomes).unwrap());
    assert!(wanted.release().is_ok());
}

#[test]
fn acquire_until_gives_up_at_its_deadline() {
    let (backend, control) = start(1);
    control.is_held.store(true, SeqCst);
    let mutex = backend.get_mutex("a").unwrap();
    let deadline = Instant::now() + Duration::from_millis(150);
    assert!(!mutex.acquire_until(deadline).unwrap());
    assert!(Instant::now() >= deadline);
    assert!(control.attempts.load(SeqCst) > 2, "it polls meanwhile");
}

#[test]
fn canceled_wait_ends_between_two_attempts() {
    let (backend, control) = start(1);
    control.is_held.store(true, SeqCst);
    let calls = backend.get_mutex("a").unwrap().operations().unwrap();
    let (running, outcomes) = begun(|done| calls.begin_acquire_until(far(), done));
    until("it polls", || control.attempts.load(SeqCst) > 1);
    running.cancel();
    assert!(!only(&outcomes).unwrap());
    let attempts = control.attempts.load(SeqCst);
    control.is_held.store(false, SeqCst);
    // Another mutex finds it free, because the canceled wait makes no further attempt.
    assert!(backend.get_mutex("a").unwrap().try_acquire().unwrap());
    assert_eq!(control.attempts.load(SeqCst), attempts + 1);
}

#[test]
fn canceled_attempt_releases_what_it_acquired() {
    let (backend, control) = start(1);
    let calls = backend.get_mutex("gate_attempt").unwrap().operations().unwrap();
    let (running, outcomes) = begun(|done| calls.begin_try_acquire(done));
    until("the attempt waits for its reply", || control.waiting.load(SeqCst) == 1);
    running.cancel();
    assert!(control.is_held.load(SeqCst), "the request was sent");
    control.open();
    assert!(!only(&outcomes).unwrap());
    assert!(!control.is_held.load(SeqCst), "the mutex is still held");
    assert_eq!(control.dropped.load(SeqCst), 0);
}

#[test]
fn attempt_that_times_out_is_undone() {
    let (backend, control) = start(1);
    let backend = backend.with_call_timeout(Duration::from_millis(50));
    let mutex = backend.get_mutex("gate_attempt").unwrap();
    assert_eq!(mutex.try_acquire().unwrap_err().kind(), ErrorKind::Timeout);
    until("the mutex is released", || !control.is_held.load(SeqCst));
    assert_eq!((control.dropped.load(SeqCst), control.releases.load(SeqCst)), (1, 1));
}

#[test]
fn timeout_does_not_release_a_held_mutex() {
    let (backend, control) = start(1);
    let backend = backend.with_call_timeout(Duration::from_millis(200));
    let mutex = backend.get_mutex("gate_attempt").unwrap();
    let calls = mutex.operations().unwrap();
    let (_running, first) = begun(|done| calls.begin_try_acquire(done));
    until("the attempt waits", || control.waiting.load(SeqCst) == 1);
    control.open_once();
    assert!(only(&first).unwrap());
    assert_eq!(mutex.try_acquire().unwrap_err().kind(), ErrorKind::Timeout);
    // The runtime has one thread and runs its tasks in order, so that an undoing would come first.
    assert!(mutex.locked().unwrap() && mutex.locked().unwrap());
    assert_eq!(control.releases.load(SeqCst), 0);
    mutex.release().unwrap();
}

#[test]
fn panic_of_an_attempt_is_an_error() {
    let (backend, _control) = start(1);
    let error = backend.get_mutex("panic").unwrap().try_acquire().unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Panicked, Some("try_acquire")));
}

#[test]
fn success_after_the_cancellation_is_handed_over_or_released() {
    let (backend, control) = start(2);
    for _ in 0..300 {
        let mutex = backend.get_mutex("a").unwrap();
        let calls = mutex.operations().unwrap();
        let pending = Pending::begin(|done| calls.begin_try_acquire(done));
        drop(pending.when_late(move |acquired| {
            if acquired {
                let _ = calls.begin_release(dogpile_sdk::Completion::new(|outcome| outcome.unwrap()));
            }
        }));
        assert!(backend.get_mutex("a").unwrap().acquire_until(far()).unwrap(), "a canceled call holds it");
        until("the canceled attempt ended", || control.attempts.load(SeqCst) > 1);
        control.is_held.store(false, SeqCst);
        control.attempts.store(0, SeqCst);
    }
}

#[test]
fn release_outlives_the_backend() {
    let (backend, control) = start(1);
    let mutex = backend.get_mutex("gate_release").unwrap();
    assert!(mutex.try_acquire().unwrap());
    let calls = mutex.operations().unwrap();
    let (_running, outcomes) = begun(|done| calls.begin_release(done));
    until("the release waits", || control.waiting.load(SeqCst) == 1);
    drop((backend, mutex, calls));
    control.open();
    only(&outcomes).unwrap();
    assert!(!control.is_held.load(SeqCst));
}
