//! Mutexes that become free one lease after their holder's process dies. The level is skipped if no lease is claimed.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Instant;

use dogpile_sdk::{CacheBackend, CacheMutex};

use crate::expect::{Outcome, Stop, ensure, joined};
use crate::holder::Holder;
use crate::mutex::{locked, not_held, release, try_acquire, visit};
use crate::setup::Setup;

/// The mutex of a process is refused to others. Once the process is dead and its lease is over, the mutex is free.
pub fn mutex_of_killed_holder_becomes_free(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let (holder, mutex) = held_elsewhere(setup, &*backend, &key)?;
    holder.kill();
    // The mutex may give up at a limit of its own. The time limit of the case ends this loop.
    while !mutex.acquire_until(Instant::now() + setup.time_limit())? {}
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

/// A holder stopped for longer than its lease does not release the next holder's mutex.
pub fn stopped_holder_leaves_the_next_holders_mutex_alone(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let (mut holder, mutex) = held_elsewhere(setup, &*backend, &key)?;
    holder.stop()?;
    if !mutex.acquire_until(Instant::now() + setup.lease()?.length * 2)? {
        return Err(Stop::skipped("a stopped holder keeps its mutex"));
    }
    holder.go_on()?;
    ensure(!holder.release()?, || {
        "expected release() of a mutex that was lost to return an error of kind NotHeld, got Ok".to_owned()
    })?;
    locked(&*mutex, true, "after its former holder tried to release it")?;
    release(&*mutex)
}

/// Threads that waited for a killed holder hold the mutex one after another.
pub fn waiters_of_killed_holder_acquire_one_at_a_time(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let (holder, _) = held_elsewhere(setup, &*backend, &key)?;
    let inside = AtomicBool::new(false);
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..4).map(|_| scope.spawn(|| visit(setup, &*backend, &key, &inside))).collect();
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
