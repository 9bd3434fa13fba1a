//! [`KeyMutex`]: the mutexes of the backend, and their asynchronous calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, CacheMutex, Completion, ErrorKind, MutexOperations, Running};

use super::Bug::*;
use super::{Bug, Store, lock};

/// A mutex whose blocking calls have no bug.
#[derive(Clone, Debug)]
pub(crate) struct KeyMutex {
    bug: Bug,
    key: String,
    store: Arc<Store>,
    is_ours: Arc<AtomicBool>,
}

impl KeyMutex {
    pub(crate) fn new(bug: Bug, key: &str, store: Arc<Store>) -> Self {
        KeyMutex { bug, key: key.to_owned(), store, is_ours: Arc::default() }
    }

    fn acquire(&self, deadline: Instant, canceled: &AtomicBool) -> bool {
        while !lock(&self.store.held).insert(self.key.clone()) {
            if Instant::now() >= deadline || canceled.load(SeqCst) {
                return false;
            }
            thread::sleep(Duration::from_millis(1));
        }
        self.is_ours.store(true, SeqCst);
        true
    }

    /// Begins to wait for the mutex on a thread of its own.
    fn begin(&self, deadline: Instant, completion: Completion<bool>) -> Running {
        let (mutex, canceled) = (self.clone(), Arc::new(AtomicBool::new(false)));
        let cancel = Arc::clone(&canceled);
        let wait = move || {
            let heeded = match mutex.bug {
                KeepsWaitingAndTheMutex => &AtomicBool::new(false),
                _ => &*canceled,
            };
            let acquired = mutex.acquire(deadline, heeded);
            if mutex.bug == KeepsWhatACanceledAttemptAcquired {
                // Lets the cancellation come first, if there is one.
                let end = Instant::now() + Duration::from_millis(200);
                while !canceled.load(SeqCst) && Instant::now() < end {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            match mutex.bug {
                KeepsWaitingAndTheMutex | KeepsWhatACanceledAttemptAcquired if canceled.load(SeqCst) => {
                    drop(completion);
                }
                _ => completion.complete(Ok(acquired)),
            }
        };
        match self.bug {
            BlocksWhileItWaits | CompletesInline if Instant::now() >= deadline => wait(),
            BlocksWhileItWaits => wait(),
            _ => drop(thread::spawn(wait)),
        }
        Running::new(move || cancel.store(true, SeqCst))
    }
}

impl CacheMutex for KeyMutex {
    fn try_acquire(&self) -> Result<bool, BackendError> {
        self.acquire_until(Instant::now())
    }

    fn acquire_until(&self, deadline: Instant) -> Result<bool, BackendError> {
        Ok(self.acquire(deadline, &AtomicBool::new(false)))
    }

    fn release(&self) -> Result<(), BackendError> {
        if !self.is_ours.swap(false, SeqCst) {
            return Err(BackendError::new(ErrorKind::NotHeld, "not held"));
        }
        lock(&self.store.held).remove(&self.key);
        Ok(())
    }

    fn locked(&self) -> Result<bool, BackendError> {
        Ok(lock(&self.store.held).contains(&self.key))
    }

    fn operations(&self) -> Option<Arc<dyn MutexOperations>> {
        let key = if self.bug == AcquiresAnotherMutex { format!("{}:2", self.key) } else { self.key.clone() };
        Some(Arc::new(KeyMutex { key, ..self.clone() }))
    }
}

impl MutexOperations for KeyMutex {
    fn begin_try_acquire(&self, completion: Completion<bool>) -> Running {
        self.begin(Instant::now(), completion)
    }

    fn begin_acquire_until(&self, deadline: Instant, completion: Completion<bool>) -> Running {
        let now = Instant::now();
        let deadline = match self.bug {
            DoesNotWait => now,
            IgnoresTheDeadline => now + Duration::from_secs(60),
            GivesUpBeforeTheDeadline => deadline.checked_sub(Duration::from_millis(50)).unwrap_or(deadline),
            RefusesAPastDeadline if deadline <= now => {
                completion.complete(Ok(false));
                return Running::done();
            }
            _ => deadline,
        };
        self.begin(deadline, completion)
    }

    fn begin_release(&self, completion: Completion<()>) -> Running {
        let outcome = self.release();
        completion.complete(if self.bug == ReleasesAnything { Ok(()) } else { outcome });
        Running::done()
    }
}
