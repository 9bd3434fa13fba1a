//! [`Completion`]: the callback that receives the outcome of one asynchronous call.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::error::{BackendError, ErrorKind};
use crate::error_chain::error_chain;

/// Receives the outcome of one asynchronous call, exactly once, on any thread.
///
/// Completing consumes it. Dropping it delivers an error of the kind [`ErrorKind::Dropped`], or of the kind
/// [`ErrorKind::Panicked`] if the thread is panicking.
///
/// Completing runs code of the host and of proxies, such as one that decrypts a value. This code does not wait, but it
/// may begin the next call. Do not hold a lock that it could need: call [`complete`](Self::complete) after releasing
/// your locks.
pub struct Completion<T>(Option<Arc<dyn Sink<T>>>);

/// Where outcomes go. It keeps the first one, and ignores and logs others.
pub(crate) trait Sink<T>: Send + Sync {
    fn deliver(&self, outcome: Result<T, BackendError>);
}

impl<T: Send + 'static> Completion<T> {
    /// Creates a completion that passes its outcome to `receive`.
    ///
    /// A backend that wraps another one uses it to look at an outcome, or to change it, on its way back.
    pub fn new(receive: impl FnOnce(Result<T, BackendError>) + Send + 'static) -> Self {
        Completion::to(Arc::new(Receiver(Mutex::new(Some(receive)))))
    }
}

impl<T> Completion<T> {
    /// Delivers the outcome of the call.
    pub fn complete(mut self, outcome: Result<T, BackendError>) {
        if let Some(sink) = self.0.take() {
            sink.deliver(outcome);
        }
    }

    /// Creates a completion that delivers to `sink`.
    pub(crate) fn to(sink: Arc<dyn Sink<T>>) -> Self {
        Completion(Some(sink))
    }

    /// Returns the sink. Nothing is delivered when the completion is dropped afterwards.
    #[cfg(feature = "plugins")]
    pub(crate) fn into_sink(mut self) -> Option<Arc<dyn Sink<T>>> {
        self.0.take()
    }
}

impl<T> Drop for Completion<T> {
    fn drop(&mut self) {
        if let Some(sink) = self.0.take() {
            sink.deliver(Err(abandoned()));
        }
    }
}

impl<T> fmt::Debug for Completion<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Completion")
    }
}

/// Logs an outcome that comes after the one that counted.
pub(crate) fn log_second_outcome<T>(outcome: &Result<T, BackendError>) {
    let second =
        outcome.as_ref().map_or_else(|error| error_chain(error).to_string(), |_| "a success".to_owned());
    log::warn!(
        "ignored a second outcome of an asynchronous call, which the backend had completed before: {second}"
    );
}

/// Passes the first outcome to a function.
struct Receiver<F>(Mutex<Option<F>>);

impl<T, F: FnOnce(Result<T, BackendError>) + Send> Sink<T> for Receiver<F> {
    fn deliver(&self, outcome: Result<T, BackendError>) {
        // Take the function out first, so that it runs after the lock is released.
        let receive = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match receive {
            Some(receive) => receive(outcome),
            None => log_second_outcome(&outcome),
        }
    }
}

/// Returns the outcome of a call whose completion is dropped by this thread.
pub(crate) fn abandoned() -> BackendError {
    if thread::panicking() {
        BackendError::new(ErrorKind::Panicked, "the backend panicked before it completed the call")
    } else {
        BackendError::new(ErrorKind::Dropped, "the backend dropped the call without an outcome")
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::sync::mpsc;

    use super::*;

    fn received(use_of: impl FnOnce(Completion<u8>)) -> Vec<Result<u8, ErrorKind>> {
        let (send, receive) = mpsc::channel();
        use_of(Completion::new(move |outcome| {
            send.send(outcome.map_err(|error| error.kind())).expect("the test still receives");
        }));
        receive.iter().collect()
    }

    #[test]
    fn completion_delivers_one_outcome() {
        assert_eq!(received(|completion| completion.complete(Ok(1))), [Ok(1)]);
    }

    #[test]
    fn dropped_completion_delivers_dropped() {
        assert_eq!(received(drop), [Err(ErrorKind::Dropped)]);
    }

    #[test]
    fn completion_dropped_by_panic_delivers_panicked() {
        let panicking = |completion| {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                let _completion = completion;
                // `resume_unwind` prints no message on the standard error.
                resume_unwind(Box::new("planted"))
            }));
            assert!(caught.is_err());
        };
        assert_eq!(received(panicking), [Err(ErrorKind::Panicked)]);
    }

    #[test]
    fn second_outcome_is_ignored() {
        let (send, receive) = mpsc::channel();
        let sink = Receiver(Mutex::new(Some(move |outcome: Result<u8, _>| {
            send.send(outcome.is_ok()).expect("the test still receives");
        })));
        sink.deliver(Ok(1));
        sink.deliver(Ok(2));
        assert_eq!(receive.iter().collect::<Vec<_>>(), [true]);
    }
}
