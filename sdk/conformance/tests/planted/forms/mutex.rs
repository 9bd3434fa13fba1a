//! [`KeyMutex`]: the mutexes of the backend.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Instant;

use dogpile_sdk::{BackendError, CacheMutex, ErrorKind};

use super::Bug::{self, *};
use super::{Kept, lock_value, locked};

/// The mutexes of a backend that are held, each with its holder.
#[derive(Debug)]
pub(crate) struct Locks {
    bug: Bug,
    values: Arc<Mutex<BTreeMap<String, Kept>>>,
    holders: Mutex<BTreeMap<String, u64>>,
    released: Condvar,
}

impl Locks {
    pub(crate) fn new(bug: Bug, values: Arc<Mutex<BTreeMap<String, Kept>>>) -> Self {
        Locks { bug, values, holders: Mutex::default(), released: Condvar::new() }
    }

    fn is_held(&self, holders: &BTreeMap<String, u64>, key: &str) -> bool {
        match self.bug {
            KeepsLocksAmongValues => locked(&self.values).contains_key(&format!("lock:{key}")),
            _ => holders.contains_key(key),
        }
    }
}

/// The mutex of one key.
#[derive(Debug)]
pub(crate) struct KeyMutex {
    /// Set unless the mutexes end with their backend.
    strong: Option<Arc<Locks>>,
    locks: Weak<Locks>,
    key: String,
    id: u64,
}

impl KeyMutex {
    pub(crate) fn new(locks: &Arc<Locks>, key: &str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let strong = (locks.bug != EndsItsMutexesWithItself).then(|| Arc::clone(locks));
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        KeyMutex { strong, locks: Arc::downgrade(locks), key: key.to_owned(), id }
    }

    fn locks(&self) -> Result<Arc<Locks>, BackendError> {
        let locks = self.strong.clone().or_else(|| self.locks.upgrade());
        locks.ok_or_else(|| BackendError::new(ErrorKind::Other, "the backend is gone"))
    }
}

impl CacheMutex for KeyMutex {
    fn try_acquire(&self) -> Result<bool, BackendError> {
        self.acquire_until(Instant::now())
    }

    fn acquire_until(&self, deadline: Instant) -> Result<bool, BackendError> {
        let locks = self.locks()?;
        let mut holders = locked(&locks.holders);
        while locks.is_held(&holders, &self.key) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            holders = locks.released.wait_timeout(holders, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        holders.insert(self.key.clone(), self.id);
        if locks.bug == KeepsLocksAmongValues {
            locked(&locks.values).insert(format!("lock:{}", self.key), lock_value());
        }
        Ok(true)
    }

    fn release(&self) -> Result<(), BackendError> {
        let locks = self.locks()?;
        let mut holders = locked(&locks.holders);
        let is_ours = match locks.bug {
            ReleasesForAnybody => holders.contains_key(&self.key),
            _ => holders.get(&self.key) == Some(&self.id),
        };
        if !is_ours {
            return Err(BackendError::new(ErrorKind::NotHeld, "not held"));
        }
        holders.remove(&self.key);
        if locks.bug == KeepsLocksAmongValues {
            locked(&locks.values).remove(&format!("lock:{}", self.key));
        }
        locks.released.notify_all();
        Ok(())
    }

    fn locked(&self) -> Result<bool, BackendError> {
        let locks = self.locks()?;
        let holders = locked(&locks.holders);
        Ok(locks.is_held(&holders, &self.key))
    }
}
