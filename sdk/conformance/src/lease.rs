//! Mutexes that outlive the death of their holder's process by one lease. Skipped where none is claimed.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Instant;

use dogpile_sdk::{CacheBackend, CacheMutex};

use crate::expect::{Outcome, Stop, joined};
use crate::holder::Holder;
use crate::mutex::{acquire, locked, not_held, release, visit};
use crate::setup::Setup;

/// The mutex that a process holds is refused to others, and free once the process is dead and its lease over.
pub fn the_mutex_of_a_killed_holder_becomes_free(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let (holder, mutex) = held_elsewhere(setup, &*backend, &key)?;
    holder.kill();
    // A blocking acquire may give up meanwhile; the case's time limit ends this loop.
    while !mutex.acquire(true)? {}
    locked(&*mutex, true, "after it was taken over")?;
    release(&*mutex)?;
    locked(&*mutex, false, "after its release")
}

/// While its process lives a holder keeps the mutex, however long that takes.
pub fn a_living_holder_keeps_the_mutex_beyond_its_lease(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    if backend.has_lock_timeout() {
        return Err(Stop::skipped("the backend's mutexes may time out while they are held"));
    }
    let lease = setup.lease()?.length;
    let (_holder, mutex) = held_elsewhere(setup, &*backend, &key)?;
    let begun = Instant::now();
    while begun.elapsed() < lease.mul_f64(1.5) {
        acquire(&*mutex, false, false, "while its holder lives")?;
        thread::sleep(lease / 10);
    }
    locked(&*mutex, true, "while its holder lives")
}

/// Nobody releases what another process holds.
pub fn the_mutex_of_another_process_is_not_released(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let (_holder, mutex) = held_elsewhere(setup, &*backend, &key)?;
    not_held(&*mutex, "of a mutex that another process holds")?;
    acquire(&*mutex, false, false, "after a release in vain")
}

/// Those who waited for a dead holder hold the mutex one after another.
pub fn those_who_waited_for_a_dead_holder_are_kept_apart(setup: &Setup) -> Outcome {
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

/// A process that holds the mutex of `key`, and a mutex of ours for the same key.
fn held_elsewhere(
    setup: &Setup,
    backend: &dyn CacheBackend,
    key: &str,
) -> Result<(Holder, Arc<dyn CacheMutex>), Stop> {
    let mutex = setup.mutex(backend, key)?;
    let holder = setup.lease()?.start(key)?;
    locked(&*mutex, true, "while another process holds it")?;
    acquire(&*mutex, false, false, "while another process holds it")?;
    Ok((holder, mutex))
}
