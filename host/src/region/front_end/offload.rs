//! [`Offload`]: makes one store's blocking calls for tasks, a bounded number at a time.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dogpile_sdk::{BackendError, Completion, ErrorKind, Pending, PerProcess, Running};
use parking_lot::Mutex;

use crate::runtime::Runtime;

/// Runs the blocking calls of one store on threads of the runtime. Further calls wait for a place, first come first
/// served.
pub(super) struct Offload {
    limit: usize,
    /// Of this process: a forked child has none of its parent's threads.
    state: PerProcess<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// How many threads work, or are about to.
    working: usize,
    waiting: VecDeque<Job>,
}

type Job = Box<dyn FnOnce() + Send>;

/// What becomes of a call whose caller is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhenDropped {
    /// It is not made, unless it has begun.
    Canceled,
    /// It is still made.
    Completed,
}

/// A call that a thread makes or will make.
pub(super) struct Offloaded<T> {
    pub(super) pending: Pending<T>,
    /// Whether a thread takes it at once. Otherwise it waits for a place.
    pub(super) has_place: bool,
}

impl Offload {
    /// Creates an offload that makes up to `limit` calls at a time.
    pub(super) fn new(limit: usize) -> Self {
        Offload { limit, state: PerProcess::new(Mutex::default, |_| {}) }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Has a thread of `runtime` make `call`. A panic of the call is its error.
    pub(super) fn begin<T: Send + 'static>(
        self: &Arc<Self>,
        runtime: &dyn Runtime,
        when_dropped: WhenDropped,
        call: impl FnOnce() -> Result<T, BackendError> + Send + 'static,
    ) -> Offloaded<T> {
        let mut has_place = false;
        let pending = Pending::begin(|completion: Completion<T>| {
            let canceled = Arc::new(AtomicBool::new(false));
            let is_canceled = Arc::clone(&canceled);
            has_place = self.submit(
                runtime,
                Box::new(move || {
                    if !is_canceled.load(Ordering::Acquire) {
                        completion.complete(contained(call));
                    }
                }),
            );
            match when_dropped {
                WhenDropped::Canceled => Running::new(move || canceled.store(true, Ordering::Release)),
                WhenDropped::Completed => Running::done(),
            }
        });
        Offloaded { pending, has_place }
    }

    /// Returns whether a thread takes the job at once.
    fn submit(self: &Arc<Self>, runtime: &dyn Runtime, job: Job) -> bool {
        let mut state = self.state.get().lock();
        state.waiting.push_back(job);
        if state.working == self.limit {
            return false;
        }
        state.working += 1;
        drop(state);
        let mut worker = Worker { offload: Arc::clone(self), has_place: true };
        runtime.spawn_blocking(Box::new(move || worker.work()));
        true
    }
}

fn contained<T>(call: impl FnOnce() -> Result<T, BackendError>) -> Result<T, BackendError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|payload| {
        let message = format!("the backend panicked: {}", dogpile_abi::panic_message(payload));
        Err(BackendError::new(ErrorKind::Panicked, message))
    })
}

/// A thread that works for the offload. Dropped without having worked, as by a runtime that shuts down, it gives its place
/// back.
struct Worker {
    offload: Arc<Offload>,
    has_place: bool,
}

impl Worker {
    fn work(&mut self) {
        while let Some(job) = self.next() {
            job();
        }
    }

