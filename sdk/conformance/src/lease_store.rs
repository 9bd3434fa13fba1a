//! The commands of a [`LeaseStore`], called directly. The level is skipped if the setup has none.
//!
//! The mutexes of [`Leases`](dogpile_sdk::lease::Leases) hide some faults of a store: they never repeat an acquisition
//! with one token, for example, unless a reply was lost.

use std::sync::Arc;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use dogpile_sdk::lease::LeaseStore;

use crate::expect::{Outcome, Stop, ensure, joined};
use crate::setup::Setup;

/// The lease of locks that must not expire during a case.
const LONG: Duration = Duration::from_secs(600);

/// The lease of locks that must expire during a case. Some stores count whole seconds.
const SHORT: Duration = Duration::from_secs(1);

/// The time within which a lock with a [`SHORT`] lease must have expired.
const LONGEST_WAIT: Duration = Duration::from_secs(6);

/// The deadline of acquisitions that must not be cut short.
const PATIENCE: Duration = Duration::from_secs(60);

/// The number of threads that want one lock.
const THREADS: usize = 8;

/// The lock of one key.
struct Lock {
    store: Arc<dyn LeaseStore>,
    key: String,
}

impl Lock {
    fn new(setup: &Setup) -> Result<Self, Stop> {
        Ok(Lock { store: setup.lease_store()?, key: setup.fresh_key() })
    }

    /// Fails unless `acquire` returns `expected`.
    fn acquire(&self, token: &str, lease: Duration, expected: bool, when: &str) -> Outcome {
        let acquired = self.store.acquire(&self.key, token, lease, Instant::now() + PATIENCE)?;
        returns("acquire", when, acquired, expected)
    }

    /// Fails unless `renew` returns `expected`.
    fn renew(&self, token: &str, expected: bool, when: &str) -> Outcome {
        returns("renew", when, self.store.renew(&self.key, token, LONG)?, expected)
    }

    /// Fails unless `release` returns `expected`.
    fn release(&self, token: &str, expected: bool, when: &str) -> Outcome {
        returns("release", when, self.store.release(&self.key, token)?, expected)
    }

    /// Fails unless `locked` returns `expected`.
    fn locked(&self, expected: bool, when: &str) -> Outcome {
        returns("locked", when, self.store.locked(&self.key)?, expected)
    }

