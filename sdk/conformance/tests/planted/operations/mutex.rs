//! [`KeyMutex`]: the mutexes of the backend, and the threads on which their asynchronous calls run.

use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use dogpile_conformance::Reference;
use dogpile_sdk::{BackendError, CacheBackend, CacheMutex, Completion, Fence, MutexOperations, Running};

use super::Bug::{self, *};

type Job = Box<dyn FnOnce() + Send>;

/// A few threads that run jobs.
#[derive(Debug)]
pub(crate) struct Threads(Sender<Job>);

impl Threads {
    pub(crate) fn start(count: usize) -> Self {
        let (sender, jobs) = mpsc::channel::<Job>();
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..count {
            let jobs = Arc::clone(&jobs);
            let next = move || jobs.lock().unwrap_or_else(PoisonError::into_inner).recv().ok();
            let run_all = move || {
                while let Some(job) = next() {
                    job();
                }
            };
            thread::spawn(run_all);
        }
        Threads(sender)
    }
}

/// A mutex of the reference store.
#[derive(Clone, Debug)]
pub(crate) struct KeyMutex {
    bug: Bug,
    reference: Reference,
    key: String,
    mutex: Arc<dyn CacheMutex>,
    threads: Arc<Threads>,
}

impl KeyMutex {
    pub(crate) fn new(bug: Bug, reference: Reference, key: &str, threads: Arc<Threads>) -> Self {
        let mutex = reference.get_mutex(key).unwrap();
        KeyMutex { bug, reference, key: key.to_owned(), mutex, threads }
    }
}

impl CacheMutex for KeyMutex {
    fn try_acquire(&self) -> Result<bool, BackendError> {
        self.mutex.try_acquire()
    }

    fn acquire_until(&self, deadline: Instant) -> Result<bool, BackendError> {
        self.mutex.acquire_until(deadline)
    }

    fn release(&self) -> Result<(), BackendError> {
        self.mutex.release()
    }

    fn locked(&self) -> Result<bool, BackendError> {
        self.mutex.locked()
    }

    fn fence(&self) -> Option<Fence> {
        self.mutex.fence()
    }

    fn operations(&self) -> Option<Arc<dyn MutexOperations>> {
        match self.bug {
            AcquiresForAnotherObject => self.reference.get_mutex(&self.key)?.operations(),
            WaitsOnItsThreads | ReleasesForAnybody => Some(Arc::new(self.clone())),
            _ => self.mutex.operations(),
        }
    }
}

impl MutexOperations for KeyMutex {
    fn begin_try_acquire(&self, completion: Completion<bool>) -> Running {
        self.begin_acquire_until(Instant::now(), completion)
    }

    fn begin_acquire_until(&self, deadline: Instant, completion: Completion<bool>) -> Running {
        if self.bug != WaitsOnItsThreads {
            return self.mutex.operations().unwrap().begin_acquire_until(deadline, completion);
        }
        let mutex = Arc::clone(&self.mutex);
        self.threads.0.send(Box::new(move || completion.complete(mutex.acquire_until(deadline)))).unwrap();
        Running::done()
    }

    fn begin_release(&self, completion: Completion<()>) -> Running {
        let released = self.mutex.release();
        let is_held_by_another = released.is_err() && self.locked().unwrap();
        completion.complete(if self.bug == ReleasesForAnybody && is_held_by_another {
            Ok(())
        } else {
            released
        });
        Running::done()
    }
}
