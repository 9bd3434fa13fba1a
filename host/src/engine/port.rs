//! [`Port`]: all that the protocol asks of the world.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, CreationTime};

use super::failure::{LockError, SharedFailure};
use super::gate::{CreationInfo, GateKey, Gates, HeldMutex, Role};
use super::leadership::Queued;
use crate::decision::Reading;

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

    /// Returns the gates of the store.
    fn gates(&self) -> &Arc<Gates>;

    /// Returns the key at `place`, as its gate needs it.
    fn key(&self, place: usize) -> GateKey<'_>;

    /// Returns the caller, as warnings and errors name it.
    fn leader(&self) -> &Arc<str>;

    /// Returns a monotonic time, for deadlines.
    fn now(&self) -> Instant;

    /// Waits until `time`.
    fn sleep_until(&self, time: Instant) -> impl Future<Output = ()>;

    /// Returns how long the whole call waits for other creators at most.
    fn wait_limit(&self) -> Duration;

    /// Reads and judges the keys at `places`.
    async fn read(&mut self, places: &[usize]) -> Result<Vec<Found<Self::Value>>, Self::Error>;

    /// Returns the backend's mutex of a key, if it has mutexes.
    fn mutex(&self, place: usize) -> Option<HeldMutex>;

    /// Acquires a mutex: at once if `until` is `None`, and waiting until then otherwise.
    async fn acquire(&mut self, mutex: &HeldMutex, until: Option<Instant>) -> Result<bool, BackendError>;

    /// Returns whether a mutex that was acquired is known to be held no longer.
    fn is_lost(&self, mutex: &HeldMutex) -> bool;

    /// Releases a mutex. A failure is logged.
    async fn unlock(&mut self, place: usize, mutex: HeldMutex);

    /// Returns the time at which a creation begins, as its values are stamped.
    fn began(&self) -> CreationTime;

    /// Calls the creator for the keys at `places`.
    async fn create(&mut self, places: &[usize]) -> Result<Vec<Created<Self::Value>>, Self::Error>;

    /// Stores created values. A failure is logged: the caller gets its values all the same.
    async fn store(&mut self, values: Vec<(usize, &Self::Value)>, began: CreationTime);

    /// Returns whether a value whose creation began at `began` may be served, however old it is.
    fn is_valid(&self, began: CreationTime) -> bool;

    /// Returns whether a value with the creation time `made` is fresh for this call.
    fn is_fresh(&self, made: CreationTime) -> bool;

    /// Returns whether stale values are created in the background.
    fn creates_in_background(&self) -> bool {
        false
    }

    /// Gives creations to the background.
    fn hand_over(&mut self, creations: Vec<(usize, Queued)>) {
        drop(creations);
    }

    /// Returns the failure that waiters get, if they are to share it.
    fn shared_failure(&self, error: &Self::Error, places: &[usize], age: Duration) -> Option<SharedFailure> {
        let _ = (error, places, age);
        None
    }

    /// Makes the call's error of a failure of the lock.
    fn lock_error(&self, place: usize, error: LockError) -> Self::Error;

    /// Makes the call's error of another caller's failure.
    fn failure(&self, failure: SharedFailure) -> Self::Error;

    /// Reports something that the caller does not get to see.
    fn report(&self, report: Report<'_>);
}

/// A value that was read, and its creation time if there is one.
#[derive(Debug)]
pub(crate) struct Found<V> {
    pub(crate) reading: Reading<V>,
    pub(crate) made: Option<CreationTime>,
}

/// A value that was created.
#[derive(Debug)]
pub(crate) struct Created<V> {
    pub(crate) value: V,
    /// Whether the value is stored.
    pub(crate) is_cacheable: bool,
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
}

/// Erases the type of a value, so that a gate can carry it.
pub(super) fn erase<V: Send + Sync + 'static>(value: V) -> Arc<dyn Any + Send + Sync> {
    Arc::new(value)
}
