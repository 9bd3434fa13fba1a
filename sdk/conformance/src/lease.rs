//! Mutexes that become free one lease after their holder's process dies. The level is skipped if no lease is claimed.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use dogpile_sdk::{CacheBackend, CacheMutex, StoreOptions};

use crate::expect::{Outcome, Stop, ensure, ensure_stored, joined};
use crate::holder::Holder;
use crate::mutex::{be_alone, locked, not_held, release, try_acquire};
use crate::setup::Setup;

/// The time by which a mutex may become free late. It is long, because the machine may be busy.
const LATE: Duration = Duration::from_secs(2);

/// The pause between two questions to another process.
const POLL: Duration = Duration::from_millis(20);

/// The mutex of a process is refused to others. Once the process is dead and its lease is over, the mutex is free.
pub fn mutex_of_killed_holder_becomes_free(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let (holder, mutex) = held_elsewhere(setup, &*backend, &key)?;
    holder.kill();
    acquire_freed(setup, &*mutex, "a holder that was killed")?;
    locked(&*mutex, true, "after it was taken over")?;
    release(&*mutex)?;
    locked(&*mutex, false, "after its release")
}

/// A holder keeps the mutex for as long as its process lives.
pub fn living_holder_keeps_mutex_beyond_its_lease(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    if backend.capabilities().lock_timeout {
        return Err(Stop::skipped("a held mutex of the backend can expire"));
    }
    let lease = setup.lease()?.length;
    let (_holder, mutex) = held_elsewhere(setup, &*backend, &key)?;
    let begun = Instant::now();
    while begun.elapsed() < lease.mul_f64(1.5) {
        try_acquire(&*mutex, false, "while its holder lives")?;
        thread::sleep(lease / 10);
    }
    locked(&*mutex, true, "while its holder lives")
}

/// A process cannot release the mutex that another process holds.
pub fn mutex_of_another_process_cannot_be_released(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let (_holder, mutex) = held_elsewhere(setup, &*backend, &key)?;
    not_held(&*mutex, "of a mutex that another process holds")?;
    try_acquire(&*mutex, false, "after a release that failed")
}

/// A stopped holder keeps its mutex for most of the claimed lease. A shorter lease endangers holders that are only slow.
pub fn stopped_holder_keeps_its_mutex_for_most_of_a_lease(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let lease = setup.lease()?.length;
    // The lease begins later, or it was renewed since.
    let begun = Instant::now();
    let (_holder, mutex) = taken_over_from_a_stopped_holder(setup, &*backend, &key)?;
    let kept = begun.elapsed();
    release(&*mutex)?;
    ensure(kept >= lease.mul_f64(0.6), || {
        format!(
            "expected a stopped holder to keep its mutex for most of its lease of {lease:?}, it lost it after {kept:?}"
        )
    })
}

/// A holder stopped for longer than its lease does not release the next holder's mutex.
pub fn stopped_holder_leaves_the_next_holders_mutex_alone(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let (mut holder, mutex) = taken_over_from_a_stopped_holder(setup, &*backend, &key)?;
    holder.go_on()?;
    ensure(!holder.release()?, || {
        "expected release() of a mutex that was lost to return an error of kind NotHeld, got Ok".to_owned()
    })?;
    locked(&*mutex, true, "after its former holder tried to release it")?;
    release(&*mutex)
}

/// A holder stopped for longer than its lease learns that it lost the mutex. A region then does not store its value.
pub fn stopped_holder_learns_that_it_lost_its_mutex(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let (mut holder, mutex) = taken_over_from_a_stopped_holder(setup, &*backend, &key)?;
    holder.go_on()?;
    let (begun, limit) = (Instant::now(), setup.lease()?.length.saturating_add(LATE));
    while !holder.is_lost()? {
        ensure(begun.elapsed() < limit, || {
            "expected is_lost() of a mutex that another process has taken over to return true, got false"
                .to_owned()
        })?;
        thread::sleep(POLL);
    }
    release(&*mutex)
}

/// A holder stopped for longer than its lease cannot store a value. This holds if the store checks fences.
pub fn value_of_a_stopped_holder_is_not_stored(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    if !backend.capabilities().fencing {
        return Err(Stop::skipped("the backend does not claim fencing"));
    }
    let (mut holder, mutex) = taken_over_from_a_stopped_holder(setup, &*backend, &key)?;
    let value = setup.value(&*backend, b"of the next holder");
    backend.set(&key, value.clone(), &StoreOptions::new())?;
    holder.go_on()?;
    ensure(!holder.store()?, || {
        "expected set() with the fence of a mutex that was lost to return an error of kind Fenced, got Ok"
            .to_owned()
    })?;
    ensure_stored(&*backend, &key, &value)?;
    release(&*mutex)
}

/// Threads that waited for a killed holder hold the mutex one after another.
pub fn waiters_of_killed_holder_acquire_one_at_a_time(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let (holder, _) = held_elsewhere(setup, &*backend, &key)?;
    let inside = AtomicBool::new(false);
    thread::scope(|scope| {
        let wait = || {
            let mutex = setup.mutex(&*backend, &key)?;
            acquire_freed(setup, &*mutex, "a holder that was killed")?;
            be_alone(&*mutex, &inside)
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(wait)).collect();
        holder.kill();
        threads.into_iter().try_for_each(|thread| joined(thread.join()))
    })
}

/// Starts a process that holds the mutex of `key`, and returns it with our own mutex for that key.
fn held_elsewhere(
    setup: &Setup,
    backend: &dyn CacheBackend,
    key: &str,
) -> Result<(Holder, Arc<dyn CacheMutex>), Stop> {
    let mutex = setup.mutex(backend, key)?;
    let holder = setup.lease()?.start(key)?;
    locked(&*mutex, true, "while another process holds it")?;
    try_acquire(&*mutex, false, "while another process holds it")?;
    Ok((holder, mutex))
}

/// Starts a process that holds the mutex of `key`, stops it, and acquires the mutex when the lease is over.
///
/// Skips the case if the mutex stays held.
fn taken_over_from_a_stopped_holder(
    setup: &Setup,
    backend: &dyn CacheBackend,
    key: &str,
) -> Result<(Holder, Arc<dyn CacheMutex>), Stop> {
    let (holder, mutex) = held_elsewhere(setup, backend, key)?;
    holder.stop()?;
    if !acquired_by(&*mutex, Instant::now() + limit(setup)?)? {
        return Err(Stop::skipped("a stopped holder keeps its mutex"));
    }
    Ok((holder, mutex))
}

/// Acquires the mutex, which becomes free within about two leases.
fn acquire_freed(setup: &Setup, mutex: &dyn CacheMutex, former: &str) -> Outcome {
    let (lease, limit) = (setup.lease()?.length, limit(setup)?);
    ensure(acquired_by(mutex, Instant::now() + limit)?, || {
        format!(
            "expected the mutex of {former} to be free after its lease of {lease:?}, it is still held after {limit:?}"
        )
    })
}

/// Returns the time within which a mutex is free: two leases, and a little more.
fn limit(setup: &Setup) -> Result<Duration, Stop> {
    Ok(setup.lease()?.length.saturating_mul(2).saturating_add(LATE))
}

/// Acquires the mutex by `deadline`, and returns whether it succeeded. The mutex may give up earlier, at its own limit.
fn acquired_by(mutex: &dyn CacheMutex, deadline: Instant) -> Result<bool, Stop> {
    loop {
        if mutex.acquire_until(deadline)? {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        // A mutex that never waits must not be asked without a pause.
        thread::sleep(POLL);
    }
}
