//! The asynchronous driver: lets a task wait for the protocol.

use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

/// Wakes tasks at a time.
pub(crate) trait Timer: Send + Sync {
    /// Waits until `time`.
    fn sleep_until(&self, time: Instant) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// Returns `future` as a task can hold it: boxed, so that the future of a hit, which does not need it, stays small.
///
/// Dropping it cancels the call. A waiter leaves no trace. A leader leaves its keys to the next callers.
pub(crate) fn drive<'f, F: Future + Send + 'f>(
    future: F,
) -> Pin<Box<dyn Future<Output = F::Output> + Send + 'f>> {
    Box::pin(future)
}