    /// Acquires the lock for a short time, and waits until it has expired.
    fn acquire_and_expire(&self, token: &str) -> Outcome {
        self.acquire(token, SHORT, true, "of a free lock")?;
        let begun = Instant::now();
        while self.store.locked(&self.key)? {
            ensure(begun.elapsed() < LONGEST_WAIT, || {
                format!(
                    "expected locked() of a lock with a lease of {SHORT:?} to return false within {LONGEST_WAIT:?}, \
                     got true"
                )
            })?;
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

fn returns(call: &str, when: &str, found: bool, expected: bool) -> Outcome {
    ensure(found == expected, || format!("expected {call}() {when} to return {expected}, got {found}"))
}

/// A lock is acquired, renewed, and released by its token. It is held in between.
pub fn lock_is_held_from_acquire_to_release(setup: &Setup) -> Outcome {
    let lock = Lock::new(setup)?;
    for _ in 0..2 {
        lock.locked(false, "of a free lock")?;
        lock.acquire("ours", LONG, true, "of a free lock")?;
        lock.locked(true, "after acquire()")?;
        lock.renew("ours", true, "by the owner")?;
        lock.locked(true, "after renew()")?;
        lock.release("ours", true, "by the owner")?;
    }
    lock.locked(false, "after release()")
}

/// A second acquisition with the same token succeeds. The reply to the first one may have been lost.
pub fn acquire_succeeds_again_for_its_own_token(setup: &Setup) -> Outcome {
    let lock = Lock::new(setup)?;
    for _ in 0..3 {
        lock.acquire("ours", LONG, true, "with a token that owns the lock")?;
    }
    lock.acquire("another", LONG, false, "with another token")?;
    lock.release("ours", true, "by the owner")?;
    lock.locked(false, "after one release() of a lock that was acquired three times")
}

/// A foreign token neither acquires a held lock, nor renews it, nor releases it.
pub fn foreign_token_changes_nothing(setup: &Setup) -> Outcome {
    let lock = Lock::new(setup)?;
    lock.acquire("ours", LONG, true, "of a free lock")?;
    // A token that is a part of the owner's, or contains it, is another token.
    for foreign in ["another", "our", "ours too", "OURS"] {
        lock.acquire(foreign, LONG, false, "with another token")?;
        lock.renew(foreign, false, "with another token")?;
        lock.release(foreign, false, "with another token")?;
        lock.locked(true, "after calls with another token")?;
    }
    lock.renew("ours", true, "by the owner, after calls with another token")?;
    lock.release("ours", true, "by the owner, after calls with another token")
}

/// A lock that was released is neither renewed nor released again.
pub fn released_lock_is_not_renewed(setup: &Setup) -> Outcome {
    let lock = Lock::new(setup)?;
    lock.release("ours", false, "of a lock that was never acquired")?;
    lock.renew("ours", false, "of a lock that was never acquired")?;
    lock.acquire("ours", LONG, true, "of a free lock")?;
    lock.release("ours", true, "by the owner")?;
    lock.renew("ours", false, "of a lock that was released")?;
    lock.release("ours", false, "of a lock that was released")?;
    lock.locked(false, "after renew() of a lock that was released")
}

/// A lock that expired is free. Its former owner neither renews nor releases the next owner's lock.
pub fn expired_lock_is_free(setup: &Setup) -> Outcome {
    let lock = Lock::new(setup)?;
    lock.acquire_and_expire("ours")?;
    lock.acquire("next", LONG, true, "of a lock that expired")?;
    lock.renew("ours", false, "by an owner whose lock expired")?;
    lock.release("ours", false, "by an owner whose lock expired")?;
    lock.locked(true, "of the next owner's lock")?;
    lock.release("next", true, "by the next owner")
}

/// A lock that expired does not come back when its former owner renews it.
pub fn expired_lock_is_not_renewed(setup: &Setup) -> Outcome {
    let lock = Lock::new(setup)?;
    lock.acquire_and_expire("ours")?;
    lock.renew("ours", false, "of a lock that expired")?;
    lock.locked(false, "after renew() of a lock that expired")?;
    lock.release("ours", false, "of a lock that expired")
}

/// A lock that was renewed is held beyond its first lease.
pub fn renewed_lock_outlives_its_first_lease(setup: &Setup) -> Outcome {
    let lock = Lock::new(setup)?;
    let first = SHORT * 3;
    let begun = Instant::now();
    lock.acquire("ours", first, true, "of a free lock")?;
    lock.renew("ours", true, "by the owner")?;
    thread::sleep((first + SHORT).saturating_sub(begun.elapsed()));
    lock.locked(true, "of a lock that was renewed, after its first lease")?;
    lock.acquire("another", LONG, false, "of a lock that was renewed, after its first lease")?;
    lock.release("ours", true, "by the owner")
}

/// The locks of two keys are independent, also for one token.
pub fn locks_of_two_keys_are_independent(setup: &Setup) -> Outcome {
    let first = Lock::new(setup)?;
    let second = Lock { store: Arc::clone(&first.store), key: setup.fresh_key() };
    first.acquire("ours", LONG, true, "of a free lock")?;
    second.locked(false, "while another key's lock is held")?;
    second.acquire("ours", LONG, true, "while another key's lock is held")?;
    second.release("ours", true, "by the owner")?;
    first.locked(true, "after the release of another key's lock")?;
    first.release("ours", true, "by the owner")
}

/// Of several threads that want a lock at the same moment, one gets it.
pub fn one_of_many_tokens_acquires_the_lock(setup: &Setup) -> Outcome {
    let store = setup.lease_store()?;
    for _ in 0..10 {
        let lock = Lock { store: Arc::clone(&store), key: setup.fresh_key() };
        let start = Barrier::new(THREADS);
        let acquire = |number: usize| -> Result<bool, Stop> {
            start.wait();
            Ok(lock.store.acquire(&lock.key, &format!("token {number}"), LONG, Instant::now() + PATIENCE)?)
        };
        let acquired = thread::scope(|scope| {
            let acquire = &acquire;
            let threads: Vec<_> = (0..THREADS).map(|number| scope.spawn(move || acquire(number))).collect();
            threads.into_iter().map(|thread| joined(thread.join())).collect::<Result<Vec<bool>, Stop>>()
        })?;
        let owners: Vec<usize> = (0..THREADS).filter(|number| acquired[*number]).collect();
        let [owner] = owners[..] else {
            return Err(Stop::failed(format!(
                "expected acquire() to succeed for one of {THREADS} tokens, it did for {}",
                owners.len()
            )));
        };
        lock.release(&format!("token {owner}"), true, "by the owner")?;
    }
    Ok(())
}
