//! The dogpile lock: one caller creates a value, the others keep the old one or wait for the new one.
//!
//! It holds no values: its [`Regeneration`] says how to read and how to create, so that it works with any store
//! and any mutex. There are two levels. In this process, a [gate](Gates) per key: whoever finds it open leads,
//! the others are freed all at once when the leader is done, and read again. Between processes, the backend's
//! [`CacheMutex`], which only leaders touch.
//!
//! Locks are for efficiency, not correctness: a mutex whose lease ran out lets a second creator in.
//!
//! Source: dogpile.cache `dogpile/lock.py`, `Lock`.

mod gate;
mod leadership;
#[cfg(all(test, dogpile_loom))]
mod model;
mod name_registry;
mod read_write;
mod sync;
mod waits;

use std::sync::Arc;

use dogpile_sdk::{BackendError, CacheMutex};

pub use self::gate::Gates;
pub use self::leadership::Leadership;
pub use self::name_registry::{NameRegistry, Named};
pub use self::read_write::{ReadGuard, ReadWriteMutex, WriteGuard};

use self::gate::{Arrival, Opened};
use self::waits::Circle;
use crate::decision::AsLeader;

pub use crate::decision::Reading;

/// How a [`DogpileLock`] reads, creates and stores.
pub trait Regeneration {
    /// What is cached.
    type Value;
    /// What can go wrong; the lock adds [`LockError`].
    type Error: From<LockError>;

    /// Reads what is stored, and judges it. Called again after each wait, and once the lock is won.
    ///
    /// # Errors
    /// If the store fails.
    fn read(&mut self) -> Result<Reading<Self::Value>, Self::Error>;

    /// Creates the value and stores it. Called at most once.
    ///
    /// # Errors
    /// If the creator or the store fails.
    fn create(&mut self, leadership: &Leadership) -> Result<Self::Value, Self::Error>;

    /// Whether a runner will take the creation of a stale value over (see [`hand_over`](Self::hand_over)).
    fn has_runner(&self) -> bool {
        false
    }

    /// Gives the creation to a runner, who owns `leadership` from now on. Called only if there is one.
    fn hand_over(&mut self, leadership: Leadership) {
        drop(leadership);
    }
}

/// What can go wrong with the lock itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// The caller would wait for itself: its creator, or one that it waits for, asked for a key that it is
    /// creating.
    #[error("a creator asked for a key that is being created by itself, or by a creator that waits for it")]
    Reentry,
    /// The backend's mutex gave up waiting, and there is still no value.
    #[error("the backend's mutex gave up waiting for another creator, and there is no value yet")]
    TimedOut,
    /// The backend's mutex failed.
    #[error("the backend's mutex failed")]
    Mutex(#[source] BackendError),
}

/// The dogpile lock of one key.
///
/// ```
/// use std::sync::{Arc, Mutex};
///
/// use dogpile::lock::{DogpileLock, Gates, Leadership, LockError, Reading, Regeneration};
///
/// struct Cell<'a>(&'a Mutex<Option<u32>>);
///
/// impl Regeneration for Cell<'_> {
///     type Value = u32;
///     type Error = LockError;
///
///     fn read(&mut self) -> Result<Reading<u32>, LockError> {
///         Ok(self.0.lock().unwrap().map_or(Reading::Missing, Reading::Fresh))
///     }
///     fn create(&mut self, _: &Leadership) -> Result<u32, LockError> {
///         Ok(*self.0.lock().unwrap().insert(7))
///     }
/// }
///
/// let (gates, store) = (Arc::new(Gates::new()), Mutex::new(None));
/// let lock = DogpileLock::new(&gates, "answer");
/// assert_eq!(lock.get_or_create(&mut Cell(&store))?, 7);
/// # Ok::<(), LockError>(())
/// ```
pub struct DogpileLock<'a> {
    gates: &'a Arc<Gates>,
    key: &'a str,
    get_mutex: Option<&'a GetMutex<'a>>,
}

/// Answers the mutex of a key, if it has one; asked only once somebody leads.
pub type GetMutex<'a> = dyn Fn(&str) -> Option<Arc<dyn CacheMutex>> + 'a;

