//! The outcome of a future of a backend: its own, a panic, or a timeout.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crate::error::{BackendError, ErrorKind};
use crate::panicked::panicked;

/// Runs `work`, and drops it when `limit` has passed.
pub(super) async fn within<T>(
    operation: &'static str,
    limit: Duration,
    work: impl Future<Output = Result<T, BackendError>>,
) -> Result<T, BackendError> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(timed_out(operation, limit)))
}

/// Runs `work`. A panic is its outcome, as an error of the kind [`ErrorKind::Panicked`].
pub(super) async fn contained<T>(
    operation: &'static str,
    work: impl Future<Output = Result<T, BackendError>>,
) -> Result<T, BackendError> {
    let mut work = pin!(work);
    let outcome = poll_fn(|context| {
        // After a panic, the future is not polled again. The backend itself stays in use, as after every panic.
        catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)))
            .unwrap_or_else(|payload| Poll::Ready(Err(panicked("the backend", payload))))
    })
    .await;
    outcome.map_err(|error| if error.operation().is_some() { error } else { error.during(operation) })
}

/// Returns the error of a call that exceeded its time limit.
pub(super) fn timed_out(operation: &'static str, limit: Duration) -> BackendError {
    let message = format!("the backend did not complete the call within {limit:?}");
    BackendError::new(ErrorKind::Timeout, message).during(operation)
}
