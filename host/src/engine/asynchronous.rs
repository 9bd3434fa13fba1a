//! The asynchronous driver: lets a task wait for the protocol.

use std::pin::Pin;
use std::task::{Context, Poll};

/// Returns `future` as a task can hold it. It is boxed, so that the future of a hit, which does not need it, stays
/// small.
///
/// Dropping it cancels the call. A waiter leaves no trace. A leader leaves its keys to the next callers.
pub(crate) fn drive<F: Future>(future: F) -> Driven<F> {
    Driven(Box::pin(future))
}

/// A future that is polled out of line, so that the code of a hit, which does not poll it, stays small.
pub(crate) struct Driven<F>(Pin<Box<F>>);

impl<F: Future> Future for Driven<F> {
    type Output = F::Output;

    #[cold]
    #[inline(never)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.0.as_mut().poll(context)
    }
}
