//! [`Port`]: all that the protocol asks of the world.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, CreationTime, Fence, Metadata};

use super::failure::{LockError, SharedFailure};
use super::found::Found;
use super::gate::{CreationInfo, GateKey, Gates, HeldMutex, Leader, Role};
use super::leadership::Queued;
use super::store_in_progress::StoreInProgress;
use super::task::{Batch, Elsewhere, Limits, Old};
use crate::created::Terms;
use crate::policy::Policy;

/// What a call of the protocol works on. A key is named by its place among the keys of the call.
///
/// In the blocking front end, only [`sleep_until`](Self::sleep_until) is ever pending. All other methods block.
pub(crate) trait Port {
    /// The value of a key.
    type Value: Clone + Send + Sync + 'static;
    /// What the call returns if it fails.
    type Error;

    /// How callers wait: as parked threads or as tasks.
    const ROLE: Role;

    /// Whether creators see the old value. A creation then overlaps every write since that value was read.
    const SEES_OLD: bool = false;

    /// Returns a part of the call that waiting callers are not in. For a task, it is kept apart from the call, so that the
    /// future of a task that waits stays small, and so do the stack frames of creators within creators.
    fn apart<F: Future>(part: F) -> impl Future<Output = F::Output> {
        part
    }

    /// Returns the gates of the store.
    fn gates(&self) -> &Arc<Gates>;

    /// Returns the key at `place`, as its gate needs it.
    fn key(&self, place: usize) -> GateKey<'_>;

    /// Returns the caller.
    fn leader(&self) -> &Leader;

    /// Returns a monotonic time, for deadlines.
    fn now(&self) -> Instant;

    /// Waits until `time`.
    fn sleep_until(&self, time: Instant) -> impl Future<Output = ()>;

    /// Returns the policy of the call.
    fn policy(&self) -> &Policy;

    /// Reads and judges the keys at `places`.
    async fn read(&mut self, places: &[usize]) -> Result<Vec<Found<Self::Value>>, Self::Error>;

    /// Returns the backend's mutex of a key, if it has mutexes.
    fn mutex(&self, place: usize) -> Option<HeldMutex>;

    /// Acquires a mutex: at once if `until` is `None`, and waiting until then otherwise.
    async fn acquire(&mut self, mutex: &HeldMutex, until: Option<Instant>) -> Result<bool, BackendError>;

    /// Lets the creation go on without the mutex, which failed, or returns the `error`.
    fn go_on_without_mutex(&mut self, error: BackendError) -> Result<(), BackendError> {
        Err(error)
    }

    /// Returns whether a mutex that was acquired is known to be held no longer.
    fn is_lost(&self, mutex: &HeldMutex) -> bool;

    /// Releases a mutex. A failure is logged.
    async fn unlock(&mut self, place: usize, mutex: HeldMutex);

    /// Returns the time at which a creation begins, as its values are stamped.
    fn began(&self) -> CreationTime;

    /// Calls the creator for the `wanted` keys. Returns one value for each, in order. A creator that is a task ends with an
    /// error at `until`.
    async fn create(
        &mut self,
        wanted: Vec<Wanted<Self::Value>>,
        until: Option<Instant>,
    ) -> Result<Vec<Made<Self::Value>>, Self::Error>;

