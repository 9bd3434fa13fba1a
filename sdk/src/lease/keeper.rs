//! [`Keeper`]: renews leases, acquires lost ones again, and removes abandoned locks.
//!
//! The tasks of each server are performed one after another, and those of different servers side by side. Most renewals
//! take less than a millisecond, so that one thread performs a task while another one watches the remaining lanes. Only
//! servers that hang need more threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::holding::{Claim, Holding, Step};
use super::lanes::{Lanes, Slot};
use super::store::LeaseStore;
use super::time::after;
use crate::blocking::blocking;
use crate::log_limit::LogLimit;

/// The maximum number of threads. If as many servers hang at once, the leases on others wait for one of them.
const MAX_THREADS: usize = 32;

/// How long a thread without work waits for some before it ends.
const IDLE: Duration = Duration::from_secs(1);

/// A task for one server.
#[derive(Debug)]
enum Task {
    /// Renew the lease of a holding. The holding is gone if its mutex was dropped while it was held.
    Keep(Weak<Kept>),
    /// Remove a lock that may have been acquired. There is nothing to remove after `until`.
    Remove { key: Arc<str>, claim: Arc<Claim>, until: Instant },
}

/// A holding whose lease is renewed.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) holding: Holding,
    /// The slot of its next renewal. It changes only while the lanes are locked.
    slot: Mutex<Option<Slot>>,
}

impl Kept {
    pub(super) fn new(holding: Holding) -> Arc<Self> {
        Arc::new(Kept { holding, slot: Mutex::default() })
    }
}

/// The owner of the threads. Dropping it ends the threads and waits for their end.
#[derive(Debug)]
pub(super) struct Keeper {
    shared: Arc<Shared>,
    process: u32,
}

#[derive(Debug)]
struct Shared {
    store: Arc<dyn LeaseStore>,
    lease: Duration,
    work: Mutex<Work>,
    /// Wakes the thread that watches.
    changed: Condvar,
    /// Wakes a thread without work.
    needed: Condvar,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// The limits of records about leases that were lost, leases that ended, and panics of the store.
    losses: LogLimit,
    ends: LogLimit,
    panics: LogLimit,
}

#[derive(Debug, Default)]
struct Work {
    lanes: Lanes<Task>,
    /// The number of threads.
    threads: usize,
    /// When the thread that watches the lanes wakes up. `None` if no thread watches.
    watched_until: Option<Instant>,
    /// The number of threads that wait for work.
    spare: usize,
    is_closed: bool,
}

impl Keeper {
    /// Creates a keeper without threads. They start when needed.
    pub(super) fn new(store: Arc<dyn LeaseStore>, lease: Duration) -> Self {
        let (work, changed, needed, threads) = Default::default();
        let (losses, ends, panics) = Default::default();
        let shared = Shared { store, lease, work, changed, needed, threads, losses, ends, panics };
        Keeper { shared: Arc::new(shared), process: process::id() }
    }

    /// Renews the lease of `kept`, which was requested at `asked`, until it is [forgotten](Self::forget) or dropped.
    pub(super) fn keep(&self, kept: &Arc<Kept>, asked: Instant) {
        self.shared.keep(kept, after(asked, self.shared.lease / 3));
    }

    /// Stops renewing the lease of `kept`.
    pub(super) fn forget(&self, kept: &Kept) {
        self.shared.forget(kept);
    }

    /// Removes, in the background, the lock of `key` if it has the token of `claim`.
    pub(super) fn remove(&self, key: &Arc<str>, claim: &Arc<Claim>) {
        self.shared.remove_later(key, claim);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if self.process != process::id() {
            // The threads exist only in the parent. Neither wait for them nor detach them.
            if let Ok(mut threads) = self.shared.threads.try_lock() {
                std::mem::take(&mut *threads).into_iter().for_each(std::mem::forget);
            }
            return;
        }
        self.shared.work().is_closed = true;
        self.shared.changed.notify_all();
        self.shared.needed.notify_all();
        // A thread may wait for a call that only the runtime of this thread can complete.
        blocking(|| self.shared.join());
    }
}

