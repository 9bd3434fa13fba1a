//! The mutexes of the backend. The level is skipped if the backend has none.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use dogpile_sdk::{CacheBackend, CacheMutex, ErrorKind, StoreOptions};

use crate::expect::{Outcome, Stop, ensure, ensure_absent, ensure_stored, joined};
use crate::setup::Setup;

/// A deadline that no case reaches: the time limit of a case ends it earlier.
const FAR: Duration = Duration::from_secs(600);

/// The time after which cases stop waiting for a held mutex.
const WAIT: Duration = Duration::from_millis(300);

/// The time by which a call may return late. It is long, because the machine may be busy.
const LATE: Duration = Duration::from_secs(5);

/// A new mutex is free, and acquiring it succeeds.
///
/// Behavior: `mutex-starts-unlocked`, `mutex-satisfies-interface`
pub fn new_mutex_is_unlocked(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let mutex = setup.mutex(&*backend, &setup.fresh_key())?;
    locked(&*mutex, false, "before it was acquired")?;
    acquire(&*mutex, "a free mutex")?;
    release(&*mutex)
}

/// Trying to acquire a held mutex fails at once, even on its holder's thread.
///
/// Behavior: `mutex-non-blocking-refused-while-held`
pub fn held_mutex_is_refused_without_waiting(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let mutex = setup.mutex(&*backend, &setup.fresh_key())?;
    acquire(&*mutex, "a free mutex")?;
    try_acquire(&*mutex, false, "by the thread that holds it")?;
    locked(&*mutex, true, "while it is held")?;
    on_a_thread(|| try_acquire(&*mutex, false, "by another thread while it is held"))?;
    locked(&*mutex, true, "after others were refused")?;
    release(&*mutex)
}

/// After a release the mutex is free.
///
/// Behavior: `mutex-reacquire-after-release`
pub fn released_mutex_can_be_acquired_again(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let mutex = setup.mutex(&*backend, &setup.fresh_key())?;
    for waits in [true, false, true] {
        if waits {
            acquire(&*mutex, "a released mutex")?;
        } else {
            try_acquire(&*mutex, true, "of a released mutex")?;
        }
        release(&*mutex)?;
        locked(&*mutex, false, "after its release")?;
    }
    Ok(())
}

/// Two mutexes for one key exclude each other, as they would in two processes.
pub fn two_mutexes_of_one_key_exclude_each_other(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let (first, second) = (setup.mutex(&*backend, &key)?, setup.mutex(&*backend, &key)?);
    acquire(&*first, "a free mutex")?;
    locked(&*second, true, "while its twin is held")?;
    try_acquire(&*second, false, "while its twin is held")?;
    release(&*first)?;
    try_acquire(&*second, true, "after its twin's release")?;
    try_acquire(&*first, false, "while its twin is held")?;
    release(&*second)
}

/// While another thread holds the mutex, `acquire_until` returns false at its deadline, and not earlier.
pub fn acquire_until_gives_up_at_its_deadline(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let (held, wanted) = (setup.mutex(&*backend, &key)?, setup.mutex(&*backend, &key)?);
    acquire(&*held, "a free mutex")?;
    let deadline = Instant::now() + WAIT;
    let acquired = on_a_thread(|| Ok(wanted.acquire_until(deadline)?))?;
    let returned = Instant::now();
    ensure(!acquired, || "expected acquire_until() of a held mutex to return false, got true".to_owned())?;
    ensure(returned >= deadline, || {
        let early = deadline - returned;
        format!("expected acquire_until() to wait until its deadline, it returned {early:?} before it")
    })?;
    ensure(returned < deadline + LATE, || {
        let late = returned - deadline;
        format!("expected acquire_until() to return at its deadline, it returned {late:?} after it")
    })?;
    release(&*held)
}

/// After its deadline, `acquire_until` acquires a free mutex and refuses a held one. It behaves like `try_acquire`.
pub fn acquire_until_past_deadline_tries_once(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let (first, second) = (setup.mutex(&*backend, &key)?, setup.mutex(&*backend, &key)?);
    let past = || Instant::now().checked_sub(WAIT).unwrap_or_else(Instant::now);
    let attempt = |mutex: &dyn CacheMutex, expected: bool, when: &str| {
        let acquired = mutex.acquire_until(past())?;
        ensure(acquired == expected, || {
            format!("expected acquire_until() a past deadline, {when}, to return {expected}, got {acquired}")
        })
    };
    attempt(&*first, true, "of a free mutex")?;
    let begun = Instant::now();
    attempt(&*second, false, "while its twin is held")?;
    let took = begun.elapsed();
    ensure(took < LATE, || {
        format!("expected acquire_until() a past deadline not to wait, it took {took:?}")
    })?;
    release(&*first)?;
    attempt(&*second, true, "after its twin's release")?;
    release(&*second)
}

