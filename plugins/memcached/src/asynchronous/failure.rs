//! Failures of shared connections.

use std::io;
use std::sync::Arc;

use crate::client::Failure;

/// Returns the failure of a connection that broke.
pub(super) fn broken(error: io::Error) -> Failure {
    match error.kind() {
        // Deadlines are kept by timers, so that this is a timeout of the system.
        io::ErrorKind::TimedOut => Failure::Broken(Arc::new(error)),
        _ => dogpile_net::Failure::from(error).into(),
    }
}

/// Returns the failure of a call whose connection was closed because of another call.
pub(super) fn of_another_call() -> Failure {
    Failure::Broken(Arc::new(io::Error::other("closed because another call on it failed")))
}
