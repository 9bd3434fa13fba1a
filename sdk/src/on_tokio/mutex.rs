//! [`TokioMutex`]: an [`AsyncMutex`] on the runtime of this process, as a [`CacheMutex`].

use std::fmt;
use std::future::Future;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::acquiring::{Acquiring, log_failure};
use super::calls::{Calls, failed};
use super::outcome::{contained, within};
use super::process::{Here, Site};
use super::waiting;
use crate::async_backend::AsyncBytesBackend;
use crate::async_mutex::{AsyncMutex, BoxedMutex};
use crate::completion::Completion;
use crate::error::{BackendError, ErrorKind};
use crate::mutex::CacheMutex;
use crate::operations::MutexOperations;
use crate::options::Fence;
use crate::pending::Pending;
use crate::running::Running;

/// A mutex of one process. Clones are the same mutex.
pub(super) struct TokioMutex<B> {
    calls: Calls<B>,
    key: Arc<str>,
    process: u32,
    /// The backend's mutex. In a forked child, it is missing until the backend is built.
    bound: Arc<OnceLock<BoxedMutex>>,
    is_held: Arc<AtomicBool>,
}

impl<B: AsyncBytesBackend> TokioMutex<B> {
    /// Returns the mutex for `key`, if the backend has one.
    pub(super) fn of(calls: &Calls<B>, key: &str) -> Option<Self> {
        let bound = match calls.built() {
            Some(backend) => OnceLock::from(backend.get_mutex(key)?),
            None => {
                // A child must not use its parent's mutex. Whether there is one is the same in both.
                calls.backend().get_mutex(key)?;
                OnceLock::new()
            }
        };
        Some(TokioMutex {
            calls: calls.clone(),
            key: key.into(),
            process: process::id(),
            bound: Arc::new(bound),
            is_held: Arc::default(),
        })
    }

    /// Returns the runtime of this process, or an error of `kind` if the mutex belongs to another one.
    fn here(&self, kind: ErrorKind) -> Result<Here<'_, B>, BackendError> {
        let here = self.calls.here()?;
        if here.process() == self.process {
            return Ok(here);
        }
        let message = "cannot use a mutex of the parent process after a fork; get a new one from the backend";
        Err(BackendError::new(kind, message).for_key(&*self.key))
    }

    /// Returns the backend's mutex. A forked child builds its backend for that.
    fn bind(&self, site: Arc<Site<B>>) -> impl Future<Output = Result<Acquiring, BackendError>> + use<B> {
        let TokioMutex { key, bound, is_held, .. } = self;
        let (key, bound, is_held) = (Arc::clone(key), Arc::clone(bound), Arc::clone(is_held));
        let limit = self.calls.limit();
        async move {
            let mutex = match bound.get() {
                Some(mutex) => mutex.clone(),
                None => {
                    let backend = within("get_mutex", limit, async { site.backend().await.cloned() }).await?;
                    let missing =
                        || BackendError::new(ErrorKind::Other, "the backend no longer has this mutex");
                    let mutex = backend.get_mutex(&key).ok_or_else(missing)?;
                    bound.get_or_init(|| mutex).clone()
                }
            };
            Ok(Acquiring::new(mutex, is_held, limit))
        }
    }

    fn begin_acquire(
        &self,
        operation: &'static str,
        deadline: Instant,
        completion: Completion<bool>,
    ) -> Running {
        let here = match self.here(ErrorKind::Refused) {
            Ok(here) => here,
            Err(error) => return failed(completion, error.during(operation)),
        };
        let binding = self.bind(here.site());
        let cancel = Arc::new(AtomicBool::new(false));
        let canceled = Arc::clone(&cancel);
        let acquiring = async move { binding.await?.until(deadline, &canceled).await };
        here.handle().spawn(async move { completion.complete(contained(operation, acquiring).await) });
        // Not an abort: the attempt in progress may acquire the mutex on the server after the task is gone.
        Running::new(move || cancel.store(true, SeqCst))
    }

    /// Acquires the mutex for a thread that waits. If that gives up, the mutex is released.
    fn acquire(&self, operation: &'static str, deadline: Instant) -> Result<bool, BackendError> {
        let limit = deadline.saturating_duration_since(Instant::now()).saturating_add(self.calls.limit());
        let late = self.clone();
        let acquiring = Pending::begin(|completion| self.begin_acquire(operation, deadline, completion));
        let acquiring = acquiring.when_late(move |acquired| {
            if acquired {
                let _ = late.begin_release(Completion::new(|outcome| {
                    outcome.unwrap_or_else(|error| log_failure(&error));
                }));
            }
        });
        waiting::outcome_of(operation, limit, acquiring)
    }

    fn begin_locked(&self, completion: Completion<bool>) -> Running {
        let here = match self.here(ErrorKind::Refused) {
            Ok(here) => here,
            Err(error) => return failed(completion, error.during("locked")),
        };
        let binding = self.bind(here.site());
        let locked = within("locked", self.calls.limit(), async move { binding.await?.locked().await });
        let task = here.handle().spawn(async move { completion.complete(contained("locked", locked).await) });
        let task = task.abort_handle();
        Running::new(move || task.abort())
    }
}

