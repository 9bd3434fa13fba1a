//! [`Call`]: a request that waits for its replies.

use std::time::Instant;

use dogpile_net::{Cancellation, Place, Queued};

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
}

impl Queued for Call {
    fn size(&self) -> usize {
        self.request.packed(false).len()
    }

    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn is_over(&self) -> bool {
        self.outcome.is_none() || self.cancellation.is_canceled()
    }

    fn is_expired(&self, now: Instant) -> bool {
        self.outcome.is_some() && self.deadline <= now
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
