//! Converts the errors of the client to a [`BackendError`].

use std::sync::Arc;

use dogpile_sdk::{BackendError, ErrorKind};

use crate::client::Error;

/// Returns `error` as the error of a backend.
#[allow(clippy::needless_pass_by_value, reason = "so that it can be given to a combinator")]
pub(crate) fn of(error: Arc<Error>) -> BackendError {
    let kind = match *error {
        Error::TimedOut { .. } | Error::Busy { .. } => ErrorKind::Timeout,
        Error::Login { .. } | Error::Tls { .. } => ErrorKind::Configuration,
        _ => ErrorKind::Unavailable,
    };
    let converted = BackendError::new(kind, error.to_string());
    match &*error {
        Error::Unreachable { source, .. } => converted.with_source(Arc::clone(source)),
        Error::Tls { source, .. } => converted.with_source(Arc::clone(source)),
        _ => converted,
    }
}

/// Returns whether the server is down or not working.
///
/// The keys of such a server are misses, and the other servers are used. An invalid configuration is an error instead.
pub(crate) fn is_outage(error: &Error) -> bool {
    !matches!(error, Error::Login { .. } | Error::Tls { .. } | Error::Busy { .. })
}
