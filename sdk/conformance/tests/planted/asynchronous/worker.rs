//! [`Worker`]: the thread on which calls end.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use super::Bug::{self, CancelsAllCalls, CompletesInline, ForgetsCallsWhenDropped, ForgetsCanceledCalls};
use super::lock;

/// What is left to do for a call.
pub(crate) struct Job {
    pub(crate) run: Box<dyn FnOnce() + Send>,
    pub(crate) canceled: Arc<AtomicBool>,
}

#[derive(Default)]
struct Queue {
    jobs: Mutex<VecDeque<Job>>,
    changed: Condvar,
    is_ended: AtomicBool,
}

/// A thread that runs jobs in order, a little later. Dropping the worker drops its jobs.
pub(crate) struct Worker {
    bug: Bug,
    queue: Arc<Queue>,
}

impl Worker {
    pub(crate) fn start(bug: Bug) -> Self {
        let queue = Arc::new(Queue::default());
        let worker = Arc::clone(&queue);
        thread::spawn(move || while run_next(bug, &worker) {});
        Worker { bug, queue }
    }

    pub(crate) fn run(&self, job: Job) {
        if self.bug == CompletesInline {
            return (job.run)();
        }
        lock(&self.queue.jobs).push_back(job);
        self.queue.changed.notify_one();
    }

    /// Drops all jobs, if that is the bug.
    pub(crate) fn canceler(&self) -> impl FnOnce() + Send + use<> {
        let (bug, queue) = (self.bug, Arc::clone(&self.queue));
        move || {
            let dropped = if bug == CancelsAllCalls { lock(&queue.jobs).drain(..).collect() } else { vec![] };
            drop(dropped);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.queue.is_ended.store(true, SeqCst);
        self.queue.changed.notify_one();
        let jobs: Vec<Job> = lock(&self.queue.jobs).drain(..).collect();
        if self.bug == ForgetsCallsWhenDropped {
            std::mem::forget(jobs);
        }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Worker")
    }
}

fn run_next(bug: Bug, queue: &Queue) -> bool {
    let mut jobs = lock(&queue.jobs);
    while jobs.is_empty() && !queue.is_ended.load(SeqCst) {
        jobs = queue.changed.wait(jobs).unwrap();
    }
    drop(jobs);
    // The caller has time to cancel the call, and to begin others.
    thread::sleep(Duration::from_millis(1));
    let Some(job) = lock(&queue.jobs).pop_front() else { return !queue.is_ended.load(SeqCst) };
    match job.canceled.load(SeqCst) {
        true if bug == ForgetsCanceledCalls => std::mem::forget(job),
        true => drop(job),
        // A job that panics has dropped its completion.
        false => drop(catch_unwind(AssertUnwindSafe(job.run))),
    }
    true
}
