//! [`KeyMutex`]: a mutex of a [`Reference`](super::Reference).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Instant;

use dogpile_sdk::{BackendError, CacheMutex, Completion, ErrorKind, Fence, MutexOperations, Running};

use super::store::Store;

/// A mutex for one key.
#[derive(Debug)]
pub(super) struct KeyMutex {
    store: Arc<Store>,
    key: String,
    /// The token of the lock while this object holds it.
    held: Mutex<Option<u64>>,
    me: Weak<KeyMutex>,
}

impl KeyMutex {
    pub(super) fn new(store: Arc<Store>, key: &str) -> Arc<Self> {
        let (key, held) = (key.to_owned(), Mutex::default());
        Arc::new_cyclic(|me| KeyMutex { store, key, held, me: Weak::clone(me) })
    }

    fn acquire(&self, deadline: Instant, gives_up: impl Fn() -> bool) -> Result<bool, BackendError> {
        let token = self.store.acquire(&self.key, deadline, gives_up)?;
        if token.is_some() {
            *self.held() = token;
        }
        Ok(token.is_some())
    }

    fn held(&self) -> MutexGuard<'_, Option<u64>> {
        // Ignore poison: no code panics while it holds this lock.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CacheMutex for KeyMutex {
    fn try_acquire(&self) -> Result<bool, BackendError> {
        self.acquire(Instant::now(), || false)
    }

    fn acquire_until(&self, deadline: Instant) -> Result<bool, BackendError> {
        self.acquire(deadline, || false)
    }

    fn release(&self) -> Result<(), BackendError> {
        let token = self.held().take();
        let is_released = token.is_some_and(|token| self.store.release(&self.key, token));
        let problem = "cannot release the mutex: it is not held";
        let not_held =
            || BackendError::new(ErrorKind::NotHeld, problem).during("release").for_key(&*self.key);
        is_released.then_some(()).ok_or_else(not_held)
    }

    fn locked(&self) -> Result<bool, BackendError> {
        Ok(self.store.locked(&self.key))
    }

    fn fence(&self) -> Option<Fence> {
        self.held().map(|token| Fence::new(token.to_be_bytes().to_vec()))
    }

    fn operations(&self) -> Option<Arc<dyn MutexOperations>> {
        Some(Arc::new(MutexCalls(self.me.upgrade()?)))
    }
}

/// The asynchronous calls of a mutex.
#[derive(Debug)]
struct MutexCalls(Arc<KeyMutex>);

impl MutexOperations for MutexCalls {
    fn begin_try_acquire(&self, completion: Completion<bool>) -> Running {
        completion.complete(self.0.try_acquire());
        Running::done()
    }

    fn begin_acquire_until(&self, deadline: Instant, completion: Completion<bool>) -> Running {
        match self.0.try_acquire() {
            Ok(false) if Instant::now() < deadline => {}
            outcome => {
                completion.complete(outcome);
                return Running::done();
            }
        }
        let (mutex, is_canceled) = (Arc::clone(&self.0), Arc::new(AtomicBool::new(false)));
        let gives_up = Arc::clone(&is_canceled);
        thread::spawn(move || {
            completion.complete(mutex.acquire(deadline, || gives_up.load(Ordering::SeqCst)));
        });
        let store = Arc::clone(&self.0.store);
        Running::new(move || {
            is_canceled.store(true, Ordering::SeqCst);
            store.wake();
        })
    }

    fn begin_release(&self, completion: Completion<()>) -> Running {
        completion.complete(self.0.release());
        Running::done()
    }
}
