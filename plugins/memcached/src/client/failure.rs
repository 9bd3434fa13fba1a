//! [`Failure`]: why an exchange with a server failed.

use std::error::Error;
use std::io;
use std::sync::Arc;

use super::protocol::Invalid;

/// Why an exchange with a server failed. Its connection is then closed. A rejected request is not a failure.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// The deadline passed.
    TimedOut,
    /// The connection could not be opened, or broke.
    Broken(Arc<io::Error>),
    Tls(Arc<dyn Error + Send + Sync>),
    Invalid(Invalid),
    /// The server rejected the user name or the password.
    Login,
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
