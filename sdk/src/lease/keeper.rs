//! The thread that renews leases, and removes locks that nobody knows to be theirs.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::LeaseStore;

/// A lock that is held.
#[derive(Debug)]
pub(super) struct Holding {
    key: Arc<str>,
    pub(super) token: String,
    released: AtomicBool,
    /// Where the task that renews it stands; changed under the lock of the tasks.
    slot: Mutex<Option<Slot>>,
}

impl Holding {
    pub(super) fn new(key: Arc<str>, token: String) -> Self {
        Holding { key, token, released: AtomicBool::new(false), slot: Mutex::default() }
    }
}

/// When a task is due, and a number that tells it from others of that moment.
type Slot = (Instant, u64);

#[derive(Debug)]
enum Task {
    /// Renew the lease, which ends at the moment given. Gone if the mutex was dropped while it was held.
    Renew(Weak<Holding>, Instant),
    /// Remove a lock that may have been taken; not worth trying beyond the moment given.
    Remove { key: Arc<str>, token: String, until: Instant },
}

/// Owns the thread; dropping it ends the thread, and waits for that.
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
    /// When the thread will look; none while there is no thread.
    looks_at: Option<Instant>,
    closed: bool,
}

impl Keeper {
    pub(super) fn new(store: Arc<dyn LeaseStore>, lease: Duration) -> Self {
        let (tasks, changed) = (Mutex::default(), Condvar::new());
        Keeper { shared: Arc::new(Shared { store, lease, tasks, changed }), thread: Mutex::default() }
    }

    /// Renews the lease of `holding`, which was granted at `granted`, until it is [forgotten](Keeper::forget) or
    /// dropped.
    pub(super) fn keep(&self, holding: &Arc<Holding>, granted: Instant) {
        let mut tasks = self.shared.tasks();
        self.shared.renew_later(&mut tasks, holding, granted);
        self.see_to(tasks);
    }

    /// Renews the lease of `holding` no more.
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
        self.see_to(tasks);
    }

    /// Sees to it that the thread looks in time for the first task.
    fn see_to(&self, mut tasks: MutexGuard<'_, Tasks>) {
        let Some(first) = tasks.first_due() else { return };
        match tasks.looks_at {
            Some(looks_at) if looks_at <= first => {}
            Some(_) => self.shared.changed.notify_one(),
            None => {
                tasks.looks_at = Some(first);
                drop(tasks);
                self.start();
            }
        }
    }

    fn start(&self) {
        let shared = Arc::clone(&self.shared);
        let started = thread::Builder::new().name("dogpile-leases".into()).spawn(move || shared.work());
        match started {
            // The one before, if any, has ended.
            Ok(thread) => *locked(&self.thread) = Some(thread),
            Err(error) => {
                self.shared.tasks().looks_at = None;
                log::warn!("leases are not renewed, since no thread can be started: {error}");
            }
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.tasks().closed = true;
        self.shared.changed.notify_one();
        if let Some(thread) = locked(&self.thread).take() {
            // It does not panic.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        locked(&self.tasks)
    }

    /// What the thread does, until there is nothing to do for a while.
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
            let Some(looks_at) = tasks.first_due() else { break };
            tasks.looks_at = Some(looks_at);
            let waited = self.changed.wait_timeout(tasks, looks_at - now);
            tasks = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        tasks.looks_at = None;
    }

    fn perform(&self, task: Task) {
        let performed = catch_unwind(AssertUnwindSafe(|| match task {
            Task::Renew(holding, ends) => {
                if let Some(holding) = holding.upgrade() {
                    self.renew(&holding, ends);
                }
            }
            Task::Remove { key, token, until } => self.remove(key, token, until),
        }));
        // The other leases are to be renewed none the less.
        if performed.is_err() {
            log::error!("{:?} panicked while a lease was renewed or a lock removed", self.store);
        }
    }

    fn renew(&self, holding: &Arc<Holding>, ends: Instant) {
        let asked = Instant::now();
        let renewed = self.store.renew(&holding.key, &holding.token, self.lease);
        let mut tasks = self.tasks();
        if holding.released.load(Ordering::Acquire) {
            return;
        }
        match renewed {
            Ok(true) => self.renew_later(&mut tasks, holding, asked),
            Err(error) if Instant::now() < ends => {
                log::debug!("the lease of key {:?} could not be renewed yet: {error}", holding.key);
                tasks.renew(holding, asked + self.lease / 12, ends);
            }
            Ok(false) => log::warn!("the lease of key {:?} was lost while its mutex was held", holding.key),
            Err(error) => {
                log::warn!(
                    "the lease of key {:?} ended, since it could not be renewed: {error}",
                    holding.key
                );
            }
        }
    }

    fn renew_later(&self, tasks: &mut Tasks, holding: &Arc<Holding>, granted: Instant) {
        tasks.renew(holding, granted + self.lease / 3, granted + self.lease);
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

    fn renew(&mut self, holding: &Arc<Holding>, due: Instant, ends: Instant) {
        let slot = self.add(due, Task::Renew(Arc::downgrade(holding), ends));
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

/// Nothing panics while one of these is locked.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
