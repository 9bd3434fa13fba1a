//! [`Pending`]: the outcome of an asynchronous call, as a future.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::completion::{Completion, Sink, log_second_outcome};
use crate::error::{BackendError, ErrorKind};
use crate::panicked::panicked;
use crate::running::Running;

/// The outcome of an asynchronous call, for hosts. It needs no particular executor.
///
/// The call begins when the future is created. Dropping the future before the outcome cancels the call.
///
/// ```
/// use std::future::Future;
/// use std::pin::pin;
/// use std::task::{Context, Poll, Waker};
///
/// use dogpile_sdk::{Pending, Running};
///
/// let pending = Pending::begin(|completion| {
///     completion.complete(Ok(1));
///     Running::done()
/// });
/// let polled = pin!(pending).poll(&mut Context::from_waker(Waker::noop()));
/// assert!(matches!(polled, Poll::Ready(Ok(1))));
/// ```
#[must_use = "dropping it cancels the call"]
pub struct Pending<T> {
    slot: Arc<Slot<T>>,
    /// Taken when the outcome is taken.
    running: Option<Running>,
}

/// Where the completion meets the future.
struct Slot<T>(Mutex<Inner<T>>);

struct Inner<T> {
    state: State<T>,
    late: Option<Late<T>>,
}

enum State<T> {
    Waiting(Option<Waker>),
    Completed(Result<T, BackendError>),
    Taken,
    Canceled,
}

/// Receives a success that arrives after a cancellation.
type Late<T> = Box<dyn FnOnce(T) + Send>;

impl<T: Send + 'static> Pending<T> {
    /// Begins a call, such as `|completion| operations.begin_get("key", completion)`.
    ///
    /// If `begin` panics, the panic is the outcome, as an error of the kind [`ErrorKind::Panicked`].
    pub fn begin(begin: impl FnOnce(Completion<T>) -> Running) -> Self {
        let inner = Inner { state: State::Waiting(None), late: None };
        let slot = Arc::new(Slot(Mutex::new(inner)));
        let completion = Completion::to(Arc::clone(&slot) as Arc<dyn Sink<T>>);
        let running = catch_unwind(AssertUnwindSafe(|| begin(completion))).unwrap_or_else(|payload| {
            slot.deliver(Err(panicked("the backend", payload)));
            Running::done()
        });
        Pending { slot, running: Some(running) }
    }
}

impl<T> Pending<T> {
    /// Sets a function that receives a success that arrives after a cancellation. By default, such a value is dropped.
    ///
    /// A host releases a mutex that is acquired too late. `late` runs on the thread that completes the call.
    pub fn when_late(self, late: impl FnOnce(T) + Send + 'static) -> Self {
        self.slot.lock().late = Some(Box::new(late));
        self
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, BackendError>;

    /// # Panics
    /// Panics if it is polled after it returned the outcome.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = self.slot.poll(context.waker());
        if polled.is_ready() {
            self.running = None;
        }
        polled
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        if self.slot.cancel()
            && let Some(running) = self.running.take()
        {
            running.cancel();
        }
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("running", &self.running).finish_non_exhaustive()
    }
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the outcome, or keeps `waker` until it is there.
    fn poll(&self, waker: &Waker) -> Poll<Result<T, BackendError>> {
        // Cloning and dropping wakers runs foreign code, which must not happen under the lock.
        let waker = waker.clone();
        let mut inner = self.lock();
        let (polled, replaced) = match std::mem::replace(&mut inner.state, State::Taken) {
            State::Completed(outcome) => (Poll::Ready(outcome), Some(waker)),
            State::Waiting(replaced) => {
                inner.state = State::Waiting(Some(waker));
                (Poll::Pending, replaced)
            }
            State::Taken | State::Canceled => panic!("polled after the outcome was returned"),
        };
        drop(inner);
        drop(replaced);
        polled
    }

    /// Ends the wait, and returns whether the outcome was still missing.
    fn cancel(&self) -> bool {
        let mut inner = self.lock();
        let missing = matches!(inner.state, State::Waiting(_));
        let last = std::mem::replace(&mut inner.state, State::Canceled);
        let late = if missing { None } else { inner.late.take() };
        drop(inner);
        if let (State::Completed(Ok(value)), Some(late)) = (last, late) {
            late(value);
        }
        missing
    }
}

