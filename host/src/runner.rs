//! Runners: they make the creations that their callers can leave.
// Source: dogpile.cache `region.py`, `async_creation_runner`.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::sync::Arc;
use std::thread::JoinHandle;

use dogpile_sdk::{LogLimit, PerProcess, Suppressed};
use parking_lot::{Condvar, Mutex};

use crate::log_targets::{CREATION, RUNTIME};
use crate::region_limits::RegionLimits;
use crate::runtime::{Runtime, RuntimeFuture};
use crate::shorten::shown_keys;

/// The limits of the warnings about creators that panic in the background.
static CREATOR_PANICS: RegionLimits = RegionLimits::new();

/// The limits of the warnings about runners that panic.
static RUNNER_PANICS: RegionLimits = RegionLimits::new();

/// The limits of the warnings about threads that cannot be started.
static NO_THREAD: RegionLimits = RegionLimits::new();

/// Runs the creations that can outlive their callers, for blocking and asynchronous calls.
///
/// [`RegionConfig::async_creation_runner`](crate::RegionConfig::async_creation_runner) sets it. Only calls made through
/// [`background`](crate::CallOptions::background) and [`detach`](crate::CallOptions::detach) are handed over, because their
/// creators own their data. A creator that borrows cannot outlive its caller, so the caller runs it.
///
/// A runner may refuse a creation: it drops it. Its keys are then free. A caller that waits for its value creates it instead,
/// and one that got the old value does nothing. A panic of a runner is logged, and refuses the creation.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// use dogpile::{CacheRegion, Creation, RegionConfig, Runner, Runtime, TaskCreation, ThreadRunner};
///
/// /// Counts the creations in the background.
/// #[derive(Debug, Default)]
/// struct Counting(AtomicUsize);
///
/// impl Runner for Counting {
///     fn run(&self, creation: Creation) {
///         self.0.fetch_add(1, Ordering::Relaxed);
///         ThreadRunner.run(creation);
///     }
///
///     fn spawn(&self, creation: TaskCreation, runtime: &dyn Runtime) {
///         self.0.fetch_add(1, Ordering::Relaxed);
///         runtime.spawn(creation.into_future());
///     }
/// }
///
/// let (region, counting) = (CacheRegion::new("reports"), Arc::new(Counting::default()));
/// region.configure(RegionConfig::new("dogpile.cache.memory").async_creation_runner(counting.clone()))?;
/// let report = region.options().detach().get_or_create_async("report", async || "of 2026".to_owned());
/// assert_eq!(smol::block_on(report)?, "of 2026");
/// assert_eq!(counting.0.load(Ordering::Relaxed), 1);
/// # Ok::<(), dogpile::RegionError>(())
/// ```
pub trait Runner: fmt::Debug + Send + Sync + 'static {
    /// Schedules `creation`, which blocks, to run on another thread. Dropping it instead releases its keys.
    fn run(&self, creation: Creation);

    /// Schedules `creation`, which is awaited, to run as a task. Dropping it instead releases its keys. The default is to
    /// spawn it on `runtime`, which is that of the region or of the caller.
    fn spawn(&self, creation: TaskCreation, runtime: &dyn Runtime) {
        runtime.spawn(creation.into_future());
    }
}

/// Gives a creation of `region` to a runner with `hand_over`. A panic of the runner refuses the creation.
pub(crate) fn contained(region: &str, hand_over: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(hand_over)) {
        let panic = dogpile_abi::panic_message(payload);
        let Some(suppressed) = RUNNER_PANICS.pass(region) else { return };
        tracing::error!(target: CREATION, region, panic, suppressed, "the runner of a region panicked, and made no creation");
    }
}

