//! [`Running`]: an asynchronous call in progress, which can be canceled.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use dogpile_abi::panic_message;

use crate::panicked::without_panic;

/// An asynchronous call in progress, as returned by the methods of [`Operations`](crate::Operations).
///
/// Dropping it does not cancel the call.
#[must_use = "without it, the call cannot be canceled"]
pub struct Running(Option<Box<dyn FnOnce() + Send>>);

impl Running {
    /// Creates a running call that `cancel` ends early.
    ///
    /// `cancel` is called at most once, on any thread, and does not block. It may come after the outcome. The
    /// completion of a canceled call is completed or dropped, as always.
    pub fn new(cancel: impl FnOnce() + Send + 'static) -> Self {
        Running(Some(Box::new(cancel)))
    }

    /// Creates a running call that has ended, or that cannot be canceled.
    pub fn done() -> Self {
        Running(None)
    }

    /// Returns whether [`cancel`](Self::cancel) has an effect.
    pub fn is_cancelable(&self) -> bool {
        self.0.is_some()
    }

    /// Requests an early end of the call. A panic of the backend is contained and logged.
    pub fn cancel(mut self) {
        let Some(cancel) = self.0.take() else { return };
        // A future cancels when it is dropped, perhaps during a panic. A second panic would end the process.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(cancel)) {
            log::error!(
                "cannot cancel an asynchronous call: the backend panicked: {}",
                panic_message(payload)
            );
        }
    }
}

/// Contains a panic in the drop of values that the call keeps for its cancellation.
impl Drop for Running {
    fn drop(&mut self) {
        if let Some(cancel) = self.0.take() {
            without_panic(|| drop(cancel));
        }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_cancelable() { "Running" } else { "Running(done)" })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU8, Ordering::SeqCst};

    use super::*;

    #[test]
    fn only_cancel_cancels() {
        let canceled = Arc::new(AtomicU8::new(0));
        let running = || {
            let canceled = Arc::clone(&canceled);
            Running::new(move || {
                canceled.fetch_add(1, SeqCst);
            })
        };
        drop(running());
        assert_eq!(canceled.load(SeqCst), 0);
        running().cancel();
        assert_eq!(canceled.load(SeqCst), 1);
    }

    /// A future drops it when it has the outcome, perhaps during a panic.
    #[test]
    fn panic_of_a_dropped_cancel_is_contained() {
        struct Bomb;

        impl Drop for Bomb {
            fn drop(&mut self) {
                std::panic::resume_unwind(Box::new("planted"));
            }
        }

        let bomb = Bomb;
        let running = Running::new(move || drop(bomb));
        drop(running);
    }

    #[test]
    fn panic_of_cancel_is_contained() {
        Running::new(|| std::panic::resume_unwind(Box::new("planted"))).cancel();
        Running::done().cancel();
    }
}
