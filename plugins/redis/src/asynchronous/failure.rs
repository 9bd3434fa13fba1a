//! Failures of shared connections.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::call::Call;
use crate::connection::Failure;

/// Returns the failure of a call on a connection that was closed because of `failure`.
pub(super) fn of_others(failure: &Failure, call: &Call, now: Instant) -> Failure {
    match failure {
        Failure::TimedOut if call.deadline > now => {
            broken(io::Error::new(io::ErrorKind::TimedOut, "closed after another call on it timed out"))
        }
        failure => failure.clone(),
    }
}

/// Returns the failure of a connection that broke.
pub(super) fn broken(error: io::Error) -> Failure {
    match error.kind() {
        // Deadlines are kept by timers, so that this is a timeout of the system.
        io::ErrorKind::TimedOut => Failure::Broken(Arc::new(error)),
        _ => dogpile_net::Failure::from(error).into(),
    }
}
