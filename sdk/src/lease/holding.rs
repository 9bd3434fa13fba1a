//! [`Holding`]: a lock that a mutex of this process acquired.

use std::process;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::time::after;
use super::token::new_token;

/// An acquisition or its attempt: a token, and whether it is still wanted.
///
/// A token is used for one acquisition. While the lock has it, no other holder has had the lock since.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) token: String,
    events: AtomicU8,
}

/// The mutex is being released, or has been.
const GIVEN_UP: u8 = 1;
/// The request that releases the lock has ended.
const RELEASED: u8 = 2;
/// A request of the keeper acquired the lock, or may have, after the mutex was given up.
const ACQUIRED_LATE: u8 = 4;

impl Claim {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Claim { token: new_token(), events: AtomicU8::new(0) })
    }

    /// Records that the mutex is being released. A request of the keeper that is in progress may acquire the lock once
    /// more.
    pub(super) fn give_up(&self) {
        self.record(GIVEN_UP);
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.events.load(Ordering::Acquire) & GIVEN_UP != 0
    }

    /// Records that the request that releases the lock has ended. Returns whether the lock is to be removed after it,
    /// because the keeper may have acquired it meanwhile.
    pub(super) fn released(&self) -> bool {
        self.record(RELEASED) & ACQUIRED_LATE != 0
    }

    /// Records that the keeper may have acquired the lock after the mutex was given up. Returns whether the keeper is to
    /// remove the lock. If not, the release is in progress. It would not find a lock that the keeper removed first.
    pub(super) fn acquired_late(&self) -> bool {
        self.record(ACQUIRED_LATE) & RELEASED != 0
    }

    /// Records `event`, and returns the events before it.
    fn record(&self, event: u8) -> u8 {
        self.events.fetch_or(event, Ordering::AcqRel)
    }
}

/// A lock that a mutex of this process acquired, until the mutex is released.
///
/// The lease can be *lost*. There are two kinds of loss:
/// * The lease ended by our count, because no renewal succeeded in time. The server may still have kept the lock.
///   If a later renewal finds it there with our token, no other holder has had it, and the lease is no longer lost.
/// * The server reported that the lock is gone or has another token. Another holder may have had it, and may have stored
///   a newer value. No server can rule that out afterwards: a released lock leaves no trace. This loss is final.
///
/// After a final loss, the lock is acquired again with a new token if it is free, so that others wait for the creator
/// that still runs. Its value must not be stored. `is_lost` stays true, and fences still have the first token, which the
/// lock never has again.
#[derive(Debug)]
pub(super) struct Holding {
    pub(super) key: Arc<str>,
    process: u32,
    first: Arc<Claim>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The present claim to the lock.
    claim: Arc<Claim>,
    /// Whether the server reported that the lock of the first claim is gone.
    gone: bool,
    /// Whether the lock is held, as far as we know. If not, it is to be acquired again.
    is_held: bool,
    /// The end of the lease, as far as we know.
    ends: Instant,
    /// Whether the mutex was released.
    is_released: bool,
}

/// What the keeper does next for a holding.
#[derive(Debug)]
pub(super) enum Step {
    /// Renews the lease.
    Renew(Arc<Claim>),
    /// Acquires the lock again.
    Regain(Arc<Claim>),
}

impl Holding {
    /// Creates the holding of a lock that was requested at `asked` for `lease`.
    pub(super) fn new(key: Arc<str>, claim: Arc<Claim>, asked: Instant, lease: Duration) -> Self {
        let ends = after(asked, lease);
        let state = State { claim: Arc::clone(&claim), gone: false, is_held: true, ends, is_released: false };
        Holding { key, process: process::id(), first: claim, state: Mutex::new(state) }
    }

    /// Returns whether the lock belongs to the parent of this process, which was forked while the mutex was held.
    pub(super) fn is_of_another_process(&self) -> bool {
        self.process != process::id()
    }

    /// Returns whether the lease is known to have been lost at `now`.
    pub(super) fn is_lost(&self, now: Instant) -> bool {
        let state = self.state();
        state.gone || state.ends <= now
    }

    /// Returns whether the lease was lost for good.
    pub(super) fn is_gone(&self) -> bool {
        self.state().gone
    }

    /// Returns the end of the lease, as far as we know.
    pub(super) fn ends(&self) -> Instant {
        self.state().ends
    }

    /// Returns the token for fences. The lock never has it again after the lease was lost for good.
    pub(super) fn fence_token(&self) -> &str {
        &self.first.token
    }

    /// Records that the mutex is released, and returns the claim whose lock is to be removed.
    pub(super) fn end(&self) -> Arc<Claim> {
        let mut state = self.state();
        state.is_released = true;
        state.claim.give_up();
        Arc::clone(&state.claim)
    }

    /// Returns the claim to the lock after the lease was lost for good. A new acquisition continues with it: the keeper
    /// may have acquired the lock with its token.
    pub(super) fn claim_after_loss(&self) -> Option<Arc<Claim>> {
        let state = self.state();
        state.gone.then(|| Arc::clone(&state.claim))
    }

    /// Returns what is to be done next, unless the lock was released.
    pub(super) fn next_step(&self) -> Option<Step> {
        let state = self.state();
        if state.is_released {
            return None;
        }
        let claim = Arc::clone(&state.claim);
        Some(if state.is_held { Step::Renew(claim) } else { Step::Regain(claim) })
    }

    /// Records a success that was requested at `asked`.
    pub(super) fn granted(&self, asked: Instant, lease: Duration) {
        let mut state = self.state();
        state.is_held = true;
        state.ends = after(asked, lease);
    }

    /// Records that the server no longer has the lock of `claim`.
    pub(super) fn lose(&self, claim: &Arc<Claim>) {
        let mut state = self.state();
        if Arc::ptr_eq(&state.claim, claim) && !state.is_released {
            state.gone = true;
            state.is_held = false;
            state.claim = Claim::new();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds this lock, so poison carries no meaning.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_acquisition_is_removed_once_after_the_release() {
        let claim = Claim::new();
        claim.give_up();
        assert!(!claim.acquired_late(), "the release is in progress");
        assert!(claim.released(), "the releaser removes the lock");
        let claim = Claim::new();
        claim.give_up();
        assert!(!claim.released(), "nothing is to be removed");
        assert!(claim.acquired_late(), "the keeper removes the lock");
    }
}
