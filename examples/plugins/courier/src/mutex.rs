//! [`ShelfMutex`]: the mutex of one key of the shelf.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dogpile_sdk::{AsyncMutex, BackendError, ErrorKind};
use tokio::sync::Notify;

/// The locked keys of a shelf, each with the token of its holder.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    holders: Mutex<HashMap<String, u64>>,
    released: Notify,
}

impl Locks {
    fn holders(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The mutex of one key. Its token is chosen when it is created, so that an attempt can be undone without its reply.
#[derive(Debug)]
pub(crate) struct ShelfMutex {
    key: String,
    token: u64,
    locks: Arc<Locks>,
    latency: Duration,
}

impl ShelfMutex {
    pub(crate) fn new(key: &str, locks: Arc<Locks>, latency: Duration) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        ShelfMutex { key: key.to_owned(), token: NEXT.fetch_add(1, Ordering::Relaxed), locks, latency }
    }
}

impl AsyncMutex for ShelfMutex {
    async fn try_acquire(&self) -> Result<bool, BackendError> {
        let acquired = {
            let mut holders = self.locks.holders();
            let is_free = !holders.contains_key(&self.key);
            if is_free {
                holders.insert(self.key.clone(), self.token);
            }
            is_free
        };
        // The reply comes later than the effect.
        tokio::time::sleep(self.latency).await;
        Ok(acquired)
    }

    async fn release(&self) -> Result<(), BackendError> {
        tokio::time::sleep(self.latency).await;
        let mut holders = self.locks.holders();
        if holders.get(&self.key) != Some(&self.token) {
            let error = BackendError::new(ErrorKind::NotHeld, "cannot release the mutex: it is not held");
            return Err(error.for_key(&self.key));
        }
        holders.remove(&self.key);
        drop(holders);
        self.locks.released.notify_waiters();
        Ok(())
    }

    async fn locked(&self) -> Result<bool, BackendError> {
        tokio::time::sleep(self.latency).await;
        Ok(self.locks.holders().contains_key(&self.key))
    }

    async fn released(&self) {
        self.locks.released.notified().await;
    }
}