/// Which thread does what.
impl Shared {
    /// Waits for the end of all threads.
    fn join(&self) {
        loop {
            // A thread may have started another one before it noticed.
            let threads = std::mem::take(&mut *locked(&self.threads));
            if threads.is_empty() {
                return;
            }
            for thread in threads {
                // The thread contains the panics of the store, so `join` has nothing to report.
                let _ = thread.join();
            }
        }
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        locked(&self.work)
    }

    /// Makes sure that a thread watches the lanes that are free, and wakes up in time.
    fn see_to(self: &Arc<Self>, work: &mut Work) {
        // The tasks of a busy lane are seen by the thread that performs one of them.
        let Some(due) = work.lanes.next_due() else { return };
        match work.watched_until {
            Some(until) if until <= due => {}
            Some(_) => self.changed.notify_one(),
            None if work.spare > 0 => self.needed.notify_one(),
            None if work.threads < MAX_THREADS && !work.is_closed => self.start(work),
            // A thread looks for the next task when it is done with its own.
            None => {}
        }
    }

    fn start(self: &Arc<Self>, work: &mut Work) {
        let shared = Arc::clone(self);
        let started = thread::Builder::new().name("dogpile-leases".into()).spawn(move || shared.run());
        match started {
            Ok(thread) => {
                work.threads += 1;
                let mut threads = locked(&self.threads);
                threads.retain(|thread| !thread.is_finished());
                threads.push(thread);
            }
            Err(error) if work.threads == 0 => {
                log::warn!("leases are not renewed: cannot start a thread: {error}");
            }
            Err(error) => log::debug!("cannot start another thread to renew leases: {error}"),
        }
    }

    /// Performs tasks until there is nothing left for this thread.
    fn run(self: &Arc<Self>) {
        let mut work = self.work();
        while !work.is_closed {
            if let Some((server, task)) = work.lanes.take(Instant::now()) {
                self.see_to(&mut work);
                drop(work);
                self.perform(&server, task);
                work = self.work();
                work.lanes.done(&server);
                continue;
            }
            let Some(due) = work.lanes.next_due() else { break };
            let (now_idle, was_needed) = self.wait(work, due);
            work = now_idle;
            if !was_needed && work.watched_until.is_some() {
                break;
            }
        }
        work.threads -= 1;
    }

    /// Watches the lanes until `due`, or waits for work if another thread watches. Returns whether there may be work.
    fn wait<'w>(&self, mut work: MutexGuard<'w, Work>, due: Instant) -> (MutexGuard<'w, Work>, bool) {
        if let Some(until) = work.watched_until {
            if due < until {
                self.changed.notify_one();
            }
            work.spare += 1;
            let waited = self.needed.wait_timeout(work, IDLE);
            let (mut work, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            work.spare -= 1;
            return (work, !timeout.timed_out());
        }
        work.watched_until = Some(due);
        let left = due.saturating_duration_since(Instant::now());
        let waited = self.changed.wait_timeout(work, left);
        let mut work = waited.unwrap_or_else(PoisonError::into_inner).0;
        work.watched_until = None;
        (work, true)
    }
}

/// What is done for a server.
impl Shared {
    /// Adds the next step for `kept`, which is due at `due`.
    fn keep(self: &Arc<Self>, kept: &Arc<Kept>, due: Instant) {
        let holding = &kept.holding;
        let server = self.store.server(&holding.key);
        // A lease that is lost is less urgent than one that is not.
        let until = if holding.is_lost(due) { after(due, self.lease) } else { holding.ends() };
        let mut work = self.work();
        *locked(&kept.slot) = Some(work.lanes.add(&server, due, until, Task::Keep(Arc::downgrade(kept))));
        self.see_to(&mut work);
    }

    fn forget(&self, kept: &Kept) {
        let mut work = self.work();
        if let Some(slot) = locked(&kept.slot).take() {
            work.lanes.remove(&slot);
        }
    }

    fn remove_later(self: &Arc<Self>, key: &Arc<str>, claim: &Arc<Claim>) {
        let now = Instant::now();
        let until = after(now, self.lease);
        self.add_removal(now, Arc::clone(key), Arc::clone(claim), until);
    }

    fn add_removal(self: &Arc<Self>, due: Instant, key: Arc<str>, claim: Arc<Claim>, until: Instant) {
        let server = self.store.server(&key).into_owned();
        let mut work = self.work();
        work.lanes.add(&server, due, until, Task::Remove { key, claim, until });
        self.see_to(&mut work);
    }

