//! Converts the errors of the client to a [`BackendError`].

use std::sync::Arc;

use dogpile_sdk::{BackendError, ErrorKind};

use crate::client::{Error, Refusal};

/// Returns `error` as the error of a backend.
#[allow(clippy::needless_pass_by_value, reason = "so that it can be given to a combinator")]
pub(crate) fn of(error: Arc<Error>) -> BackendError {
    let kind = match *error {
        Error::TimedOut { .. } | Error::Busy { .. } | Error::Crowded { .. } => ErrorKind::Timeout,
        Error::Login { .. } | Error::Tls { .. } => ErrorKind::Configuration,
        Error::Refused { .. } | Error::TooLarge { .. } | Error::InvalidReply { .. } => ErrorKind::Other,
        _ => ErrorKind::Unavailable,
    };
    let converted = BackendError::new(kind, error.to_string());
    let converted = match error.server() {
        Some(server) => converted.at_server(server),
        None => converted,
    };
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
    !matches!(
        error,
        Error::Login { .. }
            | Error::Tls { .. }
            | Error::Busy { .. }
            | Error::Crowded { .. }
            | Error::Refused { .. }
            | Error::TooLarge { .. }
    )
}

/// Returns whether the server rejected the operation for lack of memory.
pub(crate) fn is_full(error: &Error) -> bool {
    matches!(error, Error::Refused { why: Refusal::OutOfMemory, .. })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use std::error::Error as _;
    use std::io;

    use super::*;

    #[test]
    fn converted_error_has_server_and_cause() {
        let source = Arc::new(io::Error::new(io::ErrorKind::ConnectionRefused, "refused"));
        let error = of(Arc::new(Error::Unreachable { server: "cache1:11211".into(), source }));
        assert_eq!((error.kind(), error.server()), (ErrorKind::Unavailable, Some("cache1:11211")));
        assert_eq!(
            error.to_string(),
            "cannot reach memcached server cache1:11211: the connection failed or was closed; check that it runs at this \
             address"
        );
        assert_eq!(error.source().unwrap().to_string(), "refused");
    }
}
