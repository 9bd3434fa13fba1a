//! The asynchronous calls of the backend's mutexes. The cases are skipped if there are none.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dogpile_sdk::{CacheBackend, CacheMutex, ErrorKind, MutexOperations, Pending};

use crate::begun::Begun;
use crate::expect::{Outcome, Stop, ensure};
use crate::mutex::{locked, release, try_acquire};
use crate::setup::Setup;

/// A deadline that no case reaches: the time limit of a case ends it earlier.
const FAR: Duration = Duration::from_secs(600);

/// The time after which a case stops waiting for a held mutex, and in which a call that waits notices a free one.
const WAIT: Duration = Duration::from_millis(300);

/// The number of calls that wait for one mutex at once. A runtime rarely has as many threads.
const WAITS: usize = 32;

/// A mutex, and its asynchronous calls.
struct Subject {
    mutex: Arc<dyn CacheMutex>,
    calls: Arc<dyn MutexOperations>,
}

impl Subject {
    fn new(setup: &Setup, backend: &dyn CacheBackend, key: &str) -> Result<Self, Stop> {
        let mutex = setup.mutex(backend, key)?;
        let calls = mutex.operations();
        let calls = calls.ok_or_else(|| Stop::skipped("the backend's mutex has no asynchronous calls"))?;
        Ok(Subject { mutex, calls })
    }

    fn try_acquire(&self) -> Result<Begun<bool>, Stop> {
        Begun::new("begin_try_acquire", |done| self.calls.begin_try_acquire(done))
    }

    fn acquire_until(&self, deadline: Instant) -> Result<Begun<bool>, Stop> {
        Begun::new("begin_acquire_until", |done| self.calls.begin_acquire_until(deadline, done))
    }

    fn release(&self) -> Result<Begun<()>, Stop> {
        Begun::new("begin_release", |done| self.calls.begin_release(done))
    }

    /// Begins a call and cancels it, as a host does whose future is dropped: it releases a late acquisition.
    fn acquire_canceled(&self, deadline: Option<Instant>) {
        let pending = Pending::begin(|done| match deadline {
            Some(deadline) => self.calls.begin_acquire_until(deadline, done),
            None => self.calls.begin_try_acquire(done),
        });
        let late = Arc::clone(&self.mutex);
        drop(pending.when_late(move |acquired| {
            if acquired {
                // A failure is seen as a mutex that stays held.
                thread::spawn(move || late.release());
            }
        }));
    }
}

/// The asynchronous calls acquire and release the mutex that the blocking calls see.
pub fn begun_mutex_calls_agree_with_blocking_ones(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let (ours, twin) = (Subject::new(setup, &*backend, &key)?, Subject::new(setup, &*backend, &key)?);
    for _ in 0..3 {
        returns("begin_try_acquire", "of a free mutex", true, ours.try_acquire()?.value(setup)?)?;
        locked(&*twin.mutex, true, "after begin_try_acquire()")?;
        ensure(!ours.mutex.is_lost(), || "expected is_lost() to return false while it is held".to_owned())?;
        returns("begin_try_acquire", "while it is held", false, twin.try_acquire()?.value(setup)?)?;
        try_acquire(&*twin.mutex, false, "after begin_try_acquire()")?;
        ours.release()?.value(setup)?;
        locked(&*twin.mutex, false, "after begin_release()")?;
        try_acquire(&*twin.mutex, true, "after begin_release()")?;
        returns("begin_try_acquire", "while its twin is held", false, ours.try_acquire()?.value(setup)?)?;
        release(&*twin.mutex)?;
    }
    Ok(())
}

/// Releasing a mutex that is not held is an error of the kind `NotHeld`.
pub fn begun_release_of_a_mutex_that_is_not_held_fails(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let subject = Subject::new(setup, &*backend, &key)?;
    let not_held = |when: &str| {
        let kind = subject.release()?.outcome(setup)?.err().map(|error| error.kind());
        ensure(kind == Some(ErrorKind::NotHeld), || {
            format!("expected begin_release() {when} to complete with an error of kind NotHeld, got {kind:?}")
        })
    };
    not_held("before it was acquired")?;
    try_acquire(&*subject.mutex, true, "of a free mutex")?;
    let twin = Subject::new(setup, &*backend, &key)?;
    let kind = twin.release()?.outcome(setup)?.err().map(|error| error.kind());
    ensure(kind == Some(ErrorKind::NotHeld), || {
        format!("expected begin_release() of a mutex that its twin holds to fail with NotHeld, got {kind:?}")
    })?;
    locked(&*subject.mutex, true, "after its twin tried to release it")?;
    subject.release()?.value(setup)?;
    not_held("a second time")
}

/// `begin_acquire_until` returns at once. It completes when the holder releases the mutex, and not before.
pub fn begun_acquire_until_waits_without_its_caller(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let (held, wanted) = (Subject::new(setup, &*backend, &key)?, Subject::new(setup, &*backend, &key)?);
    try_acquire(&*held.mutex, true, "of a free mutex")?;
    let waiting = wanted.acquire_until(Instant::now() + FAR)?;
    if let Some(outcome) = waiting.outcome_within(WAIT) {
        let outcome = outcome.map_err(|error| error.kind());
        return Err(Stop::failed(format!(
            "expected begin_acquire_until() of a held mutex to wait, it completed with {outcome:?}"
        )));
    }
    locked(&*held.mutex, true, "while another call waits")?;
    release(&*held.mutex)?;
    returns("begin_acquire_until", "after a release", true, waiting.value(setup)?)?;
    locked(&*held.mutex, true, "after begin_acquire_until()")?;
    wanted.release()?.value(setup)
}