    /// Stores created values, and returns the places of those that were stored, in order. A failure is logged, and the caller still
    /// gets its values.
    async fn store(&mut self, values: Vec<Storing<'_, Self::Value>>, began: CreationTime) -> Vec<usize>;

    /// Returns whether a value of the key at `place` whose creation began at `began` may be served, however old it is.
    fn is_valid(&self, place: usize, began: CreationTime) -> bool;

    /// Returns whether a stored value of the key at `place` with this `metadata` is fresh for this call.
    fn is_fresh(&self, place: usize, metadata: &Metadata) -> bool;

    /// Returns whether an old value of the key at `place` with this `metadata` may be served because no new one came.
    fn may_rescue(&self, place: usize, metadata: &Metadata) -> bool {
        let _ = (place, metadata);
        false
    }

    /// Returns whether a value of the key at `place` with this `metadata` may be served while a new one is created.
    fn may_serve_stale(&self, place: usize, metadata: &Metadata) -> bool {
        let _ = (place, metadata);
        false
    }

    /// Returns whether the failure of a creator is an outage, and not an answer.
    fn is_outage(&self, error: &Self::Error) -> bool {
        let _ = error;
        false
    }

    /// Reports that old values are served because the creator failed.
    fn report_rescue(&self, places: &[usize], error: &Self::Error) {
        let _ = (places, error);
    }

    /// Returns whether stale values are created in the background.
    fn creates_in_background(&self) -> bool {
        false
    }

    /// Gives creations to the background.
    fn hand_over(&mut self, creations: Vec<(usize, Queued)>) {
        drop(creations);
    }

    /// Returns whether creations can go on without the caller.
    fn creates_elsewhere(&self) -> bool {
        false
    }

    /// Has a batch created without the caller, and waits for it until the first of `limits` at which the caller `may_leave`.
    /// Blocks: only threads do it.
    fn create_elsewhere(
        &mut self,
        batch: Batch<Self::Value>,
        limits: Limits,
        may_leave: &dyn Fn(&Self) -> bool,
    ) -> Elsewhere<Self::Value, Self::Error> {
        let _ = (limits, may_leave);
        Elsewhere::Back(batch)
    }

    /// Returns the failure that waiters get, if they are to share it.
    fn shared_failure(&self, error: &Self::Error, places: &[usize], age: Duration) -> Option<SharedFailure> {
        let _ = (error, places, age);
        None
    }

    /// Returns whether the caller must not block until a task has created a key: the task may need this thread.
    fn must_not_wait_for_tasks(&self) -> bool {
        false
    }

    /// Makes the call's error of a failure of the lock.
    fn lock_error(&self, place: usize, error: LockError) -> Self::Error;

    /// Makes the error of a call that got no value of the key at `place` within its limit.
    fn timed_out(&self, place: usize, limit: Duration) -> Self::Error;

    /// Makes the call's error of another caller's failure.
    fn failure(&self, failure: SharedFailure) -> Self::Error;

    /// Reports something that the caller does not get to see.
    fn report(&self, report: Report<'_>);
}

/// A key that is to be created, by its place.
#[derive(Debug)]
pub(crate) struct Wanted<V> {
    pub(crate) place: usize,
    /// The stale value that the leader read.
    pub(crate) old: Option<Old<V>>,
}

/// A value that was created, and how it is stored.
#[derive(Debug)]
pub(crate) struct Made<V> {
    pub(crate) value: V,
    pub(crate) terms: Terms,
}

/// A created value that is to be stored.
#[derive(Debug)]
pub(crate) struct Storing<'a, V> {
    pub(crate) place: usize,
    pub(crate) made: &'a Made<V>,
    /// The token of the leader's mutex, if the store can check that the mutex is still held.
    pub(crate) fence: Option<Fence>,
    /// To be dropped when the store has ended, even if the leader is dropped before. A thread needs none.
    pub(crate) in_progress: Option<StoreInProgress>,
}

/// What the protocol reports.
#[derive(Debug)]
pub(crate) enum Report<'a> {
    /// The mutex failed, and the stale value is served.
    MutexFailed { place: usize, error: &'a BackendError },
    /// A creator within a creator went on without the mutex.
    WithoutMutex { place: usize },
    /// The lease of the mutex ended, so that the value is not stored.
    LeaseLost { place: usize },
    /// The key was set or deleted during its creation, so that the value is not stored.
    Superseded { place: usize },
    /// A caller has waited for some seconds.
    LongWait { creation: &'a CreationInfo },
    /// A caller's wait at a gate ended.
    Waited { place: usize, took: Duration },
    /// A fresh value is about to be created again, because it is due for an early refresh.
    RefreshesEarly { place: usize },
}

/// Erases the type of a value, so that a gate can carry it.
pub(super) fn erase<V: Send + Sync + 'static>(value: V) -> Arc<dyn Any + Send + Sync> {
    Arc::new(value)
}
