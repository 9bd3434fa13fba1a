//! [`Threads`]: threads for work that blocks, which start when needed and end when idle.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use dogpile_sdk::PerProcess;
use parking_lot::{Condvar, Mutex};

use crate::log_targets::RUNTIME;

/// How long a thread waits for more work before it ends.
const IDLE: Duration = Duration::from_secs(5);

pub(crate) type Work = Box<dyn FnOnce() + Send>;

/// Threads that run work in the order in which it comes.
pub(crate) struct Threads {
    /// The name of each thread.
    name: &'static str,
    /// How many threads there are at most.
    limit: usize,
    queue: Mutex<Queue>,
    filled: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Work>,
    threads: usize,
    idle: usize,
}

impl Threads {
    /// Creates up to `limit` threads called `name`. None starts yet.
    pub(crate) fn new(name: &'static str, limit: usize) -> Self {
        Threads { name, limit, queue: Mutex::default(), filled: Condvar::new() }
    }

    /// Returns the threads of this process for blocking calls. A forked child starts its own.
    ///
    /// The callers bound their number: each store has a limit.
    pub(super) fn of_process() -> &'static Self {
        static THREADS: LazyLock<PerProcess<Threads>> =
            LazyLock::new(|| PerProcess::new(|| Threads::new("dogpile-blocking", usize::MAX), |_| {}));
        THREADS.get()
    }

    /// Has a thread run `work`. If no thread can be started, the work is dropped.
    pub(crate) fn run(&'static self, work: Work) {
        let mut queue = self.queue.lock();
        queue.waiting.push_back(work);
        if queue.waiting.len() <= queue.idle || queue.threads == self.limit {
            self.filled.notify_one();
            return;
        }
        // Counted before it starts, and again if it does not, so that no two callers start one for the same work.
        queue.threads += 1;
        drop(queue);
        let started = thread::Builder::new().name(self.name.to_owned()).spawn(|| self.work_until_idle());
        if let Err(error) = started {
            let mut queue = self.queue.lock();
            queue.threads -= 1;
            // Other threads take the work when they are free. Without any, it would never run.
            let lost = if queue.threads == 0 { std::mem::take(&mut queue.waiting) } else { VecDeque::new() };
            drop(queue);
            let error = &error as &(dyn std::error::Error + 'static);
            tracing::error!(target: RUNTIME, error, lost = lost.len(), "cannot start a thread called {}", self.name);
            drop(lost);
        }
    }

    fn work_until_idle(&self) {
        while let Some(work) = self.next() {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(work)) {
                let panic = dogpile_abi::panic_message(payload);
                tracing::error!(target: RUNTIME, panic, "work on a thread called {} panicked", self.name);
            }
        }
    }

    fn next(&self) -> Option<Work> {
        let mut queue = self.queue.lock();
        loop {
            if let Some(work) = queue.waiting.pop_front() {
                return Some(work);
            }
            queue.idle += 1;
            let is_over = self.filled.wait_for(&mut queue, IDLE).timed_out();
            queue.idle -= 1;
            if is_over && queue.waiting.is_empty() {
                queue.threads -= 1;
                return None;
            }
        }
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn works_side_by_side() {
        // Each of the works waits for the other.
        let ((to_first, at_first), (to_second, at_second)) = (channel(), channel());
        let (done, ended) = channel();
        let other = done.clone();
        Threads::of_process().run(Box::new(move || {
            to_second.send(()).expect("the other side receives");
            at_first.recv().expect("the other side sends");
            done.send(()).expect("the other side receives");
        }));
        Threads::of_process().run(Box::new(move || {
            to_first.send(()).expect("the other side receives");
            at_second.recv().expect("the other side sends");
            other.send(()).expect("the other side receives");
        }));
        for _ in 0..2 {
            ended.recv_timeout(Duration::from_secs(30)).expect("both works run");
        }
    }

    #[test]
    fn work_beyond_the_limit_waits_for_its_turn() {
        static ONE: LazyLock<Threads> = LazyLock::new(|| Threads::new("one", 1));
        let ((go, gate), (done, ended)) = (channel::<()>(), channel());
        let last = done.clone();
        ONE.run(Box::new(move || {
            gate.recv().expect("the test lets it go on");
            done.send(1).expect("the test receives");
        }));
        ONE.run(Box::new(move || last.send(2).expect("the test receives")));
        assert_eq!(ONE.queue.lock().threads, 1);
        assert!(ended.try_recv().is_err(), "the only thread is busy");
        go.send(()).expect("the work waits");
        let next = || ended.recv_timeout(Duration::from_secs(30));
        assert_eq!((next(), next()), (Ok(1), Ok(2)));
    }

    #[test]
    fn work_runs_after_other_work_panicked() {
        for _ in 0..8 {
            Threads::of_process().run(Box::new(|| std::panic::resume_unwind(Box::new("planted"))));
        }
        let (done, ended) = channel();
        Threads::of_process().run(Box::new(move || done.send(()).expect("the other side receives")));
        ended.recv_timeout(Duration::from_secs(30)).expect("the work runs");
    }
}