    /// Returns the next job. Gives the place back if there is none.
    fn next(&mut self) -> Option<Job> {
        let mut state = self.offload.state.get().lock();
        let job = state.waiting.pop_front();
        if job.is_none() {
            state.working -= 1;
            self.has_place = false;
        }
        job
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if !self.has_place {
            return;
        }
        let mut state = self.offload.state.get().lock();
        state.working -= 1;
        // Without another thread, no thread would make the calls that wait. Dropped, they report an error.
        let left = if state.working == 0 { std::mem::take(&mut state.waiting) } else { VecDeque::new() };
        drop(state);
        drop(left);
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use super::*;
    use crate::engine::blocking::drive;
    use crate::runtime::{RuntimeFuture, runtime_for};

    /// A call that waits for a signal, and the end of the channel that sends it.
    fn gated(
        number: u32,
        began: &Sender<u32>,
    ) -> (Sender<()>, impl FnOnce() -> Result<u32, BackendError> + use<>) {
        let (go, gate): (_, Receiver<()>) = channel();
        let began = began.clone();
        let call = move || {
            began.send(number).expect("the test receives");
            gate.recv_timeout(Duration::from_secs(60)).expect("the test lets the call go on");
            Ok(number)
        };
        (go, call)
    }

    #[test]
    fn calls_beyond_the_limit_wait_for_a_place() {
        let (offload, runtime) = (Arc::new(Offload::new(2)), runtime_for(None));
        let (began, begun) = channel();
        let (gates, calls): (Vec<_>, Vec<_>) = (0..4).map(|number| gated(number, &began)).unzip();
        let calls: Vec<_> =
            calls.into_iter().map(|call| offload.begin(&*runtime, WhenDropped::Canceled, call)).collect();
        assert_eq!(calls.iter().map(|call| call.has_place).collect::<Vec<_>>(), [true, true, false, false]);
        let next = || begun.recv_timeout(Duration::from_secs(60)).expect("a call begins");
        assert_eq!(next() + next(), 1, "the first two begin");
        assert!(begun.try_recv().is_err(), "the others wait");
        gates[0].send(()).expect("the other side receives");
        assert_eq!(next(), 2);
        gates.iter().skip(1).for_each(|gate| gate.send(()).expect("the other side receives"));
        let outcomes = calls.into_iter().map(|call| drive(call.pending).unwrap());
        assert_eq!(outcomes.collect::<Vec<_>>(), [0, 1, 2, 3]);
    }

    #[test]
    fn call_dropped_while_it_waits_is_made_only_if_it_must_be() {
        let (offload, runtime) = (Arc::new(Offload::new(1)), runtime_for(None));
        let (began, begun) = channel();
        let (go, first) = gated(0, &began);
        let first = offload.begin(&*runtime, WhenDropped::Canceled, first);
        assert_eq!(begun.recv_timeout(Duration::from_secs(60)), Ok(0));
        for (number, when_dropped) in [(1, WhenDropped::Canceled), (2, WhenDropped::Completed)] {
            let began = began.clone();
            drop(offload.begin(&*runtime, when_dropped, move || {
                began.send(number).expect("the test receives");
                Ok(number)
            }));
        }
        go.send(()).expect("the other side receives");
        drive(first.pending).unwrap();
        assert_eq!(begun.recv_timeout(Duration::from_secs(60)), Ok(2));
    }

    #[test]
    fn panic_of_a_call_is_its_error() {
        let (offload, runtime) = (Arc::new(Offload::new(1)), runtime_for(None));
        let panics = || -> Result<(), BackendError> { std::panic::resume_unwind(Box::new("planted")) };
        let error = drive(offload.begin(&*runtime, WhenDropped::Canceled, panics).pending).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Panicked);
        assert!(error.to_string().contains("planted"), "{error}");
        drive(offload.begin(&*runtime, WhenDropped::Canceled, || Ok(())).pending).unwrap();
    }

    /// A runtime that shuts down: it drops what it is given.
    #[derive(Debug)]
    struct Ending;

    impl Runtime for Ending {
        fn spawn(&self, _future: RuntimeFuture) {}

        fn sleep_until(&self, _time: std::time::Instant) -> RuntimeFuture {
            Box::pin(std::future::pending())
        }

        fn spawn_blocking(&self, _work: Box<dyn FnOnce() + Send>) {}
    }

    #[test]
    fn call_that_the_runtime_drops_is_an_error_and_leaves_its_place() {
        let offload = Arc::new(Offload::new(1));
        for _ in 0..2 {
            let call = offload.begin(&Ending, WhenDropped::Canceled, || Ok(()));
            assert_eq!(drive(call.pending).unwrap_err().kind(), ErrorKind::Dropped);
        }
        drive(offload.begin(&*runtime_for(None), WhenDropped::Canceled, || Ok(())).pending).unwrap();
    }
}
