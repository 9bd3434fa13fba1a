//! The backend's own mutexes. Skipped where it has none.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use dogpile_sdk::{CacheBackend, CacheMutex, ErrorKind};

use crate::expect::{Outcome, Stop, ensure, ensure_absent, ensure_stored, joined};
use crate::setup::Setup;

/// A new mutex is free, and taking it is answered with yes.
///
/// Behaviour: `mutex-starts-unlocked`, `mutex-satisfies-interface`
pub fn a_mutex_starts_unlocked(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let mutex = setup.mutex(&*backend, &setup.fresh_key())?;
    locked(&*mutex, false, "before anybody acquired it")?;
    acquire(&*mutex, true, true, "of a free mutex")?;
    release(&*mutex)
}

/// While a mutex is held it is refused at once, to the thread that holds it too.
///
/// Behaviour: `mutex-non-blocking-refused-while-held`
pub fn a_held_mutex_is_refused_without_waiting(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let mutex = setup.mutex(&*backend, &setup.fresh_key())?;
    acquire(&*mutex, true, true, "of a free mutex")?;
    acquire(&*mutex, false, false, "by the thread that holds it")?;
    locked(&*mutex, true, "while it is held")?;
    on_a_thread(|| acquire(&*mutex, false, false, "by another thread while it is held"))?;
    locked(&*mutex, true, "after others were refused")?;
    release(&*mutex)
}

/// After a release the mutex is free.
///
/// Behaviour: `mutex-reacquire-after-release`
pub fn a_released_mutex_can_be_acquired_again(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let mutex = setup.mutex(&*backend, &setup.fresh_key())?;
    for wait in [true, false, true] {
        acquire(&*mutex, wait, true, "of a released mutex")?;
        release(&*mutex)?;
        locked(&*mutex, false, "after its release")?;
    }
    Ok(())
}

/// Two mutexes for one key exclude each other, as they would in two processes.
pub fn a_mutex_fetched_twice_is_one(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let (first, second) = (setup.mutex(&*backend, &key)?, setup.mutex(&*backend, &key)?);
    acquire(&*first, true, true, "of a free mutex")?;
    locked(&*second, true, "while its twin is held")?;
    acquire(&*second, false, false, "while its twin is held")?;
    release(&*first)?;
    acquire(&*second, false, true, "after its twin's release")?;
    acquire(&*first, false, false, "while its twin is held")?;
    release(&*second)
}

/// Threads that each fetch a mutex of their own for one key never hold it together.
///
/// Behaviour: `mutex-excludes-threads`
pub fn a_mutex_keeps_threads_apart(setup: &Setup) -> Outcome {
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

pub(crate) fn visit(setup: &Setup, backend: &dyn CacheBackend, key: &str, inside: &AtomicBool) -> Outcome {
    let mutex = setup.mutex(backend, key)?;
    acquire(&*mutex, true, true, "that waits for its turn")?;
    let mut alone = !inside.swap(true, Ordering::SeqCst);
    for _ in 0..200 {
        // An intruder that comes and goes meanwhile leaves the mark cleared.
        thread::yield_now();
        alone &= inside.load(Ordering::SeqCst);
    }
    inside.store(false, Ordering::SeqCst);
    release(&*mutex)?;
    ensure(alone, || "expected one thread at a time to hold the mutex, two held it together".to_owned())
}

/// The mutex of one key does not stand in the way of another's.
///
/// Behaviour: `mutex-keys-independent`
pub fn mutexes_of_other_keys_are_free(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let held = setup.mutex(&*backend, &setup.fresh_key())?;
    acquire(&*held, true, true, "of a free mutex")?;
    let other = setup.mutex(&*backend, &setup.fresh_key())?;
    for _ in 0..3 {
        acquire(&*other, false, true, "while only another key's is held")?;
        acquire(&*other, false, false, "while it is held")?;
        release(&*other)?;
    }
    locked(&*held, true, "after another key's release")?;
    release(&*held)
}

/// A background thread may finish what another began.
pub fn a_mutex_may_be_released_by_another_thread(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let mutex = setup.mutex(&*backend, &setup.fresh_key())?;
    acquire(&*mutex, true, true, "of a free mutex")?;
    on_a_thread(|| release(&*mutex))?;
    acquire(&*mutex, false, true, "after its release by another thread")?;
    release(&*mutex)
}

/// A thread that waits is let in once the holder has released.
pub fn a_waiting_thread_gets_a_released_mutex(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let mutex = setup.mutex(&*backend, &key)?;
    acquire(&*mutex, true, true, "of a free mutex")?;
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        let waiter = scope.spawn({
            let (backend, key) = (&backend, &key);
            move || {
                let mutex = setup.mutex(&**backend, key)?;
                acquire(&*mutex, false, false, "while it is held")?;
                // The holder releases while this thread waits, or is about to: both must let it in.
                let _ = tell.send(());
                acquire(&*mutex, true, true, "that waits for the release")?;
                release(&*mutex)
            }
        });
        // An error means that the waiter failed, which it tells itself.
        let _ = told.recv();
        let released = release(&*mutex);
        joined(waiter.join())?;
        released
    })
}

/// Releasing what nobody holds tells the caller that its lock was lost.
pub fn releasing_a_mutex_that_is_not_held_is_an_error(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let mutex = setup.mutex(&*backend, &setup.fresh_key())?;
    not_held(&*mutex, "before anybody acquired it")?;
    acquire(&*mutex, true, true, "of a free mutex")?;
    release(&*mutex)?;
    not_held(&*mutex, "a second time")?;
    acquire(&*mutex, false, true, "after a release in vain")?;
    release(&*mutex)
}

/// The mutex of a key is stored elsewhere than its value.
pub fn a_mutex_leaves_the_value_alone(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let mutex = setup.mutex(&*backend, &key)?;
    acquire(&*mutex, true, true, "of a free mutex")?;
    ensure_absent(&*backend, &key)?;
    let value = setup.value(&*backend, b"x");
    backend.set(&key, value.clone())?;
    locked(&*mutex, true, "after its key was set")?;
    release(&*mutex)?;
    ensure_stored(&*backend, &key, &value)
}

pub(crate) fn acquire(mutex: &dyn CacheMutex, wait: bool, expected: bool, when: &str) -> Outcome {
    let taken = mutex.acquire(wait)?;
    ensure(taken == expected, || format!("expected acquire({wait}) {when} to answer {expected}, got {taken}"))
}

pub(crate) fn locked(mutex: &dyn CacheMutex, expected: bool, when: &str) -> Outcome {
    let locked = mutex.locked()?;
    ensure(locked == expected, || format!("expected locked() {when} to answer {expected}, got {locked}"))
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
        format!("expected release() {when} to be an error of kind NotHeld, got {kind:?}")
    })
}

fn on_a_thread(run: impl FnOnce() -> Outcome + Send) -> Outcome {
    thread::scope(|scope| joined(scope.spawn(run).join()))
}