/// A creation of a blocking call that was handed over to a runner.
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
        if let Err(payload) = catch_unwind(AssertUnwindSafe(work)) {
            let (panic, key) = (dogpile_abi::panic_message(payload), shown_keys(&self.keys));
            let Some(suppressed) = CREATOR_PANICS.pass(&region) else { return };
            tracing::error!(target: CREATION, region = &*region, %key, panic, suppressed, "a background creator panicked");
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

/// A creation of an asynchronous call that was handed over to a runner.
///
/// Awaiting it creates and stores the values and releases the keys. Dropping it only releases the keys. Errors and panics of
/// the creator reach the caller, or are logged if it is gone.
pub struct TaskCreation {
    region: Arc<str>,
    keys: Vec<String>,
    future: RuntimeFuture,
}

impl TaskCreation {
    pub(crate) fn new(region: Arc<str>, keys: Vec<String>, future: RuntimeFuture) -> Self {
        TaskCreation { region, keys, future }
    }

    /// Returns the name of the region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Returns the keys to create, as the caller passed them.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }
}

/// For [`Runtime::spawn`], and to await it.
impl IntoFuture for TaskCreation {
    type Output = ();
    type IntoFuture = RuntimeFuture;

    fn into_future(self) -> RuntimeFuture {
        self.future
    }
}

impl fmt::Debug for TaskCreation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("TaskCreation");
        shown.field("region", &self.region).field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// A runner that runs each creation on a new thread, which ends with it. Tasks are spawned on the runtime.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThreadRunner;

impl Runner for ThreadRunner {
    fn run(&self, creation: Creation) {
        let region = Arc::clone(&creation.region);
        let thread = std::thread::Builder::new().name("dogpile-creation".to_owned());
        if let Err(error) = thread.spawn(move || creation.run()) {
            // The creation was dropped with the closure, which released its keys.
            let Some(suppressed) = NO_THREAD.pass(&region) else { return };
            tracing::warn!(
                target: RUNTIME,
                region = &*region,
                error = &error as &dyn std::error::Error,
                suppressed,
                "cannot start a thread for a background creation"
            );
        }
    }
}

/// A runner with a fixed number of threads and a queue of bounded length. Tasks are spawned on the runtime.
///
/// If all threads are busy, a creation waits in the queue. If the queue is full, the creation is dropped, and the next
/// caller of its key tries again.
///
/// A forked child starts threads of its own with its first creation. It has none of the creations in its parent's queue.
///
/// Dropping the runner drops the creations in the queue and joins the threads. It blocks until they finish their current
/// creations.
#[derive(Debug)]
pub struct PoolRunner {
    workers: PerProcess<Workers>,
}

/// The threads of one process, and its queue.
#[derive(Debug)]
struct Workers {
    pool: Arc<Pool>,
    count: NonZeroUsize,
    threads: Mutex<Vec<JoinHandle<()>>>,
    process: u32,
}

#[derive(Debug)]
struct Pool {
    queue: Mutex<Queue>,
    changed: Condvar,
    capacity: usize,
    process: u32,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Creation>,
    closed: bool,
    /// The limit of warnings about creations that were dropped.
    dropped: LogLimit,
}

impl PoolRunner {
    /// Creates a runner with `threads` threads and a queue for `capacity` creations.
    ///
    /// # Errors
    /// Returns an error if a thread cannot be started.
    pub fn new(threads: NonZeroUsize, capacity: usize) -> std::io::Result<Self> {
        let workers = PerProcess::new(move || Workers::new(threads, capacity), |_| {});
        let runner = PoolRunner { workers };
        runner.workers.get().start()?;
        Ok(runner)
    }
}

impl Workers {
    fn new(count: NonZeroUsize, capacity: usize) -> Self {
        let (queue, changed, process) = (Mutex::default(), Condvar::new(), process::id());
        let pool = Arc::new(Pool { queue, changed, capacity, process });
        Workers { pool, count, threads: Mutex::default(), process }
    }

    /// Starts the threads that do not run yet.
    fn start(&self) -> std::io::Result<()> {
        let mut threads = self.threads.lock();
        for number in threads.len()..self.count.get() {
            let pool = Arc::clone(&self.pool);
            let thread = std::thread::Builder::new().name(format!("dogpile-pool-{number}"));
            threads.push(thread.spawn(move || pool.work())?);
        }
        Ok(())
    }
}

impl Pool {
    fn work(&self) {
        // A creator that forks returns in the child, too. What waits in this queue is the parent's.
        while self.process == process::id()
            && let Some(creation) = self.next()
        {
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
        let workers = self.workers.get();
        if let Err(error) = workers.start() {
            let (region, error) = (creation.region(), &error as &dyn std::error::Error);
            if let Some(suppressed) = NO_THREAD.pass(region) {
                tracing::warn!(target: RUNTIME, region, error, suppressed, "cannot start a thread for background creations");
            }
            if workers.threads.lock().is_empty() {
                return;
            }
        }
        let pool = &workers.pool;
        let mut queue = pool.queue.lock();
        if queue.waiting.len() < pool.capacity {
            queue.waiting.push_back(creation);
            pool.changed.notify_one();
            return;
        }
        let passed = queue.dropped.pass();
        drop(queue);
        let Some(suppressed) = passed.map(Suppressed::count) else { return };
        let (region, key) = (creation.region(), shown_keys(creation.keys()));
        tracing::warn!(target: CREATION, region, %key, suppressed, "dropped a background creation: the queue of its pool is full");
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        if self.process != process::id() {
            // The threads exist only in the parent. Neither wait for them nor detach them.
            std::mem::take(self.threads.get_mut()).into_iter().for_each(std::mem::forget);
            return;
        }
        let waiting = {
            let mut queue = self.pool.queue.lock();
            queue.closed = true;
            std::mem::take(&mut queue.waiting)
        };
        drop(waiting);
        self.pool.changed.notify_all();
        let own = std::thread::current().id();
        for thread in self.threads.get_mut().drain(..) {
            // A creation may hold the last handle to the region. It then drops the runner on one of the runner's own
            // threads, which cannot join itself.
            if thread.thread().id() != own {
                let _ = thread.join();
            }
        }
    }
}
