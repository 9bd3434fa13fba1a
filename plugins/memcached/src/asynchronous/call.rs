//! [`Call`]: operations that wait for their replies.

use std::sync::Arc;
use std::time::Instant;

use dogpile_net::{Cancellation, Place, Queued};

use super::owned::Owned;
use crate::client::{Error, Operation, Outcome};

/// Operations that are sent to a server together and wait for their replies, and what receives the outcomes.
pub(super) struct Call {
    operations: Vec<Arc<Owned>>,
    size: usize,
    pub(super) deadline: Instant,
    /// Whether the operations were sent before, on a connection that broke.
    pub(super) is_retry: bool,
    /// The number of operations that have a reply, perhaps from a connection before this one.
    replied: usize,
    /// The outcomes of those operations, as long as the call waits.
    outcomes: Vec<Outcome>,
    cancellation: Cancellation,
    /// `None` once it has received the outcomes.
    receive: Option<Receive>,
    place: Place,
}

/// Receives the outcomes of a call, one for each operation. It runs code of the caller, so no lock may be held.
pub(super) type Receive = Box<dyn FnOnce(Vec<Outcome>) + Send>;

impl Call {
    pub(super) fn new(
        operations: Vec<Arc<Owned>>,
        deadline: Instant,
        (cancellation, place): (Cancellation, Place),
        receive: Receive,
    ) -> Self {
        let size = operations.iter().map(|operation| operation.size()).sum();
        let (receive, outcomes) = (Some(receive), Vec::with_capacity(operations.len()));
        Call {
            operations,
            size,
            deadline,
            is_retry: false,
            replied: 0,
            outcomes,
            cancellation,
            receive,
            place,
        }
    }

    /// Returns the number of operations.
    pub(super) fn len(&self) -> usize {
        self.operations.len()
    }

    /// Returns the number of operations that have a reply.
    pub(super) fn replied(&self) -> usize {
        self.replied
    }

    /// Returns the operation with this index.
    pub(super) fn operation(&self, index: usize) -> Option<Operation<'_>> {
        self.operations.get(index).map(|operation| operation.operation())
    }

    /// Adds the outcome of the next operation, and returns whether it was the last one.
    pub(super) fn add(&mut self, outcome: Outcome) -> bool {
        self.replied += 1;
        if self.receive.is_some() {
            self.outcomes.push(outcome);
        }
        self.replied == self.operations.len()
    }

    /// Delivers the outcomes of a call whose replies were all received.
    pub(super) fn end(self) {
        // The receiver may begin the next call, which should find the connection free.
        drop(self.place);
        if let Some(receive) = self.receive {
            receive(self.outcomes);
        }
    }

    /// Delivers the outcomes, unless that was done before. The operations without a reply have `error`.
    pub(super) fn fail(&mut self, error: &Arc<Error>) {
        if let Some(receive) = self.receive.take() {
            let mut outcomes = std::mem::take(&mut self.outcomes);
            outcomes.resize_with(self.operations.len(), || Err(Arc::clone(error)));
            receive(outcomes);
        }
    }

    /// Returns whether the operations without a reply may be sent once more, on another connection.
    pub(super) fn may_be_repeated(&self, now: Instant) -> bool {
        let is_harmless = |operation: &Arc<Owned>| operation.operation().is_harmless();
        let is_waiting = !self.is_retry && !self.is_over() && self.deadline > now;
        is_waiting && self.operations[self.replied..].iter().all(is_harmless)
    }
}

impl Queued for Call {
    fn size(&self) -> usize {
        self.size
    }

    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn is_over(&self) -> bool {
        self.receive.is_none() || self.cancellation.is_canceled()
    }

    fn is_expired(&self, now: Instant) -> bool {
        self.receive.is_some() && self.deadline <= now
    }
}
