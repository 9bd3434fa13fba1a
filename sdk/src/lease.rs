//! Leased mutexes: what keeps creators apart that share nothing but a server.
//!
//! A server's lock is an entry that vanishes by itself: whoever made it holds the mutex for one *lease*. While it
//! is held, a thread of [`Leases`] renews the lease; if its process dies nobody does, and the mutex is free after
//! one lease. Each acquisition has a *token*, so that nobody renews or removes what has become somebody else's.
//!
//! A backend implements [`LeaseStore`], five commands of its server, and hands out [`Leases::mutex`].

mod keeper;
mod waiting;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use self::keeper::{Holding, Keeper};
use self::waiting::Pause;
use crate::error::{BackendError, ErrorKind};
use crate::mutex::CacheMutex;

/// The locks of a server. `key` is the key whose creators are kept apart; the name of its lock is up to the store.
pub trait LeaseStore: fmt::Debug + Send + Sync + 'static {
    /// Takes the lock of `key` for `token` unless it is there, to vanish after `lease`. Answers at once whether it was
    /// taken. A lock that is there with this very token is taken too: the answer to an earlier attempt was lost.
    ///
    /// # Errors
    /// If the server fails.
    fn acquire(&self, key: &str, token: &str, lease: Duration) -> Result<bool, BackendError>;

    /// Lets the lock of `key` live for another `lease` from now. Answers `false`, and changes nothing, if it is gone
    /// or has another token.
    ///
    /// # Errors
    /// If the server fails.
    fn renew(&self, key: &str, token: &str, lease: Duration) -> Result<bool, BackendError>;

    /// Removes the lock of `key`. Answers `false`, and changes nothing, if it is gone or has another token.
    ///
    /// # Errors
    /// If the server fails.
    fn release(&self, key: &str, token: &str) -> Result<bool, BackendError>;

    /// Whether the lock of `key` is there, whoever took it.
    ///
    /// # Errors
    /// If the server fails.
    fn locked(&self, key: &str) -> Result<bool, BackendError>;

    /// Begins to wait for the lock of `key`, which somebody else holds. Default: [`Asleep`].
    fn wait<'w>(&'w self, key: &'w str) -> Box<dyn LeaseWait + 'w> {
        let _ = key;
        Box::new(Asleep)
    }
}

/// One thread's wait for a lock that somebody else holds. It is over when this is dropped.
pub trait LeaseWait {
    /// Blocks for `limit` at most: until the lock may have been released, if the server tells that. Answers whether it
    /// told. What it takes to be told may be made ready in the first call that is worth it; that call then returns
    /// `false` early, so that a release of the meantime is seen.
    fn pause(&mut self, limit: Duration) -> bool;
}

/// The wait for a lock of whose release nobody tells: it sleeps.
#[derive(Debug)]
pub struct Asleep;

impl LeaseWait for Asleep {
    fn pause(&mut self, limit: Duration) -> bool {
        std::thread::sleep(limit);
        false
    }
}

/// How long leases last, and how they are waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseOptions {
    /// How long a lock outlives a holder that died. Default: 30 seconds.
    pub lease: Duration,
    /// Whether a lease is renewed while its mutex is held; otherwise it ends when it ends, and with it the
    /// exclusion. Default: yes.
    pub renewed: bool,
    /// The longest pause between two looks at a lock that somebody else holds. The pauses begin at 1 millisecond and
    /// grow with the time waited, of which they are a sixteenth at most. Default: 100 milliseconds.
    pub longest_pause: Duration,
    /// How long a blocking `acquire` waits before it answers `false`. Default: 5 minutes.
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

/// The leased mutexes of a store, and the thread that renews their leases.
///
/// The thread begins with the first mutex that is held for a third of its lease, and ends when none has been held for
/// some seconds, or when the last of the mutexes and this value are dropped.
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
    /// The mutexes of `store`.
    pub fn new(store: Arc<dyn LeaseStore>, options: LeaseOptions) -> Self {
        let keeper = Keeper::new(Arc::clone(&store), options.lease);
        Leases { shared: Arc::new(Shared { store, options, keeper }) }
    }

    /// A mutex for `key`; all mutexes for one key exclude each other, in this process and in all others.
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
    /// Tries once.
    fn attempt(&self, token: &str) -> Result<bool, BackendError> {
        let Shared { store, options, keeper } = &*self.shared;
        // Before the server is asked: the lease that it grants cannot end earlier than the one reckoned with here.
        let asked = Instant::now();
        let taken = store.acquire(&self.key, token, options.lease).inspect_err(|_| {
            // The lock may have been taken, and only the answer lost. Nobody would release it.
            keeper.remove(&self.key, token);
        })?;
        if taken {
            let holding = Arc::new(Holding::new(Arc::clone(&self.key), token.into()));
            if options.renewed {
                keeper.keep(&holding, asked);
            }
            *self.held() = Some(holding);
        }
        Ok(taken)
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<Arc<Holding>>> {
        // Nothing panics while it is locked.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CacheMutex for LeasedMutex {
    fn acquire(&self, wait: bool) -> Result<bool, BackendError> {
        let (token, begun) = (new_token(), Instant::now());
        let options = &self.shared.options;
        let mut pause = Pause::new(options.longest_pause);
        let mut waiting = None;
        loop {
            if self.attempt(&token)? {
                return Ok(true);
            }
            let left = options.give_up_after.saturating_sub(begun.elapsed());
            if !wait || left.is_zero() {
                return Ok(false);
            }
            let waiting = waiting.get_or_insert_with(|| self.shared.store.wait(&self.key));
            if waiting.pause(pause.next(begun.elapsed()).min(left)) {
                pause.restart(begun.elapsed());
            }
        }
    }

    fn release(&self) -> Result<(), BackendError> {
        let not_held = |why| Err(BackendError::new(ErrorKind::NotHeld, why));
        let Some(holding) = self.held().take() else { return not_held("the mutex is not held") };
        let Shared { store, options: _, keeper } = &*self.shared;
        keeper.forget(&holding);
        let released = store.release(&self.key, &holding.token);
        let released = released.inspect_err(|_| keeper.remove(&self.key, &holding.token))?;
        if released { Ok(()) } else { not_held("the lease of the mutex ended before it was released") }
    }

    fn locked(&self) -> Result<bool, BackendError> {
        self.shared.store.locked(&self.key)
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

/// 32 hexadecimal digits that no other call gave out, in this process or another.
fn new_token() -> String {
    let digits = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", digits(), digits())
}
