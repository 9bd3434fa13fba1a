//! The dogpile lock on its own, and two small locks that dogpile.cache has as well.
//!
//! Source: dogpile.cache `dogpile/lock.py`, `Lock`.

mod name_registry;
mod read_write;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, CreationTime, Metadata, PerProcess};

pub use self::name_registry::{NameRegistry, Named};
pub use self::read_write::{ReadGuard, ReadWriteMutex, WriteGuard};
pub use crate::engine::LockError;

use crate::caller::this_thread;
use crate::created::Terms;
use crate::decision;
use crate::engine::blocking::{drive, sleep_until};
use crate::engine::{
    Found, GateKey, Gates, HeldMutex, Leader, Made, Need, Port, Report, Role, SharedFailure, Slot, Storing,
    Wanted, settle,
};
use crate::log_targets::CREATION;
use crate::policy::Policy;

/// The outcome of reading a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading<V> {
    /// A value that is served.
    Fresh(V),
    /// A value that is too old or softly invalidated: one caller creates a new one, and the others get this one.
    Stale(V),
    /// No value that may be served: all callers wait for a new one.
    Missing,
}

impl<V> Reading<V> {
    /// Returns the value, even if it is stale.
    pub fn into_value(self) -> Option<V> {
        match self {
            Reading::Fresh(value) | Reading::Stale(value) => Some(value),
            Reading::Missing => None,
        }
    }
}

impl<V> From<Reading<V>> for decision::Reading<V> {
    fn from(reading: Reading<V>) -> Self {
        match reading {
            Reading::Fresh(value) => decision::Reading::Fresh(value),
            Reading::Stale(value) => decision::Reading::Stale(value),
            Reading::Missing => decision::Reading::Missing,
        }
    }
}

/// Lets one caller of this process create a value. The others keep the old one or wait for the new one.
///
/// It holds no values, and works with any store: the caller provides how to read and how to create. A region does the
/// same
/// for a backend, and excludes other processes as well.
///
/// ```
/// use std::sync::Mutex;
///
/// use dogpile::lock::{DogpileLock, LockError, Reading};
///
/// let (lock, store) = (DogpileLock::new(), Mutex::new(None));
/// let read = || Ok::<_, LockError>(store.lock().unwrap().map_or(Reading::Missing, Reading::Fresh));
/// let value = lock.get_or_create("answer", read, || Ok(*store.lock().unwrap().insert(7)))?;
/// assert_eq!(value, 7);
/// # Ok::<(), LockError>(())
/// ```
pub struct DogpileLock {
    gates: PerProcess<Arc<Gates>>,
    name: Arc<str>,
}

impl DogpileLock {
    /// Creates a lock for any number of keys.
    pub fn new() -> Self {
        DogpileLock { gates: PerProcess::new(|| Arc::new(Gates::new(drop)), |_| {}), name: "".into() }
    }

    /// Returns the value of `key`, creating it if it is missing or stale. If another caller creates it, this call
    /// waits or gets the old value.
    ///
    /// `read` returns the stored value, and is called again before `create`. `create` creates the value and stores it,
    /// and is called at most once. Blocks only if there is no old value and another caller creates one; waiters get the
    /// value that was created.
    ///
    /// # Errors
    /// Returns what `read` or `create` returns, or a [`LockError`].
    pub fn get_or_create<T, E>(
        &self,
        key: &str,
        mut read: impl FnMut() -> Result<Reading<T>, E>,
        create: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E>
    where
        T: Clone + Send + Sync + 'static,
        E: From<LockError>,
    {
        let (leader, policy) = (this_thread(), Policy::default());
        let mut slots = [Slot::of(Found { reading: read()?.into(), metadata: None }, &policy)];
        let gates = self.gates.get();
        let mut call = Call { lock: self, gates, key, leader, policy, read, create: Some(create) };
        drive(settle(&mut call, &mut slots))?;
        match slots {
            [Slot { need: Need::Settled(value, _), .. }] => Ok(value),
            _ => unreachable!("the protocol settles all slots"),
        }
    }

    /// Returns how many keys are being created.
    pub fn len(&self) -> usize {
        self.gates.get().len()
    }

    /// Returns whether no key is being created.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for DogpileLock {
    fn default() -> Self {
        DogpileLock::new()
    }
}

impl fmt::Debug for DogpileLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DogpileLock({} in progress)", self.len())
    }
}

/// A call of a lock, as the protocol's port.
struct Call<'a, R, C> {
    lock: &'a DogpileLock,
    gates: &'a Arc<Gates>,
    key: &'a str,
    leader: Leader,
    /// Callers wait for others as long as those of a region do.
    policy: Policy,
    read: R,
    create: Option<C>,
}

impl<T, E, R, C> Port for Call<'_, R, C>
where
    T: Clone + Send + Sync + 'static,
    E: From<LockError>,
    R: FnMut() -> Result<Reading<T>, E>,
    C: FnOnce() -> Result<T, E>,
{
    type Value = T;
    type Error = E;

    const ROLE: Role = Role::Thread;

    fn gates(&self) -> &Arc<Gates> {
        self.gates
    }

    fn key(&self, _place: usize) -> GateKey<'_> {
        GateKey { store_key: self.key, key: self.key, region: &self.lock.name, leader: &self.leader }
    }

    fn leader(&self) -> &Leader {
        &self.leader
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep_until(&self, time: Instant) -> impl Future<Output = ()> {
        sleep_until(time)
    }

    fn policy(&self) -> &Policy {
        &self.policy
    }

    async fn read(&mut self, _places: &[usize]) -> Result<Vec<Found<T>>, E> {
        Ok(vec![Found { reading: (self.read)()?.into(), metadata: None }])
    }

    fn mutex(&self, _place: usize) -> Option<HeldMutex> {
        None
    }

    async fn acquire(&mut self, _mutex: &HeldMutex, _until: Option<Instant>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn is_lost(&self, _mutex: &HeldMutex) -> bool {
        false
    }

    async fn unlock(&mut self, _place: usize, _mutex: HeldMutex) {}

    fn began(&self) -> CreationTime {
        CreationTime::from_seconds(0.0)
    }

    async fn create(&mut self, _wanted: Vec<Wanted<T>>, _until: Option<Instant>) -> Result<Vec<Made<T>>, E> {
        let create = self.create.take().expect("the protocol creates a key once in a call");
        // It stores the value by itself.
        let terms = Terms { is_stored: false, ..Terms::STORED };
        Ok(vec![Made { value: create()?, terms }])
    }

    async fn store(&mut self, _values: Vec<Storing<'_, T>>, _began: CreationTime) -> Vec<usize> {
        Vec::new()
    }

    fn is_valid(&self, _place: usize, _began: CreationTime) -> bool {
        true
    }

    fn is_fresh(&self, _place: usize, _metadata: &Metadata) -> bool {
        false
    }

    fn lock_error(&self, _place: usize, error: LockError) -> E {
        error.into()
    }

    fn timed_out(&self, _place: usize, _limit: Duration) -> E {
        unreachable!("no creator of this lock has a limit")
    }

    fn failure(&self, _failure: SharedFailure) -> E {
        unreachable!("no call of this lock shares failures")
    }

    fn report(&self, report: Report<'_>) {
        if let Report::LongWait { creation } = report {
            let (key, leader, waiters) = (&creation.key, &creation.leader, creation.waiters);
            tracing::warn!(target: CREATION, key, leader, age = ?creation.age, waiters, "callers have been waiting for a creation for some seconds");
        }
    }
}
