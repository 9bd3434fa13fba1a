//! The asynchronous driver: lets a task wait for the protocol.

use std::pin::Pin;

/// Returns `future` as a task can hold it. It is boxed, so that the future of a hit, which does not need it, stays
/// small.
///
/// Dropping it cancels the call. A waiter leaves no trace. A leader leaves its keys to the next callers.
pub(crate) fn drive<F: Future>(future: F) -> Pin<Box<F>> {
    Box::pin(future)
}
