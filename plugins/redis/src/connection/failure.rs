//! [`Failure`]: why an exchange with a server failed.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::resp::{ErrorReply, Invalid};

/// Why an exchange with a server failed. An error reply to a command is not a failure, except to the login.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// The deadline passed.
    TimedOut,
    /// The deadline passed, and all `size` connections were in use for most of the time.
    Busy {
        size: usize,
        waited: Duration,
    },
    /// Too many calls wait for a place in the server's connections.
    #[cfg(feature = "tokio")]
    Crowded,
    /// The connection could not be opened, or broke.
    Broken(Arc<io::Error>),
    Tls(Arc<dyn Error + Send + Sync>),
    Invalid(Invalid),
    /// The server rejected the user name or the password.
    Login,
    /// The server rejected the database.
    Database(ErrorReply),
    /// The server rejected another command that opens a connection.
    Rejected(ErrorReply),
}

impl From<dogpile_net::Failure> for Failure {
    fn from(failure: dogpile_net::Failure) -> Self {
        match failure {
            dogpile_net::Failure::TimedOut => Failure::TimedOut,
            dogpile_net::Failure::Broken(cause) => Failure::Broken(cause),
            dogpile_net::Failure::Tls(cause) => Failure::Tls(cause),
        }
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Failure::Invalid(invalid)
    }
}
