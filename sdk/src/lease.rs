//! Leased mutexes: mutexes for creators that share nothing except a server.
//!
//! A lock on the server is an entry that expires by itself. The creator that made the entry holds the mutex for one
//! *lease*. While the mutex is held, a thread of [`Leases`] renews the lease. If the holder's process dies, the mutex
//! is free after one lease. Each acquisition has a *token*, so that a former holder never renews or removes the lock of
//! another.
//!
//! A backend implements [`LeaseStore`], which is five commands of its server, and returns [`Leases::mutex`].

mod keeper;
mod store;
mod waiting;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use self::keeper::{Holding, Keeper};
pub use self::store::{Asleep, LeaseStore, LeaseWait};
use self::waiting::Pause;
use crate::error::{BackendError, ErrorKind};
use crate::mutex::CacheMutex;
use crate::options::Fence;

/// The length of leases, and the limits of waits for them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseOptions {
    /// The time after which the lock of a dead holder expires. Default: 30 seconds.
    pub lease: Duration,
    /// Whether a lease is renewed while its mutex is held. Otherwise two creators may overlap after it ends. Default:
    /// true.
    pub renewed: bool,
    /// The longest pause between two polls of a lock that another holder has. The first pause is 1 millisecond. A pause
    /// grows to at most a sixteenth of the time waited. Default: 100 milliseconds.
    pub longest_pause: Duration,
    /// The time after which [`CacheMutex::acquire_until`] returns `false`, even if its deadline is later. With 0 it
    /// never waits. Default: 5 minutes.
    pub give_up_after: Duration,
}

impl Default for LeaseOptions {
    fn default() -> Self {
        LeaseOptions {
            lease: Duration::from_secs(30),
            renewed: true,
            longest_pause: Duration::from_millis(100),
            give_up_after: Duration::from_secs(300),
        }
    }
}

/// The source of a store's leased mutexes. Renews their leases.
///
/// A thread renews the leases. It starts with the first mutex that is acquired, and ends when it has no lease to renew,
/// or when this value and all its mutexes are dropped.
#[derive(Clone, Debug)]
pub struct Leases {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Arc<dyn LeaseStore>,
    options: LeaseOptions,
    keeper: Keeper,
}

impl Leases {
    /// Creates the leased mutexes of `store`.
    pub fn new(store: Arc<dyn LeaseStore>, options: LeaseOptions) -> Self {
        let keeper = Keeper::new(Arc::clone(&store), options.lease);
        Leases { shared: Arc::new(Shared { store, options, keeper }) }
    }

    /// Creates a mutex for `key`. All mutexes for one key exclude each other, in all processes.
    pub fn mutex(&self, key: &str) -> Arc<dyn CacheMutex> {
        let (shared, key) = (Arc::clone(&self.shared), Arc::from(key));
        Arc::new(LeasedMutex { shared, key, held: Mutex::default() })
    }
}

/// A mutex for one key.
struct LeasedMutex {
    shared: Arc<Shared>,
    key: Arc<str>,
    held: Mutex<Option<Arc<Holding>>>,
}

impl LeasedMutex {
    /// Tries once to acquire the lock for `token`.
    fn attempt(&self, token: &str) -> Result<bool, BackendError> {
        let Shared { store, options, keeper } = &*self.shared;
        // Take the time before the request, so that our estimate never outlasts the server's lease.
        let asked = Instant::now();
        let acquired = store.acquire(&self.key, token, options.lease).inspect_err(|_| {
            // The server may have granted the lock although its reply was lost. Nobody else would release it.
            keeper.remove(&self.key, token);
        })?;
        if acquired {
            let holding = Arc::new(Holding::new(Arc::clone(&self.key), token.into(), asked, options.lease));
            if options.renewed {
                keeper.keep(&holding, asked);
            }
            *self.held() = Some(holding);
        }
        Ok(acquired)
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<Arc<Holding>>> {
        // No holder of this lock panics, so poison carries no meaning.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CacheMutex for LeasedMutex {
    fn try_acquire(&self) -> Result<bool, BackendError> {
        self.attempt(&new_token())
    }

    fn acquire_until(&self, deadline: Instant) -> Result<bool, BackendError> {
        let (token, begun) = (new_token(), Instant::now());
        let options = &self.shared.options;
        let limit = begun.checked_add(options.give_up_after).map_or(deadline, |limit| limit.min(deadline));
        let mut pause = Pause::new(options.longest_pause);
        let mut waiting = None;
        loop {
            if self.attempt(&token)? {
                return Ok(true);
            }
            let left = limit.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let waiting = waiting.get_or_insert_with(|| self.shared.store.wait(&self.key));
            if waiting.pause(pause.next(begun.elapsed()).min(left)) {
                pause.restart(begun.elapsed());
            }
        }
    }

    fn release(&self) -> Result<(), BackendError> {
        let not_held = |why| Err(BackendError::new(ErrorKind::NotHeld, why).for_key(&*self.key));
        let Some(holding) = self.held().take() else {
            return not_held("cannot release the mutex: it is not held");
        };
        let Shared { store, options: _, keeper } = &*self.shared;
        keeper.forget(&holding);
        let released = store.release(&self.key, &holding.token);
        let released = released.inspect_err(|_| keeper.remove(&self.key, &holding.token))?;
        if released { Ok(()) } else { not_held("cannot release the mutex: its lease ended earlier") }
    }

    fn locked(&self) -> Result<bool, BackendError> {
        self.shared.store.locked(&self.key)
    }

    fn is_lost(&self) -> bool {
        self.held().as_ref().is_some_and(|holding| holding.is_lost(Instant::now()))
    }

    fn fence(&self) -> Option<Fence> {
        let held = self.held();
        held.as_ref().and_then(|holding| self.shared.store.fence(&self.key, &holding.token))
    }
}

impl fmt::Debug for LeasedMutex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LeasedMutex { shared, key, held } = self;
        let mut shown = f.debug_struct("LeasedMutex");
        let is_held = held.try_lock().is_ok_and(|held| held.is_some());
        shown.field("key", key).field("held", &is_held).field("store", &shared.store).finish()
    }
}

/// Returns 32 hexadecimal digits that no other call returned, in this process or another.
fn new_token() -> String {
    let digits = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", digits(), digits())
}
