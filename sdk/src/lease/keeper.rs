//! The thread that renews leases and removes abandoned locks.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::store::LeaseStore;

/// A lock that a mutex of this process acquired and has not released.
#[derive(Debug)]
pub(super) struct Holding {
    key: Arc<str>,
    pub(super) token: String,
    released: AtomicBool,
    /// Whether the store reported that the lock is gone.
    gone: AtomicBool,
    /// The end of the lease, as far as we know. `None` if it lies beyond what the clock can represent.
    ends: Mutex<Option<Instant>>,
    /// The position of its renewal among the tasks. It changes only while the tasks are locked.
    slot: Mutex<Option<Slot>>,
}

impl Holding {
    /// Creates the holding of a lock that was requested at `asked` for `lease`.
    pub(super) fn new(key: Arc<str>, token: String, asked: Instant, lease: Duration) -> Self {
        Holding {
            key,
            token,
            released: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            ends: Mutex::new(asked.checked_add(lease)),
            slot: Mutex::default(),
        }
    }

    /// Returns whether the lease is known to have ended before `now`.
    pub(super) fn is_lost(&self, now: Instant) -> bool {
        self.gone.load(Ordering::Acquire) || locked(&self.ends).is_some_and(|ends| ends <= now)
    }

    /// Records a renewal that was requested at `asked`.
    fn renewed(&self, asked: Instant, lease: Duration) {
        *locked(&self.ends) = asked.checked_add(lease);
    }
}

/// The time at which a task is due, and a number that distinguishes tasks due at the same time.
type Slot = (Instant, u64);

#[derive(Debug)]
enum Task {
    /// Renew the lease of a holding. The holding is gone if its mutex was dropped while it was held.
    Renew(Weak<Holding>),
    /// Remove a lock that may have been acquired. There is nothing to remove after `until`.
    Remove { key: Arc<str>, token: String, until: Instant },
}

/// The owner of the thread. Dropping it ends the thread and waits for the end.
#[derive(Debug)]
pub(super) struct Keeper {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    store: Arc<dyn LeaseStore>,
    lease: Duration,
    tasks: Mutex<Tasks>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Tasks {
    due: BTreeMap<Slot, Task>,
    next_number: u64,
    /// The time at which the thread wakes up. `None` while there is no thread.
    wakes_at: Option<Instant>,
    closed: bool,
}

impl Keeper {
    pub(super) fn new(store: Arc<dyn LeaseStore>, lease: Duration) -> Self {
        let (tasks, changed) = (Mutex::default(), Condvar::new());
        Keeper { shared: Arc::new(Shared { store, lease, tasks, changed }), thread: Mutex::default() }
    }

    /// Renews the lease of `holding`, which was requested at `asked`, until it is [forgotten](Keeper::forget) or
    /// dropped.
    pub(super) fn keep(&self, holding: &Arc<Holding>, asked: Instant) {
        let mut tasks = self.shared.tasks();
        tasks.renew(holding, asked + self.shared.lease / 3);
        self.wake_in_time(tasks);
    }

    /// Stops renewing the lease of `holding`.
    pub(super) fn forget(&self, holding: &Holding) {
        holding.released.store(true, Ordering::Release);
        let mut tasks = self.shared.tasks();
        if let Some(slot) = locked(&holding.slot).take() {
            tasks.due.remove(&slot);
        }
    }

    /// Removes, in the background, the lock of `key` if it has `token`.
    pub(super) fn remove(&self, key: &Arc<str>, token: &str) {
        let now = Instant::now();
        let task = Task::Remove { key: Arc::clone(key), token: token.into(), until: now + self.shared.lease };
        let mut tasks = self.shared.tasks();
        tasks.add(now, task);
        self.wake_in_time(tasks);
    }

