//! [`CreatorLocks`]: the locks between the creators of a file, in this process and in others.

// Source: dogpile.cache `util/__init__.py`, `KeyReentrantMutex`, and `backends/file.py`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, CacheMutex, ErrorKind, WeakRegistry, process_id};

use crate::config::LockKind;
use crate::lock_factory::LockFactory;
use crate::stripe_lock::{PathLocks, StripeLock, StripeLocks};

/// The time after which `acquire_until` gives up, even if its deadline is later.
const GIVE_UP_AFTER: Duration = Duration::from_secs(300);

/// The time after which a waiter takes its key of a stripe that this process holds for other keys.
///
/// A creator may request another key, on its own thread or on another, and would then wait for itself. The host lets a
/// creator that holds a mutex wait for at most one second, so joining must happen well within that second.
const JOIN_AFTER: Duration = Duration::from_millis(500);

/// The time after the first key of a stripe in which waiters may join it. Then other processes get their turn.
const JOINED_FOR: Duration = Duration::from_secs(30);

const SHORTEST_PAUSE: Duration = Duration::from_micros(500);
const LONGEST_PAUSE: Duration = Duration::from_millis(2);

/// The lock of a file, divided into stripes. The creator of a key holds the key's stripe exclusively and the lock file
/// itself shared. Python holds the lock file exclusively, so it is excluded. A single stripe is the lock file itself,
/// as in Python.
///
/// A thread that holds a stripe may acquire further keys of it at once. Otherwise a creator that requests another key
/// would wait for itself.
#[derive(Debug)]
pub(crate) struct CreatorLocks {
    locks: StripeLocks,
    stripes: Vec<Stripe>,
}

#[derive(Debug, Default)]
struct Stripe {
    held: Mutex<Held>,
    released: Condvar,
}

#[derive(Debug, Default)]
struct Held {
    holder: Option<Holder>,
    /// The keys for which the stripe is held, each with the mutex that holds it.
    keys: HashMap<String, u64>,
    lock: Option<StripeLock>,
    /// The process that holds the stripe.
    process: u32,
}

impl Held {
    /// Forgets what the parent of this process holds. It stays held by the parent.
    fn leave_parent(&mut self) {
        let process = process_id();
        if self.process != process {
            *self = Held { process, ..Held::default() };
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    thread: ThreadId,
    since: Instant,
}

impl CreatorLocks {
    /// Creates `count` stripes of the lock file `path`.
    pub(crate) fn new(path: PathBuf, count: u32, factory: LockFactory) -> Self {
        let locks = StripeLocks::new(path, count, factory);
        let stripes = (0..locks.count()).map(|_| Stripe::default()).collect();
        CreatorLocks { locks, stripes }
    }

    /// Returns the locks that all backends of this process over one lock file share.
    ///
    /// A creator that holds a key of one backend may then request a key of another.
    pub(crate) fn shared(path: &Path, count: u32, kind: LockKind, mode: u32) -> Arc<Self> {
        static SHARED: WeakRegistry<(PathBuf, u32, LockKind), CreatorLocks> = WeakRegistry::new();
        let create = || CreatorLocks::new(path.to_owned(), count, kind.factory(mode));
        SHARED.get_or_create((path.to_owned(), count, kind), create)
    }

    /// Creates a mutex for `key`.
    pub(crate) fn mutex(self: &Arc<Self>, key: &str) -> KeyReentrantMutex {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        KeyReentrantMutex { locks: Arc::clone(self), number: self.number(key), key: key.to_owned(), id }
    }

    /// Returns the stripe of `key`. All processes must agree on it, hence FNV-1a.
    fn number(&self, key: &str) -> usize {
        let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        usize::try_from(hash % self.stripes.len() as u64).unwrap_or(0)
    }
}

/// Locks `mutex`. No holder panics, so poison carries no meaning.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The mutex of one key. Any thread may release it, but no other mutex of the key.
// Source: dogpile.cache `util/__init__.py`, `KeyReentrantMutex`.
#[derive(Debug)]
pub(crate) struct KeyReentrantMutex {
    locks: Arc<CreatorLocks>,
    number: usize,
    key: String,
    /// Distinguishes this mutex from others of the key.
    id: u64,
}

impl KeyReentrantMutex {
    fn stripe(&self) -> &Stripe {
        &self.locks.stripes[self.number]
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        let mut held = locked(&self.stripe().held);
        held.leave_parent();
        held
    }

    /// Tries once to acquire the key. `open` is opened when first needed, and kept while the caller waits.
    fn attempt(&self, held: &mut Held, open: &mut Option<PathLocks>) -> Result<bool, BackendError> {
        let this = thread::current().id();
        if let Some(holder) = held.holder {
            return Ok(holder.thread == this && self.enter(held));
        }
        let Some(lock) = self.locks.locks.acquire(self.number, open)? else { return Ok(false) };
        held.holder = Some(Holder { thread: this, since: Instant::now() });
        held.keys = HashMap::from([(self.key.clone(), self.id)]);
        held.lock = Some(lock);
        Ok(true)
    }

    /// Acquires the key if this process holds its stripe for other keys and has not held it for long.
    fn try_join(&self, held: &mut Held) -> bool {
        let joins = held.holder.is_some_and(|holder| holder.since.elapsed() < JOINED_FOR);
        joins && self.enter(held)
    }

    /// Takes the key of a stripe that this process holds, and returns whether the key was free.
    fn enter(&self, held: &mut Held) -> bool {
        let is_free = !held.keys.contains_key(&self.key);
        if is_free {
            held.keys.insert(self.key.clone(), self.id);
        }
        is_free
    }
}

impl CacheMutex for KeyReentrantMutex {
    fn try_acquire(&self) -> Result<bool, BackendError> {
        self.attempt(&mut self.held(), &mut None)
    }

    fn acquire_until(&self, deadline: Instant) -> Result<bool, BackendError> {
        let (begun, mut open) = (Instant::now(), None);
        let limit = deadline.min(begun + GIVE_UP_AFTER);
        let mut held = self.held();
        while !self.attempt(&mut held, &mut open)? {
            let waited = begun.elapsed();
            if waited >= JOIN_AFTER && self.try_join(&mut held) {
                return Ok(true);
            }
            let left = limit.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            // Poll less often as the wait grows. A release in this process notifies us; only other processes need
            // polling.
            let pause = (waited / 32).clamp(SHORTEST_PAUSE, LONGEST_PAUSE).min(left);
            let woken = self.stripe().released.wait_timeout(held, pause);
            held = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(true)
    }

    fn release(&self) -> Result<(), BackendError> {
        let mut held = self.held();
        if held.keys.get(&self.key) != Some(&self.id) {
            let message = format!("cannot release the mutex of key {:?}: it is not held", self.key);
            return Err(BackendError::new(ErrorKind::NotHeld, message).during("release").for_key(&self.key));
        }
        held.keys.remove(&self.key);
        if !held.keys.is_empty() {
            return Ok(());
        }
        held.holder = None;
        let released = held.lock.take().map_or(Ok(()), StripeLock::release);
        drop(held);
        self.stripe().released.notify_all();
        released
    }

    fn locked(&self) -> Result<bool, BackendError> {
        let held = self.held();
        if held.keys.contains_key(&self.key) {
            return Ok(true);
        }
        if held.holder.is_some() {
            return Ok(false);
        }
        self.locks.locks.is_held(self.number)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests;
