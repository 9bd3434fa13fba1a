//! [`Failure`]: why an exchange with a server failed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::resp::{ErrorReply, Invalid};

/// Why an exchange with a server failed. An error reply to a command is not a failure, except to the login.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The deadline passed.
    TimedOut,
    /// The deadline passed, and all `size` connections were in use for most of the time.
    Busy {
        size: usize,
        waited: Duration,
    },
    /// The connection could not be opened, or broke.
    Broken(Arc<io::Error>),
    Tls(rustls::Error),
    Invalid(Invalid),
    /// The server rejected the user name or the password.
    Login,
    /// The server rejected the database.
    Database(ErrorReply),
    /// The server rejected another command that opens a connection.
    Rejected(ErrorReply),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if let Some(tls) = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>()) {
            return Failure::Tls(tls.clone());
        }
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Failure::TimedOut,
            _ => Failure::Broken(Arc::new(error)),
        }
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Failure::Invalid(invalid)
    }
}