    /// Makes the thread wake up in time for the first task, and starts it if needed.
    fn wake_in_time(&self, mut tasks: MutexGuard<'_, Tasks>) {
        let Some(first) = tasks.first_due() else { return };
        match tasks.wakes_at {
            Some(wakes_at) if wakes_at <= first => {}
            Some(_) => self.shared.changed.notify_one(),
            None => {
                tasks.wakes_at = Some(first);
                drop(tasks);
                self.start();
            }
        }
    }

    fn start(&self) {
        let shared = Arc::clone(&self.shared);
        let started = thread::Builder::new().name("dogpile-leases".into()).spawn(move || shared.work());
        match started {
            // An earlier thread, if there was one, has ended.
            Ok(thread) => *locked(&self.thread) = Some(thread),
            Err(error) => {
                self.shared.tasks().wakes_at = None;
                log::warn!("leases are not renewed: cannot start a thread: {error}");
            }
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.tasks().closed = true;
        self.shared.changed.notify_one();
        if let Some(thread) = locked(&self.thread).take() {
            // The thread contains the panics of the store, so `join` has nothing to report.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        locked(&self.tasks)
    }

    /// Runs the thread until no task is left.
    fn work(&self) {
        let mut tasks = self.tasks();
        while !tasks.closed {
            let now = Instant::now();
            if let Some(task) = tasks.take_due(now) {
                drop(tasks);
                self.perform(task);
                tasks = self.tasks();
                continue;
            }
            let Some(wakes_at) = tasks.first_due() else { break };
            tasks.wakes_at = Some(wakes_at);
            let waited = self.changed.wait_timeout(tasks, wakes_at - now);
            tasks = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        tasks.wakes_at = None;
    }

    fn perform(&self, task: Task) {
        let performed = catch_unwind(AssertUnwindSafe(|| match task {
            Task::Renew(holding) => {
                if let Some(holding) = holding.upgrade() {
                    self.renew(&holding);
                }
            }
            Task::Remove { key, token, until } => self.remove(key, token, until),
        }));
        // Continue, because the other leases must be renewed all the same.
        if performed.is_err() {
            log::error!("{:?} panicked while it renewed a lease or removed a lock", self.store);
        }
    }

    fn renew(&self, holding: &Arc<Holding>) {
        // Take the time before the request, so that our estimate never outlasts the server's lease.
        let asked = Instant::now();
        let renewed = self.store.renew(&holding.key, &holding.token, self.lease);
        let mut tasks = self.tasks();
        if holding.released.load(Ordering::Acquire) {
            return;
        }
        match renewed {
            Ok(true) => {
                holding.renewed(asked, self.lease);
                tasks.renew(holding, asked + self.lease / 3);
            }
            Ok(false) => {
                holding.gone.store(true, Ordering::Release);
                log::warn!("the lease of key {:?} was lost while its mutex was held", holding.key);
            }
            Err(error) if !holding.is_lost(Instant::now()) => {
                log::debug!("cannot renew the lease of key {:?} yet: {error}", holding.key);
                tasks.renew(holding, asked + self.lease / 12);
            }
            Err(error) => {
                log::warn!("the lease of key {:?} ended: it could not be renewed: {error}", holding.key);
            }
        }
    }

    fn remove(&self, key: Arc<str>, token: String, until: Instant) {
        let now = Instant::now();
        if self.store.release(&key, &token).is_err() && now < until {
            self.tasks().add(now + self.lease / 12, Task::Remove { key, token, until });
        }
    }
}

impl Tasks {
    fn add(&mut self, due: Instant, task: Task) -> Slot {
        let slot = (due, self.next_number);
        self.next_number += 1;
        self.due.insert(slot, task);
        slot
    }

    fn renew(&mut self, holding: &Arc<Holding>, due: Instant) {
        let slot = self.add(due, Task::Renew(Arc::downgrade(holding)));
        *locked(&holding.slot) = Some(slot);
    }

    fn first_due(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((due, _), _)| *due)
    }

    fn take_due(&mut self, now: Instant) -> Option<Task> {
        let first = self.due.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

/// Locks `mutex`. No holder panics, so poison carries no meaning.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
