//! [`LeasedMutex`]: a mutex for one key whose lock is on a server.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::acquisition::{Ended, Leased, LeasedOperations};
use super::holding::{Claim, Holding};
use super::keeper::{Keeper, Kept};
use super::options::LeaseOptions;
use super::store::LeaseStore;
use super::time::after;
use super::waiting::Pause;
use crate::error::{BackendError, ErrorKind};
use crate::mutex::CacheMutex;
use crate::operations::MutexOperations;
use crate::options::Fence;
use crate::per_process::PerProcess;

/// The time that an attempt has at least, even if the deadline has passed. A server that works replies within it.
const SLACK: Duration = Duration::from_millis(100);

/// What all mutexes of a store share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) store: Arc<dyn LeaseStore>,
    pub(super) options: LeaseOptions,
    pub(super) keeper: PerProcess<Keeper>,
}

/// A mutex for one key.
pub(super) struct LeasedMutex {
    shared: Arc<Shared>,
    key: Arc<str>,
    held: Mutex<Option<Arc<Kept>>>,
    me: Weak<LeasedMutex>,
}

impl LeasedMutex {
    pub(super) fn new(shared: Arc<Shared>, key: &str) -> Arc<Self> {
        let (key, held) = (key.into(), Mutex::default());
        Arc::new_cyclic(|me| LeasedMutex { shared, key, held, me: Weak::clone(me) })
    }

    /// Tries once to acquire the lock, until `deadline` or a little longer.
    fn attempt(&self, claim: &Arc<Claim>, deadline: Instant) -> Result<bool, BackendError> {
        let Shared { store, options, .. } = &*self.shared;
        // Take the time before the request, so that our estimate never outlasts the server's lease.
        let asked = Instant::now();
        let deadline = deadline.max(asked + SLACK);
        let acquired = store.acquire(&self.key, &claim.token, options.lease, deadline);
        self.attempted(claim, asked, acquired)
    }

    /// Returns the latest end of an acquisition that begins now. After that, its lease would have ended.
    fn end_of_lease(&self) -> Instant {
        after(Instant::now(), self.shared.options.lease)
    }

    fn not_held(&self, why: &str) -> BackendError {
        let message = format!("cannot release the mutex: {why}");
        BackendError::new(ErrorKind::NotHeld, message).for_key(&*self.key)
    }

    fn held(&self) -> MutexGuard<'_, Option<Arc<Kept>>> {
        // No holder of this lock panics, so poison carries no meaning.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leased for LeasedMutex {
    fn key(&self) -> &str {
        &self.key
    }

    fn options(&self) -> &LeaseOptions {
        &self.shared.options
    }

    /// If this object lost its lease, the keeper may have acquired the lock again for it, so the claim is the same.
    fn claim(&self) -> Arc<Claim> {
        let held = self.held();
        let lost = held.as_ref().map(|kept| &kept.holding).filter(|holding| !holding.is_of_another_process());
        lost.and_then(Holding::claim_after_loss).unwrap_or_else(Claim::new)
    }

    fn attempted(
        &self,
        claim: &Arc<Claim>,
        asked: Instant,
        outcome: Result<bool, BackendError>,
    ) -> Result<bool, BackendError> {
        let Shared { options, keeper, .. } = &*self.shared;
        let acquired = outcome.inspect_err(|_| {
            // The server may have granted the lock although its reply was lost. No other caller would release it.
            keeper.get().remove(&self.key, claim);
        })?;
        if acquired {
            let holding = Holding::new(Arc::clone(&self.key), Arc::clone(claim), asked, options.lease);
            let kept = Kept::new(holding);
            if options.renewed {
                keeper.get().keep(&kept, asked);
            }
            *self.held() = Some(kept);
        }
        Ok(acquired)
    }

    fn end(&self) -> Result<Ended, BackendError> {
        let Some(kept) = self.held().take() else { return Err(self.not_held("it is not held")) };
        let (holding, Shared { store, keeper, .. }) = (&kept.holding, &*self.shared);
        if holding.is_of_another_process() {
            return Err(self.not_held("the process that acquired it was forked, and still holds it"));
        }
        let (claim, keeper) = (holding.end(), keeper.get());
        keeper.forget(&kept);
        if store.is_stuck(&self.key) {
            claim.released();
            keeper.remove(&self.key, &claim);
            let why = "the lock is released in the background: its server has just timed out";
            return Err(BackendError::new(ErrorKind::Timeout, why).for_key(&*self.key));
        }
        Ok(Ended { claim, is_gone: holding.is_gone() })
    }

    fn released(&self, ended: &Ended, outcome: Result<bool, BackendError>) -> Result<(), BackendError> {
        let was_acquired_late = ended.claim.released();
        if was_acquired_late || outcome.is_err() {
            self.shared.keeper.get().remove(&self.key, &ended.claim);
        }
        let released = outcome?;
        if released && !ended.is_gone { Ok(()) } else { Err(self.not_held("its lease ended earlier")) }
    }
}

impl CacheMutex for LeasedMutex {
    fn try_acquire(&self) -> Result<bool, BackendError> {
        self.attempt(&self.claim(), self.end_of_lease())
    }

    fn acquire_until(&self, deadline: Instant) -> Result<bool, BackendError> {
        let (claim, begun) = (self.claim(), Instant::now());
        if self.attempt(&claim, deadline.min(self.end_of_lease()))? {
            return Ok(true);
        }
        let options = &self.shared.options;
        let limit = deadline.min(after(begun, options.give_up_after));
        let mut pause = Pause::new(options.longest_pause);
        let mut waiting = None;
        loop {
            let left = limit.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let waiting = waiting.get_or_insert_with(|| self.shared.store.wait(&self.key));
            if waiting.pause(pause.next(begun.elapsed()).min(left)) {
                pause.restart(begun.elapsed());
            }
            match self.attempt(&claim, limit.min(self.end_of_lease())) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) if error.kind() == ErrorKind::Timeout && limit <= Instant::now() => {
                    log::debug!("stopped waiting for the lock of key {:?} within a poll: {error}", self.key);
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn release(&self) -> Result<(), BackendError> {
        let ended = self.end()?;
        let released = self.shared.store.release(&self.key, &ended.claim.token);
        self.released(&ended, released)
    }

    fn locked(&self) -> Result<bool, BackendError> {
        self.shared.store.locked(&self.key)
    }

    fn operations(&self) -> Option<Arc<dyn MutexOperations>> {
        let (mutex, store) = (self.me.upgrade()?, self.shared.store.operations()?);
        Some(Arc::new(LeasedOperations { mutex, store }))
    }

    fn is_lost(&self) -> bool {
        let held = self.held();
        let holding = held.as_ref().map(|kept| &kept.holding);
        holding.is_some_and(|holding| holding.is_lost(Instant::now()) || holding.is_of_another_process())
    }

    fn fence(&self) -> Option<Fence> {
        let held = self.held();
        let holding = held.as_ref().map(|kept| &kept.holding);
        let ours = holding.filter(|holding| !holding.is_of_another_process())?;
        self.shared.store.fence(&self.key, ours.fence_token())
    }
}

impl fmt::Debug for LeasedMutex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LeasedMutex { shared, key, held, me: _ } = self;
        let mut shown = f.debug_struct("LeasedMutex");
        let is_held = held.try_lock().is_ok_and(|held| held.is_some());
        shown.field("key", key).field("held", &is_held).field("store", &shared.store).finish()
    }
}
