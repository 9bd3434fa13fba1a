//! [`Multiplexer`]: the connections to one server that asynchronous calls share.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use dogpile_net::{Added, Cancellation, Lane};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::call::Call;
use super::driver::Driver;
use super::owned::Owned;
use crate::client::{Error, Failure, Outcome, Target, Urgency};

/// The size from which the requests of a call are large, in bytes. They have a connection of their own, so that they do not
/// delay small ones.
const LARGE: usize = 64 << 10;

/// The number of operations from which a call counts as large.
const MANY: usize = 128;

/// The number of connections for large calls.
const LARGE_LANES: usize = 2;

/// The most bytes of requests that wait for a connection, for small and for large calls.
const MAX_BYTES: [usize; 2] = [16 << 20, 256 << 20];

/// The connections to one server that asynchronous calls share.
pub(super) struct Multiplexer {
    target: Arc<Target>,
    runtime: Handle,
    small: Vec<Arc<Lane<Call>>>,
    large: Vec<Arc<Lane<Call>>>,
}

/// How operations are sent.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) urgency: Urgency,
    pub(super) deadline: Instant,
    pub(super) cancellation: Cancellation,
}

impl Multiplexer {
    /// Creates connections to `target`. They are opened when they are needed.
    pub(super) fn new(target: Arc<Target>, runtime: Handle) -> Self {
        let lanes = |count, bytes| (0..count).map(|_| Arc::new(Lane::new(bytes))).collect();
        Multiplexer {
            small: lanes(target.options().async_connections.max(1), MAX_BYTES[0]),
            large: lanes(LARGE_LANES, MAX_BYTES[1]),
            target,
            runtime,
        }
    }

    /// Returns whether the server is not dead.
    pub(super) fn is_in(&self, now: Instant) -> bool {
        self.target.is_in(now)
    }

    /// Sends `operations`, and returns what waits for their outcomes.
    pub(super) fn begin(
        &self,
        operations: Vec<Arc<Owned>>,
        terms: Terms,
    ) -> impl Future<Output = Vec<Outcome>> + Send + use<> {
        let (count, target) = (operations.len(), Arc::clone(&self.target));
        let (replied, outcomes) = oneshot::channel();
        self.submit(operations, terms, move |outcomes| {
            // It fails if the caller is gone.
            let _ = replied.send(outcomes);
        });
        async move {
            outcomes.await.unwrap_or_else(|_| {
                let ended = io::Error::other("the task of the connection ended");
                let error = Arc::new(target.error(&Failure::Broken(Arc::new(ended))));
                (0..count).map(|_| Err(Arc::clone(&error))).collect()
            })
        }
    }

    /// Sends `operations`, and passes their outcomes to `receive` by the deadline. Does not block.
    pub(super) fn submit(
        &self,
        operations: Vec<Arc<Owned>>,
        Terms { urgency, deadline, cancellation }: Terms,
        receive: impl FnOnce(Vec<Outcome>) + Send + 'static,
    ) {
        let lane = self.lane_for(&operations);
        let mut call = Call::new(operations, deadline, (cancellation, lane.place()), Box::new(receive));
        if !self.target.may_be_used(urgency) {
            return call.fail(&Arc::new(Error::Resting { server: self.target.name() }));
        }
        match lane.add(call) {
            Ok(Added::Waits) => {}
            Ok(Added::NeedsDriver) => {
                drop(self.runtime.spawn(Driver::new(Arc::clone(lane), Arc::clone(&self.target)).run()));
            }
            Err(mut call) => call.fail(&Arc::new(Error::Crowded { server: self.target.name() })),
        }
    }

    /// Returns the lane with the fewest calls for operations of this size.
    fn lane_for(&self, operations: &[Arc<Owned>]) -> &Arc<Lane<Call>> {
        let size: usize = operations.iter().map(|operation| operation.size()).sum();
        let lanes = if size > LARGE || operations.len() >= MANY { &self.large } else { &self.small };
        // There is at least one.
        lanes.iter().min_by_key(|lane| lane.load()).unwrap_or(&self.small[0])
    }
}

impl fmt::Debug for Multiplexer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multiplexer").field("target", &self.target).finish_non_exhaustive()
    }
}
