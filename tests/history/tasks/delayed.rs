//! [`Delayed`]: asynchronous calls of a store that blocks, each after a random pause.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use dogpile::sdk::{
    BackendError, CacheBackend, CachedValue, Capabilities, Completion, Entry, Operations, ProxyBackend,
    Running, StoreOptions,
};
use parking_lot::Mutex;

use super::super::random::{pause, set_pace};
use super::super::recorder::moment;

/// The number of threads that perform the calls of a store.
const THREADS: usize = 3;

/// The longest pause before and after a call.
const LONGEST: Duration = Duration::from_micros(300);

type Job = Box<dyn FnOnce() + Send>;

/// A proxy whose asynchronous calls take a random time. Threads perform them, so that their order may change.
#[derive(Debug)]
pub(super) struct Delayed {
    backend: Arc<dyn CacheBackend>,
    operations: Arc<DelayedOperations>,
}

#[derive(Debug)]
struct DelayedOperations {
    backend: Arc<dyn CacheBackend>,
    jobs: Sender<Job>,
    /// Whether a `set` reports its end before it begins, which is a fault.
    reports_early: bool,
}

impl Delayed {
    /// Wraps `backend`.
    pub(super) fn new(backend: Arc<dyn CacheBackend>) -> Self {
        Self::with(backend, false)
    }

    /// Wraps `backend` in a proxy with a fault: a `set` reports its end before it begins.
    pub(super) fn reporting_early(backend: Arc<dyn CacheBackend>) -> Self {
        Self::with(backend, true)
    }

    fn with(backend: Arc<dyn CacheBackend>, reports_early: bool) -> Self {
        let (jobs, receiver) = channel();
        let receiver = Arc::new(Mutex::new(receiver));
        // The threads end with the last sender.
        for _ in 0..THREADS {
            let receiver = Arc::clone(&receiver);
            thread::spawn(move || work(&receiver));
        }
        let operations = DelayedOperations { backend: Arc::clone(&backend), jobs, reports_early };
        Delayed { backend, operations: Arc::new(operations) }
    }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    set_pace(moment(), LONGEST);
    loop {
        let job = jobs.lock().recv();
        let Ok(job) = job else { return };
        pause(1);
        job();
    }
}

impl ProxyBackend for Delayed {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.backend
    }

    fn capabilities(&self) -> Capabilities {
        self.backend.capabilities().with_immediate(false)
    }

    fn operations(&self) -> Option<Arc<dyn Operations>> {
        Some(Arc::<DelayedOperations>::clone(&self.operations))
    }
}

impl DelayedOperations {
    fn perform<T: Send + 'static>(
        &self,
        completion: Completion<T>,
        call: impl FnOnce(&dyn CacheBackend) -> Result<T, BackendError> + Send + 'static,
    ) -> Running {
        let backend = Arc::clone(&self.backend);
        // Without threads, the job is dropped, and the call fails.
        let _ = self.jobs.send(Box::new(move || {
            let outcome = call(&*backend);
            pause(1);
            completion.complete(outcome);
        }));
        Running::done()
    }

    fn store(
        &self,
        completion: Completion<()>,
        call: impl FnOnce(&dyn CacheBackend) -> Result<(), BackendError> + Send + 'static,
    ) -> Running {
        if !self.reports_early {
            return self.perform(completion, call);
        }
        completion.complete(Ok(()));
        self.perform(Completion::new(|_| {}), call)
    }
}

fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|&key| key.to_owned()).collect()
}

fn borrowed(keys: &[String]) -> Vec<&str> {
    keys.iter().map(String::as_str).collect()
}

impl Operations for DelayedOperations {
    fn begin_get(&self, key: &str, completion: Completion<Option<CachedValue>>) -> Running {
        let key = key.to_owned();
        self.perform(completion, move |backend| backend.get(&key))
    }

    fn begin_get_multi(&self, keys: &[&str], completion: Completion<Vec<Option<CachedValue>>>) -> Running {
        let keys = owned(keys);
        self.perform(completion, move |backend| backend.get_multi(&borrowed(&keys)))
    }

    fn begin_set(
        &self,
        key: &str,
        value: CachedValue,
        options: &StoreOptions,
        completion: Completion<()>,
    ) -> Running {
        let (key, options) = (key.to_owned(), options.clone());
        self.store(completion, move |backend| backend.set(&key, value, &options))
    }

    fn begin_set_multi(&self, entries: Vec<Entry>, completion: Completion<()>) -> Running {
        self.store(completion, move |backend| backend.set_multi(entries))
    }

    fn begin_delete(&self, key: &str, completion: Completion<()>) -> Running {
        let key = key.to_owned();
        self.perform(completion, move |backend| backend.delete(&key))
    }

    fn begin_delete_multi(&self, keys: &[&str], completion: Completion<()>) -> Running {
        let keys = owned(keys);
        self.perform(completion, move |backend| backend.delete_multi(&borrowed(&keys)))
    }
}