impl<B> Clone for TokioMutex<B> {
    fn clone(&self) -> Self {
        TokioMutex {
            calls: self.calls.clone(),
            key: Arc::clone(&self.key),
            process: self.process,
            bound: Arc::clone(&self.bound),
            is_held: Arc::clone(&self.is_held),
        }
    }
}

impl<B> fmt::Debug for TokioMutex<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bound.get() {
            Some(mutex) => fmt::Debug::fmt(mutex, f),
            None => f.debug_tuple("TokioMutex").field(&self.key).finish(),
        }
    }
}

impl<B: AsyncBytesBackend> CacheMutex for TokioMutex<B> {
    fn try_acquire(&self) -> Result<bool, BackendError> {
        self.acquire("try_acquire", Instant::now())
    }

    fn acquire_until(&self, deadline: Instant) -> Result<bool, BackendError> {
        self.acquire("acquire_until", deadline)
    }

    fn release(&self) -> Result<(), BackendError> {
        waiting::outcome("release", self.calls.limit(), |completion| self.begin_release(completion))
    }

    fn locked(&self) -> Result<bool, BackendError> {
        waiting::outcome("locked", self.calls.limit(), |completion| self.begin_locked(completion))
    }

    fn is_lost(&self) -> bool {
        self.bound.get().is_some_and(AsyncMutex::is_lost)
    }

    fn fence(&self) -> Option<Fence> {
        self.bound.get().and_then(AsyncMutex::fence)
    }

    fn operations(&self) -> Option<Arc<dyn MutexOperations>> {
        Some(Arc::new(self.clone()))
    }
}

impl<B: AsyncBytesBackend> MutexOperations for TokioMutex<B> {
    fn begin_try_acquire(&self, completion: Completion<bool>) -> Running {
        self.begin_acquire("try_acquire", Instant::now(), completion)
    }

    fn begin_acquire_until(&self, deadline: Instant, completion: Completion<bool>) -> Running {
        self.begin_acquire("acquire_until", deadline, completion)
    }

    fn begin_release(&self, completion: Completion<()>) -> Running {
        let here = match self.here(ErrorKind::NotHeld) {
            Ok(here) => here,
            Err(error) => return failed(completion, error.during("release")),
        };
        let (binding, runtime) = (self.bind(here.site()), here.runtime());
        let releasing = async move { binding.await?.release().await };
        here.handle().spawn(async move {
            completion.complete(contained("release", releasing).await);
            // The runtime outlives the call, so that the mutex does not stay held if the backend is dropped meanwhile.
            drop(runtime);
        });
        Running::done()
    }
}
