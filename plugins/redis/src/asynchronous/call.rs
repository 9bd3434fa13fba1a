//! [`Call`]: a request that waits for its replies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use crate::command::{Repeat, Request};
use crate::connection::Failure;
use crate::resp::Value;

/// A request that waits for its replies, and what receives them.
pub(super) struct Call {
    pub(super) request: Request,
    pub(super) repeat: Repeat,
    pub(super) deadline: Instant,
    /// Whether the request was sent before, on a connection that broke.
    pub(super) is_retry: bool,
    cancellation: Cancellation,
    /// `None` once it has received an outcome.
    outcome: Option<Outcome>,
    place: Place,
}

/// Receives the outcome of a call. It runs code of the caller, so no lock may be held.
pub(super) type Outcome = Box<dyn FnOnce(Result<Vec<Value>, Failure>) + Send>;

impl Call {
    pub(super) fn new(
        request: Request,
        repeat: Repeat,
        deadline: Instant,
        (cancellation, place): (Cancellation, Place),
        outcome: Outcome,
    ) -> Self {
        let outcome = Some(outcome);
        Call { request, repeat, deadline, is_retry: false, cancellation, outcome, place }
    }

    /// Delivers the outcome, unless there was one before.
    pub(super) fn complete(&mut self, outcome: Result<Vec<Value>, Failure>) {
        if let Some(receive) = self.outcome.take() {
            receive(outcome);
        }
    }

    /// Returns the delivery of the outcome, unless there was one before.
    pub(super) fn deliver(&mut self, outcome: Result<Vec<Value>, Failure>) -> Option<Delivery> {
        self.outcome.take().map(|receive| Delivery { receive, outcome })
    }

    /// Ends a call whose replies were all received, and returns their delivery.
    pub(super) fn end(self, replies: Vec<Value>) -> Option<Delivery> {
        // The receiver may begin the next call, which should find the connection free.
        drop(self.place);
        self.outcome.map(|receive| Delivery { receive, outcome: Ok(replies) })
    }

    /// Returns whether nobody waits for the outcome.
    pub(super) fn is_over(&self) -> bool {
        self.outcome.is_none() || self.cancellation.is_canceled()
    }

    /// Returns whether an outcome is still due at `now`, because the deadline has not passed and there was none.
    pub(super) fn is_expired(&self, now: Instant) -> bool {
        self.outcome.is_some() && self.deadline <= now
    }

    /// Returns the number of bytes that the request has.
    pub(super) fn size(&self) -> usize {
        self.request.packed(false).len()
    }
}

/// An outcome on its way to its receiver.
pub(super) struct Delivery {
    receive: Outcome,
    outcome: Result<Vec<Value>, Failure>,
}

impl Delivery {
    /// Delivers the outcome. It runs code of the caller, so no lock may be held.
    pub(super) fn run(self) {
        (self.receive)(self.outcome);
    }
}

/// Whether the caller has lost interest in a call. Its request is not sent then, unless it already was.
#[derive(Clone, Debug, Default)]
pub(super) struct Cancellation(Arc<AtomicBool>);

impl Cancellation {
    pub(super) fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_canceled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts a call among those of its connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>);

impl Place {
    pub(super) fn among(calls: &Arc<AtomicUsize>) -> Self {
        calls.fetch_add(1, Ordering::Relaxed);
        Place(Arc::clone(calls))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