impl<T: Send> Sink<T> for Slot<T> {
    fn deliver(&self, outcome: Result<T, BackendError>) {
        let mut inner = self.lock();
        match &mut inner.state {
            State::Waiting(waker) => {
                let waker = waker.take();
                inner.state = State::Completed(outcome);
                drop(inner);
                waker.into_iter().for_each(Waker::wake);
            }
            // The unwinding of a panic dropped the completion. This is the panic itself, which says more.
            State::Completed(kept) if is_panic(&outcome) && is_abandoned(kept) => {
                let replaced = std::mem::replace(kept, outcome);
                drop(inner);
                drop(replaced);
            }
            State::Completed(_) | State::Taken => {
                drop(inner);
                log_second_outcome(&outcome);
            }
            State::Canceled => {
                let late = inner.late.take();
                drop(inner);
                if let (Ok(value), Some(late)) = (outcome, late) {
                    late(value);
                }
            }
        }
    }
}

fn is_panic<T>(outcome: &Result<T, BackendError>) -> bool {
    outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::Panicked)
}

fn is_abandoned<T>(outcome: &Result<T, BackendError>) -> bool {
    let kind = outcome.as_ref().err().map(BackendError::kind);
    matches!(kind, Some(ErrorKind::Dropped | ErrorKind::Panicked))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::task::Wake;

    use super::*;

    /// Counts how often a task is woken.
    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    /// Returns a pending call together with its completion.
    fn held() -> (Pending<u8>, Completion<u8>) {
        let mut kept = None;
        let pending = Pending::begin(|completion| {
            kept = Some(completion);
            Running::done()
        });
        (pending, kept.expect("the call was begun"))
    }

    fn poll(pending: &mut Pending<u8>, waker: &Waker) -> Poll<Result<u8, ErrorKind>> {
        let polled = Pin::new(pending).poll(&mut Context::from_waker(waker));
        polled.map(|outcome| outcome.map_err(|error| error.kind()))
    }

    fn outcome(mut pending: Pending<u8>) -> Result<u8, ErrorKind> {
        match poll(&mut pending, Waker::noop()) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => panic!("the outcome is missing"),
        }
    }

    #[test]
    fn later_outcome_wakes_last_waker_once() {
        let (mut pending, completion) = held();
        let (first, last) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
        for wakes in [&first, &last] {
            assert!(poll(&mut pending, &Waker::from(Arc::clone(wakes))).is_pending());
        }
        completion.complete(Ok(1));
        assert_eq!((first.0.load(SeqCst), last.0.load(SeqCst)), (0, 1));
        assert_eq!(outcome(pending), Ok(1));
    }

    #[test]
    fn panic_of_begin_is_the_outcome() {
        let mut pending = Pending::<u8>::begin(|_completion| std::panic::resume_unwind(Box::new("planted")));
        let polled = Pin::new(&mut pending).poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(Err(error)) = polled else { panic!("the outcome is missing") };
        assert_eq!(error.to_string(), "the backend panicked: planted");
        assert_eq!(error.kind(), ErrorKind::Panicked);
    }

    #[test]
    fn panic_after_the_outcome_is_ignored() {
        let pending = Pending::begin(|completion| {
            completion.complete(Ok(1));
            std::panic::resume_unwind(Box::new("planted"))
        });
        assert_eq!(outcome(pending), Ok(1));
    }

    #[test]
    fn only_a_missing_outcome_is_canceled() {
        let cancels = Arc::new(AtomicUsize::new(0));
        for (completes, expected) in [(true, 0), (false, 1)] {
            let (counted, mut kept) = (Arc::clone(&cancels), None);
            let pending = Pending::<u8>::begin(|completion| {
                kept = Some(completion);
                Running::new(move || {
                    counted.fetch_add(1, SeqCst);
                })
            });
            if completes {
                kept.take().expect("the call was begun").complete(Ok(1));
            }
            drop(pending);
            assert_eq!(cancels.load(SeqCst), expected);
        }
    }

    #[test]
    fn late_success_is_handed_over() {
        for before in [true, false] {
            let (pending, completion) = held();
            let late = Arc::new(AtomicUsize::new(0));
            let kept = Arc::clone(&late);
            let pending = pending.when_late(move |value| kept.store(value.into(), SeqCst));
            if before {
                completion.complete(Ok(7));
                drop(pending);
            } else {
                drop(pending);
                completion.complete(Ok(7));
            }
            assert_eq!(late.load(SeqCst), 7);
        }
    }
}