/// A mutex is not lost before it is acquired, while held, or after its release. Neither is its refused twin.
pub fn held_mutex_is_not_lost(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let (mutex, twin) = (setup.mutex(&*backend, &key)?, setup.mutex(&*backend, &key)?);
    not_lost(&*mutex, "before it was acquired")?;
    for _ in 0..2 {
        acquire(&*mutex, "a free mutex")?;
        not_lost(&*mutex, "while it is held")?;
        try_acquire(&*twin, false, "while its twin is held")?;
        not_lost(&*twin, "of a mutex that was refused")?;
        release(&*mutex)?;
        not_lost(&*mutex, "after its release")?;
    }
    Ok(())
}

/// Threads with mutexes of their own for one key never hold it together.
///
/// Behavior: `mutex-excludes-threads`
pub fn mutex_excludes_threads(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    setup.mutex(&*backend, &key)?;
    let inside = AtomicBool::new(false);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..5)
            .map(|_| scope.spawn(|| (0..5).try_for_each(|_| visit(setup, &*backend, &key, &inside))))
            .collect();
        threads.into_iter().try_for_each(|thread| joined(thread.join()))
    })
}

fn visit(setup: &Setup, backend: &dyn CacheBackend, key: &str, inside: &AtomicBool) -> Outcome {
    let mutex = setup.mutex(backend, key)?;
    acquire(&*mutex, "a mutex that other threads release")?;
    be_alone(&*mutex, inside)
}

/// Releases `mutex` after a moment, and fails if another thread entered meanwhile.
pub(crate) fn be_alone(mutex: &dyn CacheMutex, inside: &AtomicBool) -> Outcome {
    let mut alone = !inside.swap(true, Ordering::SeqCst);
    for _ in 0..200 {
        // An intruder that enters and leaves meanwhile clears the flag.
        thread::yield_now();
        alone &= inside.load(Ordering::SeqCst);
    }
    inside.store(false, Ordering::SeqCst);
    release(mutex)?;
    ensure(alone, || "expected one thread at a time to hold the mutex, two held it together".to_owned())
}

/// The mutex of one key does not block the mutex of another.
///
/// Behavior: `mutex-keys-independent`
pub fn mutexes_of_two_keys_are_independent(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let held = setup.mutex(&*backend, &setup.fresh_key())?;
    acquire(&*held, "a free mutex")?;
    let other = setup.mutex(&*backend, &setup.fresh_key())?;
    for _ in 0..3 {
        try_acquire(&*other, true, "while only another key's is held")?;
        try_acquire(&*other, false, "while it is held")?;
        release(&*other)?;
    }
    locked(&*held, true, "after another key's release")?;
    release(&*held)
}

/// A background thread may finish what another thread began.
pub fn mutex_may_be_released_by_another_thread(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let mutex = setup.mutex(&*backend, &setup.fresh_key())?;
    acquire(&*mutex, "a free mutex")?;
    on_a_thread(|| release(&*mutex))?;
    try_acquire(&*mutex, true, "after its release by another thread")?;
    release(&*mutex)
}

/// A waiting thread acquires the mutex once its holder has released it.
pub fn waiting_thread_acquires_released_mutex(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let mutex = setup.mutex(&*backend, &key)?;
    acquire(&*mutex, "a free mutex")?;
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        let waiter = scope.spawn({
            let (backend, key) = (&backend, &key);
            move || {
                let mutex = setup.mutex(&**backend, key)?;
                try_acquire(&*mutex, false, "while it is held")?;
                // The holder releases while this thread waits or is about to wait. It must acquire either way.
                let _ = tell.send(());
                acquire(&*mutex, "a mutex that its holder releases")?;
                release(&*mutex)
            }
        });
        // An error means that the waiter failed. Joining it returns the reason.
        let _ = told.recv();
        let released = release(&*mutex);
        joined(waiter.join())?;
        released
    })
}

/// Releasing a mutex that is not held is an error. The caller learns from it that its lock was lost.
pub fn releasing_a_mutex_that_is_not_held_fails(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let mutex = setup.mutex(&*backend, &setup.fresh_key())?;
    not_held(&*mutex, "before it was acquired")?;
    acquire(&*mutex, "a free mutex")?;
    release(&*mutex)?;
    not_held(&*mutex, "a second time")?;
    try_acquire(&*mutex, true, "after a release that failed")?;
    release(&*mutex)
}

