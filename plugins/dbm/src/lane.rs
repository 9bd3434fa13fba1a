//! [`Lane`]: a thread that makes the blocking calls of tasks, one after another.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use dogpile_sdk::PerProcess;

/// How long the thread waits for another call before it ends.
const IDLE: Duration = Duration::from_secs(5);

type Call = Box<dyn FnOnce() + Send>;

/// A thread that makes calls in the order in which they come. It starts when needed and ends when idle.
///
/// A forked child starts its own.
pub(crate) struct Lane {
    name: &'static str,
    queue: PerProcess<Arc<Queue>>,
}

#[derive(Default)]
struct Queue {
    calls: Mutex<Calls>,
    filled: Condvar,
}

#[derive(Default)]
struct Calls {
    waiting: VecDeque<Call>,
    is_running: bool,
}

impl Lane {
    /// Creates a lane whose thread is called `name`.
    pub(crate) fn new(name: &'static str) -> Self {
        Lane { name, queue: PerProcess::new(Arc::default, |_| {}) }
    }

    /// Has the thread make `call`. If it cannot be started, the call is dropped.
    pub(crate) fn run(&self, call: impl FnOnce() + Send + 'static) {
        let queue = self.queue.get();
        let mut calls = queue.lock();
        calls.waiting.push_back(Box::new(call));
        if calls.is_running {
            queue.filled.notify_one();
            return;
        }
        calls.is_running = true;
        drop(calls);
        let ours = Arc::clone(queue);
        let started = thread::Builder::new().name(self.name.to_owned()).spawn(move || ours.make_until_idle());
        if let Err(error) = started {
            log::error!("cannot start a thread called {}: {error}", self.name);
            let mut calls = queue.lock();
            calls.is_running = false;
            let lost = std::mem::take(&mut calls.waiting);
            // Dropping a call completes it with an error, which runs code of the host.
            drop(calls);
            drop(lost);
        }
    }
}

impl Queue {
    /// Locks the calls. No holder panics, so poison carries no meaning.
    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make_until_idle(&self) {
        while let Some(call) = self.next() {
            // The panic is the outcome of the call, whose completion it drops.
            let _ = catch_unwind(AssertUnwindSafe(call));
        }
    }

    fn next(&self) -> Option<Call> {
        let mut calls = self.lock();
        loop {
            if let Some(call) = calls.waiting.pop_front() {
                return Some(call);
            }
            let (guard, waited) =
                self.filled.wait_timeout(calls, IDLE).unwrap_or_else(PoisonError::into_inner);
            calls = guard;
            if waited.timed_out() && calls.waiting.is_empty() {
                calls.is_running = false;
                return None;
            }
        }
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    #[test]
    fn calls_are_made_in_order_by_one_thread() {
        let (lane, (done, ended)) = (Lane::new("lane"), channel());
        for number in 0..100 {
            let done = done.clone();
            lane.run(move || done.send((number, thread::current().id())).unwrap());
        }
        let made: Vec<_> = (0..100).map(|_| ended.recv_timeout(LIMIT).unwrap()).collect();
        assert!(made.iter().map(|(number, _)| *number).eq(0..100));
        assert!(made.iter().all(|(_, thread)| *thread == made[0].1 && *thread != thread::current().id()));
    }

    #[test]
    fn call_that_panics_does_not_end_the_lane() {
        let (lane, (done, ended)) = (Lane::new("lane"), channel());
        lane.run(|| std::panic::resume_unwind(Box::new("planted")));
        lane.run(move || done.send(()).unwrap());
        ended.recv_timeout(LIMIT).unwrap();
    }
}
