//! Runners: they replace stale values in the background.
// Source: dogpile.cache `region.py`, `async_creation_runner`.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};

/// Runs creations for callers that got the old value.
///
/// Only calls made through [`background`](crate::CallOptions::background) are handed over, because their creators own
/// their data. A creator that borrows cannot outlive its caller, so the caller runs it.
pub trait Runner: fmt::Debug + Send + Sync + 'static {
    /// Schedules `creation` to run on another thread. Dropping it instead releases its keys.
    fn run(&self, creation: Creation);
}

/// A creation that was handed over to a runner.
///
/// [`run`](Self::run) creates and stores the values and releases the keys. Dropping it only releases the keys.
pub struct Creation {
    region: Arc<str>,
    keys: Vec<String>,
    work: Box<dyn FnOnce() + Send>,
}

impl Creation {
    pub(crate) fn new(region: Arc<str>, keys: Vec<String>, work: impl FnOnce() + Send + 'static) -> Self {
        Creation { region, keys, work: Box::new(work) }
    }

    /// Returns the name of the region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Returns the keys to create, as the caller passed them.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// Calls the creator, stores its values, and releases the keys.
    ///
    /// Errors and panics of the creator are logged, because no caller waits for them.
    pub fn run(self) {
        let (region, work) = (self.region, self.work);
        if let Err(payload) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
            let panic = dogpile_abi::panic_message(payload);
            tracing::error!(region = &*region, keys = ?self.keys, panic, "a background creator panicked");
        }
    }
}

impl fmt::Debug for Creation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Creation")
            .field("region", &self.region)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

/// A runner that runs each creation on a new thread, which ends with it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThreadRunner;

impl Runner for ThreadRunner {
    fn run(&self, creation: Creation) {
        let region = Arc::clone(&creation.region);
        let thread = std::thread::Builder::new().name("dogpile-creation".to_owned());
        if let Err(error) = thread.spawn(move || creation.run()) {
            // The creation was dropped with the closure, which released its keys.
            tracing::warn!(
                region = &*region,
                error = &error as &dyn std::error::Error,
                "cannot start a thread for a background creation"
            );
        }
    }
}

/// A runner with a fixed number of threads and a queue of bounded length.
///
/// If all threads are busy, a creation waits in the queue. If the queue is full, the creation is dropped, and the next
/// caller of its key tries again.
///
/// Dropping the runner drops the creations in the queue and joins the threads. It blocks until they finish their current
/// creations.
#[derive(Debug)]
pub struct PoolRunner {
    shared: Arc<Pool>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Pool {
    queue: Mutex<Queue>,
    changed: Condvar,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Creation>,
    closed: bool,
}

impl PoolRunner {
    /// Creates a runner with `threads` threads and a queue for `capacity` creations.
    ///
    /// # Errors
    /// Returns an error if a thread cannot be started.
    pub fn new(threads: NonZeroUsize, capacity: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Pool { queue: Mutex::default(), changed: Condvar::new(), capacity });
        let mut runner = PoolRunner { shared, threads: Vec::new() };
        for number in 0..threads.get() {
            let pool = Arc::clone(&runner.shared);
            let thread = std::thread::Builder::new().name(format!("dogpile-pool-{number}"));
            runner.threads.push(thread.spawn(move || pool.work())?);
        }
        Ok(runner)
    }
}

impl Pool {
    fn work(&self) {
        while let Some(creation) = self.next() {
            creation.run();
        }
    }

    fn next(&self) -> Option<Creation> {
        let mut queue = self.queue.lock();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(creation) = queue.waiting.pop_front() {
                return Some(creation);
            }
            self.changed.wait(&mut queue);
        }
    }
}

impl Runner for PoolRunner {
    fn run(&self, creation: Creation) {
        let mut queue = self.shared.queue.lock();
        if queue.waiting.len() < self.shared.capacity {
            queue.waiting.push_back(creation);
            self.shared.changed.notify_one();
            return;
        }
        drop(queue);
        tracing::warn!(region = creation.region(), keys = ?creation.keys(), "dropped a background creation: the queue of its pool is full");
    }
}

impl Drop for PoolRunner {
    fn drop(&mut self) {
        let waiting = {
            let mut queue = self.shared.queue.lock();
            queue.closed = true;
            std::mem::take(&mut queue.waiting)
        };
        drop(waiting);
        self.shared.changed.notify_all();
        let own = std::thread::current().id();
        for thread in self.threads.drain(..) {
            // A creation may hold the last handle to the region. It then drops the runner on one of the runner's own
            // threads, which cannot join itself.
            if thread.thread().id() != own {
                let _ = thread.join();
            }
        }
    }
}