/// Of two mutexes for one key, only the one that acquired it can release it.
///
/// A creator whose lock was lost would otherwise free the lock of the next one.
pub fn only_its_holder_releases_a_mutex(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let (holder, twin) = (setup.mutex(&*backend, &key)?, setup.mutex(&*backend, &key)?);
    acquire(&*holder, "a free mutex")?;
    not_held(&*twin, "of a mutex that its twin holds")?;
    locked(&*holder, true, "after its twin tried to release it")?;
    try_acquire(&*twin, false, "after a release that failed")?;
    release(&*holder)?;
    try_acquire(&*twin, true, "after its twin's release")?;
    not_held(&*holder, "of a mutex that its twin acquired since")?;
    locked(&*twin, true, "after its former holder tried to release it")?;
    release(&*twin)
}

/// A mutex works on after its backend was dropped.
pub fn mutex_outlives_its_backend(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let mutex = setup.mutex(&*backend, &setup.fresh_key())?;
    acquire(&*mutex, "a free mutex")?;
    drop(backend);
    locked(&*mutex, true, "after its backend was dropped")?;
    release(&*mutex)?;
    try_acquire(&*mutex, true, "after its backend was dropped")?;
    release(&*mutex)
}

/// A key that is named like a lock has a value of its own. It neither frees the mutex nor holds it.
///
/// A store that keeps locks beside values declares the names of locks with
/// [`with_reserved_prefix`](dogpile_sdk::Capabilities::with_reserved_prefix).
pub fn keys_named_like_locks_leave_the_mutex_alone(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let (mutex, capabilities) = (setup.mutex(&*backend, &key)?, backend.capabilities());
    let before =
        ["_lock", "_lock:", "lock", "lock:", "lock-", "locks:", "mutex:"].map(|mark| format!("{mark}{key}"));
    let after = ["_lock", ":lock", ".lock", "-lock", ":mutex"].map(|mark| format!("{key}{mark}"));
    let names = before.into_iter().chain(after);
    for name in names.filter(|name| capabilities.admits_key(name) && !capabilities.reserves_key(name)) {
        let value = setup.value(&*backend, b"x");
        backend.set(&name, value.clone(), &StoreOptions::new())?;
        locked(&*mutex, false, &format!("after key {name:?} was set"))?;
        acquire(&*mutex, "a free mutex")?;
        ensure_stored(&*backend, &name, &value)?;
        backend.delete(&name)?;
        locked(&*mutex, true, &format!("after key {name:?} was deleted"))?;
        release(&*mutex)?;
        ensure_absent(&*backend, &name)?;
    }
    Ok(())
}

/// The mutex of a key and its value are stored in different places.
pub fn mutex_leaves_the_value_alone(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let mutex = setup.mutex(&*backend, &key)?;
    acquire(&*mutex, "a free mutex")?;
    ensure_absent(&*backend, &key)?;
    let value = setup.value(&*backend, b"x");
    backend.set(&key, value.clone(), &StoreOptions::new())?;
    locked(&*mutex, true, "after its key was set")?;
    release(&*mutex)?;
    ensure_stored(&*backend, &key, &value)
}

/// Acquires `what`, waiting for as long as the case may take.
pub(crate) fn acquire(mutex: &dyn CacheMutex, what: &str) -> Outcome {
    let acquired = mutex.acquire_until(Instant::now() + FAR)?;
    ensure(acquired, || format!("expected acquire_until() of {what} to return true, got false"))
}

pub(crate) fn try_acquire(mutex: &dyn CacheMutex, expected: bool, when: &str) -> Outcome {
    let acquired = mutex.try_acquire()?;
    ensure(acquired == expected, || {
        format!("expected try_acquire() {when} to return {expected}, got {acquired}")
    })
}

pub(crate) fn locked(mutex: &dyn CacheMutex, expected: bool, when: &str) -> Outcome {
    let locked = mutex.locked()?;
    ensure(locked == expected, || format!("expected locked() {when} to return {expected}, got {locked}"))
}

pub(crate) fn release(mutex: &dyn CacheMutex) -> Outcome {
    mutex.release().map_err(|error| {
        Stop::failed(format!(
            "expected release() of a held mutex to succeed, got an error ({:?}): {error}",
            error.kind()
        ))
    })
}

pub(crate) fn not_held(mutex: &dyn CacheMutex, when: &str) -> Outcome {
    let kind = mutex.release().err().map(|error| error.kind());
    ensure(kind == Some(ErrorKind::NotHeld), || {
        format!("expected release() {when} to return an error of kind NotHeld, got {kind:?}")
    })
}

fn not_lost(mutex: &dyn CacheMutex, when: &str) -> Outcome {
    ensure(!mutex.is_lost(), || format!("expected is_lost() {when} to return false, got true"))
}

fn on_a_thread<R: Send>(run: impl FnOnce() -> Result<R, Stop> + Send) -> Result<R, Stop> {
    thread::scope(|scope| joined(scope.spawn(run).join()))
}
