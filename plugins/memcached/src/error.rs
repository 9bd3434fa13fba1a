//! What the client says, as a [`BackendError`].

use std::sync::Arc;

use dogpile_sdk::{BackendError, ErrorKind};

use crate::client::Error;

pub(crate) fn of(error: Arc<Error>) -> BackendError {
    let kind = match *error {
        Error::TimedOut { .. } | Error::Busy { .. } => ErrorKind::Timeout,
        Error::Login { .. } | Error::Tls { .. } => ErrorKind::Configuration,
        _ => ErrorKind::Unavailable,
    };
    BackendError::new(kind, error.to_string()).with_source(error)
}

/// Whether the server is down or does not do its work, so that its keys are misses and the others go on. What is wrong
/// with the configuration is told instead.
pub(crate) fn is_outage(error: &Error) -> bool {
    !matches!(error, Error::Login { .. } | Error::Tls { .. } | Error::Busy { .. })
}