/// What came of trying to lead.
pub(crate) enum Turn {
    Leads(Leadership),
    /// Somebody else does, and was not waited for.
    Busy,
    /// Somebody else did, and is done.
    Waited,
    /// The backend's mutex gave up waiting, for this caller or for the one that it waited for.
    TimedOut,
}

impl<'a> DogpileLock<'a> {
    /// The lock of `key` among `gates`, for this process only.
    pub fn new(gates: &'a Arc<Gates>, key: &'a str) -> Self {
        DogpileLock { gates, key, get_mutex: None }
    }

    /// Excludes other processes too, by the mutex that `get_mutex` answers.
    #[must_use]
    pub fn with_mutex(mut self, get_mutex: &'a GetMutex<'a>) -> Self {
        self.get_mutex = Some(get_mutex);
        self
    }

    /// The value, created if it is missing or stale and nobody else is creating it.
    ///
    /// Blocks only when there is no old value and another caller is creating one.
    ///
    /// # Errors
    /// What `regeneration` answers, or a [`LockError`].
    pub fn get_or_create<R: Regeneration>(&self, regeneration: &mut R) -> Result<R::Value, R::Error> {
        let first = regeneration.read()?;
        self.go_on(first, regeneration)
    }

    /// As [`get_or_create`](Self::get_or_create), for a caller that has read already.
    pub(crate) fn go_on<R: Regeneration>(
        &self,
        first: Reading<R::Value>,
        regeneration: &mut R,
    ) -> Result<R::Value, R::Error> {
        let mut reading = first;
        loop {
            reading = match reading {
                Reading::Fresh(value) => return Ok(value),
                Reading::Stale(old) => match self.try_lead()? {
                    Turn::Leads(leadership) => return lead(leadership, regeneration),
                    Turn::Busy | Turn::Waited | Turn::TimedOut => return Ok(old),
                },
                Reading::Missing => match self.lead_or_wait()? {
                    Turn::Leads(leadership) => return lead(leadership, regeneration),
                    Turn::Busy | Turn::Waited => regeneration.read()?,
                    Turn::TimedOut => {
                        return regeneration.read()?.into_value().ok_or_else(|| LockError::TimedOut.into());
                    }
                },
            }
        }
    }

    /// Leads, unless somebody does. Does not wait.
    pub(crate) fn try_lead(&self) -> Result<Turn, LockError> {
        match self.gates.arrive(self.key) {
            Arrival::Closed(_) => Ok(Turn::Busy),
            Arrival::Leads(gate) => {
                let led = Leadership::begin(gate, self.mutex(), false).map_err(LockError::Mutex)?;
                Ok(led.map_or(Turn::Busy, Turn::Leads))
            }
        }
    }

    /// Leads, or waits for whoever does.
    pub(crate) fn lead_or_wait(&self) -> Result<Turn, LockError> {
        match self.gates.arrive(self.key) {
            Arrival::Closed(gate) => {
                let opened = gate.wait().map_err(|Circle| LockError::Reentry)?;
                Ok(if opened == Opened::GaveUp { Turn::TimedOut } else { Turn::Waited })
            }
            Arrival::Leads(gate) => {
                let led = Leadership::begin(gate, self.mutex(), true).map_err(LockError::Mutex)?;
                Ok(led.map_or(Turn::TimedOut, Turn::Leads))
            }
        }
    }

    fn mutex(&self) -> Option<Arc<dyn CacheMutex>> {
        self.get_mutex.and_then(|get_mutex| get_mutex(self.key))
    }
}

impl std::fmt::Debug for DogpileLock<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DogpileLock({:?})", self.key)
    }
}

/// What a leader does: reads again, since another caller may have stored the value before the lock was won.
fn lead<R: Regeneration>(leadership: Leadership, regeneration: &mut R) -> Result<R::Value, R::Error> {
    match regeneration.read()?.for_leader(regeneration.has_runner()) {
        AsLeader::Serve(value) => Ok(value),
        AsLeader::HandOver(old) => {
            leadership.hand_over();
            regeneration.hand_over(leadership);
            Ok(old)
        }
        AsLeader::Create => {
            let created = regeneration.create(&leadership)?;
            drop(leadership);
            Ok(created)
        }
    }
}