    fn perform(self: &Arc<Self>, server: &str, task: Task) {
        let performed = catch_unwind(AssertUnwindSafe(|| match task {
            Task::Keep(kept) => {
                if let Some(kept) = kept.upgrade() {
                    self.perform_next(server, &kept);
                }
            }
            Task::Remove { key, claim, until } => self.remove(server, key, claim, until),
        }));
        // Continue, because the other leases still need their renewals.
        if performed.is_err()
            && let Some(suppressed) = self.panics.pass()
        {
            log::error!("{:?} panicked while it renewed a lease or removed a lock{suppressed}", self.store);
        }
    }

    fn perform_next(self: &Arc<Self>, server: &str, kept: &Arc<Kept>) {
        if *self.store.server(&kept.holding.key) != *server {
            // The lock has moved to another server since. Another thread may perform its tasks.
            return self.keep(kept, Instant::now());
        }
        let next = match kept.holding.next_step() {
            Some(Step::Renew(claim)) => self.renew(&kept.holding, &claim),
            Some(Step::Regain(claim)) => self.regain(&kept.holding, &claim),
            None => None,
        };
        if let Some(due) = next {
            self.keep(kept, due);
            // The mutex may have been released meanwhile, without finding the new slot.
            if kept.holding.next_step().is_none() {
                self.forget(kept);
            }
        }
    }

    /// Renews a lease, and returns when the next step is due.
    fn renew(&self, holding: &Holding, claim: &Arc<Claim>) -> Option<Instant> {
        // Take the time before the request, so that our estimate never outlasts the server's lease.
        let asked = Instant::now();
        let (key, was_lost) = (&holding.key, holding.is_lost(asked));
        match self.store.renew(key, &claim.token, self.lease) {
            Ok(true) => {
                holding.granted(asked, self.lease);
                Some(after(asked, self.lease / 3))
            }
            Ok(false) if claim.is_given_up() => None,
            Ok(false) => {
                holding.lose(claim);
                if let Some(suppressed) = self.losses.pass() {
                    log::warn!("the lease of key {key:?} was lost while its mutex was held{suppressed}");
                }
                Some(Instant::now())
            }
            Err(error) => {
                let has_ended = holding.is_lost(Instant::now()) && !was_lost;
                if !has_ended {
                    log::debug!("cannot renew the lease of key {key:?} yet: {error}");
                } else if let Some(suppressed) = self.ends.pass() {
                    log::warn!(
                        "the lease of key {key:?} ended: it could not be renewed: {error}{suppressed}"
                    );
                }
                Some(after(asked, self.lease / 12))
            }
        }
    }

    /// Acquires a lock again whose lease was lost, and returns when the next step is due.
    fn regain(self: &Arc<Self>, holding: &Holding, claim: &Arc<Claim>) -> Option<Instant> {
        let asked = Instant::now();
        let (key, deadline) = (&holding.key, after(asked, self.lease));
        let acquired = self.store.acquire(key, &claim.token, self.lease, deadline);
        if claim.is_given_up() {
            // The lock may have been acquired after the mutex was released.
            if !matches!(acquired, Ok(false)) && claim.acquired_late() {
                self.remove_later(key, claim);
            }
            return None;
        }
        match acquired {
            Ok(true) => {
                holding.granted(asked, self.lease);
                log::info!("acquired the lock of key {key:?} again, so that others wait for its creator");
                Some(after(asked, self.lease / 3))
            }
            // Another holder creates.
            Ok(false) => None,
            Err(error) => {
                log::debug!("cannot acquire the lock of key {key:?} again yet: {error}");
                Some(after(asked, self.lease / 12))
            }
        }
    }

    fn remove(self: &Arc<Self>, server: &str, key: Arc<str>, claim: Arc<Claim>, until: Instant) {
        let now = Instant::now();
        if *self.store.server(&key) != *server {
            return self.add_removal(now, key, claim, until);
        }
        if self.store.release(&key, &claim.token).is_err() && now < until {
            self.add_removal(after(now, self.lease / 12), key, claim, until);
        }
    }
}

/// Locks `mutex`. No holder panics, so poison carries no meaning.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
