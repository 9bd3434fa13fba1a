//! The error of a call that an open breaker prevents, and which errors are outages.

use std::error::Error;
use std::fmt;

use dogpile_sdk::{BackendError, ErrorKind};

/// The cause of the error of a call that was not made: the last failure before the breaker opened.
#[derive(Debug)]
struct BreakerOpen(String);

impl fmt::Display for BreakerOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the last call failed: {}", self.0)
    }
}

impl Error for BreakerOpen {}

/// Returns the error of a call of `backend` that is not made, after the `last` of so many `failures` in a row.
pub(super) fn refusal(backend: &str, failures: u32, last: String) -> BackendError {
    let message = format!(
        "backend {backend:?} was not called: its breaker is open after {failures} failed calls in a row"
    );
    BackendError::new(ErrorKind::Unavailable, message).with_source(BreakerOpen(last))
}

/// Returns whether an error of this kind is one of the backend, after which a call may go on without it.
///
/// Other kinds concern the call: it would fail again.
pub(crate) fn is_outage(kind: ErrorKind) -> bool {
    use ErrorKind::{Dropped, Other, Panicked, Timeout, Unavailable};
    matches!(kind, Unavailable | Timeout | Dropped | Panicked | Other)
}

/// Returns whether a call failed because the breaker was open.
pub(crate) fn was_refused(error: &BackendError) -> bool {
    error.source().is_some_and(|source| source.is::<BreakerOpen>())
}
