//! Errors that cross the FFI boundary.

use std::error::Error;
use std::fmt;

use dogpile_abi::std_types::RString;
use dogpile_abi::{AbiError, AbiErrorParts};

use crate::error::{BackendError, ErrorKind};
use crate::error_chain::causes;

/// Converts `error` into its stable layout.
pub(super) fn to_abi(error: &BackendError) -> AbiError {
    AbiError::new(AbiErrorParts {
        kind: error.kind().name().into(),
        operation: error.operation().map(Into::into).into(),
        key: error.key().map(Into::into).into(),
        server: error.server().map(Into::into).into(),
        argument: error.argument().map(Into::into).into(),
        message: error.to_string().into(),
        sources: causes(error).map(|cause| cause.to_string().into()).collect(),
        location: error.location().map(Into::into).into(),
        panicked: false,
    })
}

/// Converts `error`, which came from `origin`.
pub(super) fn from_abi(error: AbiError, origin: &str) -> BackendError {
    let parts = error.into_parts();
    let location = parts.location.into_option();
    if parts.panicked {
        let place = location.as_ref().map(|location| format!(" at {location}")).unwrap_or_default();
        let message = format!("{origin} panicked{place}: {}", parts.message);
        let error = BackendError::new(ErrorKind::Panicked, message);
        return set(error, location, BackendError::at_location);
    }
    let mut error = BackendError::new(ErrorKind::from_name(&parts.kind), parts.message.into_string());
    error = set(error, parts.operation.into_option(), BackendError::during);
    error = set(error, parts.key.into_option(), BackendError::for_key);
    error = set(error, parts.server.into_option(), BackendError::at_server);
    error = set(error, parts.argument.into_option(), BackendError::for_argument);
    error = set(error, location, BackendError::at_location);
    match RemoteCause::chain(parts.sources.into_iter().map(Into::into).collect()) {
        Some(cause) => error.with_source(cause),
        None => error,
    }
}

/// Sets a part of `error` if the other side sent it.
fn set(
    error: BackendError,
    part: Option<RString>,
    setter: fn(BackendError, String) -> BackendError,
) -> BackendError {
    match part {
        Some(part) => setter(error, part.into_string()),
        None => error,
    }
}

/// A cause that came from another binary. Only its message crosses.
#[derive(Debug)]
struct RemoteCause {
    message: String,
    source: Option<Box<RemoteCause>>,
}

impl RemoteCause {
    /// Creates a chain of `messages`, the nearest cause first.
    fn chain(messages: Vec<String>) -> Option<Box<Self>> {
        messages
            .into_iter()
            .rev()
            .fold(None, |source, message| Some(Box::new(RemoteCause { message, source })))
    }
}

impl fmt::Display for RemoteCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for RemoteCause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}
