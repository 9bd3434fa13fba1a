//! Polling futures by hand.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

pub(crate) type Boxed<'f, T> = Pin<Box<dyn Future<Output = T> + Send + 'f>>;

/// A task that the test polls by hand.
pub(crate) struct Task<'f, T> {
    future: Boxed<'f, T>,
    woken: Arc<Woken>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl<'f, T> Task<'f, T> {
    pub(crate) fn new(future: impl Future<Output = T> + Send + 'f) -> Self {
        Task { future: Box::pin(future), woken: Arc::new(Woken(AtomicBool::new(false))) }
    }

    /// Creates a task, polls it, and expects that it waits.
    pub(crate) fn waiting(future: impl Future<Output = T> + Send + 'f) -> Self {
        let mut task = Task::new(future);
        assert!(task.poll().is_none(), "the task must wait");
        task
    }

    /// Polls the task, and returns its output if it has ended.
    pub(crate) fn poll(&mut self) -> Option<T> {
        self.woken.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&self.woken));
        match self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    /// Returns whether the task was woken since it was polled.
    pub(crate) fn is_woken(&self) -> bool {
        self.woken.0.load(Ordering::SeqCst)
    }

    /// Runs the task to its end.
    pub(crate) fn finish(self) -> T {
        smol::block_on(self.future)
    }
}

/// Returns the output of a future that must not wait.
pub(crate) fn at_once<T>(future: impl Future<Output = T> + Send) -> T {
    Task::new(future).poll().expect("the future does not wait")
}