/// While the mutex is held, `begin_acquire_until` completes with false at its deadline, and not earlier.
pub fn begun_acquire_until_gives_up_at_its_deadline(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let (held, wanted) = (Subject::new(setup, &*backend, &key)?, Subject::new(setup, &*backend, &key)?);
    try_acquire(&*held.mutex, true, "of a free mutex")?;
    let deadline = Instant::now() + WAIT;
    returns("begin_acquire_until", "of a held mutex", false, wanted.acquire_until(deadline)?.value(setup)?)?;
    let completed = Instant::now();
    ensure(completed >= deadline, || {
        let early = deadline - completed;
        format!("expected begin_acquire_until() to wait until its deadline, it completed {early:?} before it")
    })?;
    release(&*held.mutex)
}

/// If its deadline has passed, `begin_acquire_until` tries once.
pub fn begun_acquire_until_past_deadline_tries_once(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let (first, second) = (Subject::new(setup, &*backend, &key)?, Subject::new(setup, &*backend, &key)?);
    let attempt = |subject: &Subject| {
        let past = Instant::now().checked_sub(WAIT).unwrap_or_else(Instant::now);
        subject.acquire_until(past)?.value(setup)
    };
    returns("begin_acquire_until", "a past deadline, of a free mutex", true, attempt(&first)?)?;
    returns("begin_acquire_until", "a past deadline, while its twin is held", false, attempt(&second)?)?;
    first.release()?.value(setup)
}

/// Calls that wait for a mutex keep no thread that other calls need.
pub fn waits_for_a_mutex_leave_other_calls_alone(setup: &Setup) -> Outcome {
    let (backend, key, other) = (setup.backend()?, setup.fresh_key(), setup.fresh_key());
    let (held, free) = (Subject::new(setup, &*backend, &key)?, Subject::new(setup, &*backend, &other)?);
    try_acquire(&*held.mutex, true, "of a free mutex")?;
    let wanted = (0..WAITS).map(|_| Subject::new(setup, &*backend, &key)).collect::<Result<Vec<_>, _>>()?;
    let deadline = Instant::now() + FAR;
    let waits = wanted.iter().map(|wanted| wanted.acquire_until(deadline)).collect::<Result<Vec<_>, _>>()?;
    let acquired = completes_meanwhile(setup, &free.try_acquire()?)?;
    returns("begin_try_acquire", "of a free mutex", true, acquired)?;
    completes_meanwhile(setup, &free.release()?)?;
    if let Some(calls) = backend.operations() {
        completes_meanwhile(setup, &Begun::new("begin_get", |done| calls.begin_get(&other, done))?)?;
    }
    waits.into_iter().for_each(|mut wait| wait.cancel());
    release(&*held.mutex)
}

/// Waits for a call to complete while others wait for a mutex, and returns its value.
fn completes_meanwhile<T: Send + 'static>(setup: &Setup, call: &Begun<T>) -> Result<T, Stop> {
    let (name, limit) = (call.name(), setup.time_limit() / 4);
    let outcome = call.outcome_within(limit).ok_or_else(|| {
        let waiting = format!("while {WAITS} calls of begin_acquire_until() wait for a mutex");
        Stop::failed(format!("expected {name}() to complete {waiting}, it has not within {limit:?}"))
    })?;
    Ok(outcome?)
}

/// A canceled wait neither keeps the mutex nor takes it later for good.
pub fn canceled_wait_does_not_keep_the_mutex(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let held = setup.mutex(&*backend, &key)?;
    for _ in 0..2 {
        acquire_soon(setup, &*held, "before the first call, and after canceled ones")?;
        for _ in 0..3 {
            let wanted = Subject::new(setup, &*backend, &key)?;
            wanted.acquire_canceled(Some(Instant::now() + FAR));
        }
        release(&*held)?;
        // A call that still waits acquires the mutex now.
        thread::sleep(WAIT);
        becomes_free(setup, &*backend, &key, "after a canceled wait")?;
    }
    Ok(())
}

/// A call canceled while it acquires a free mutex does not keep the mutex.
pub fn canceled_attempt_does_not_keep_the_mutex(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    for round in 0..20 {
        let wanted = Subject::new(setup, &*backend, &key)?;
        wanted.acquire_canceled((round % 2 == 0).then(|| Instant::now() + FAR));
        if round % 5 == 0 {
            // A call that is still on its way acquires the mutex now. In other rounds, it meets a held one.
            thread::sleep(WAIT / 3);
        }
        becomes_free(setup, &*backend, &key, "after a canceled attempt")?;
    }
    Ok(())
}

/// Fails unless the mutex can soon be acquired. Leaves it free.
fn becomes_free(setup: &Setup, backend: &dyn CacheBackend, key: &str, when: &str) -> Outcome {
    let mutex = setup.mutex(backend, key)?;
    acquire_soon(setup, &*mutex, when)?;
    release(&*mutex)
}

/// Acquires the mutex, waiting for at most a quarter of the case's time limit. A call that was canceled too late may
/// hold it for a moment.
fn acquire_soon(setup: &Setup, mutex: &dyn CacheMutex, when: &str) -> Outcome {
    let limit = setup.time_limit() / 4;
    let acquired = mutex.acquire_until(Instant::now() + limit)?;
    ensure(acquired, || format!("expected the mutex to become free {when}, it is still held after {limit:?}"))
}

fn returns(call: &str, when: &str, expected: bool, found: bool) -> Outcome {
    ensure(found == expected, || format!("expected {call}() {when} to complete with {expected}, got {found}"))
}
