//! Errors on their way across.

use std::error::Error;

use dogpile_abi::std_types::ROption;
use dogpile_abi::{AbiError, AbiErrorParts};

use crate::error::{BackendError, ErrorKind, RemoteCause};

/// How many causes of causes cross; a longer chain is one that loops.
const MAX_CAUSES: usize = 16;

/// What `error` says, in stable layout.
pub(super) fn to_abi(error: &BackendError) -> AbiError {
    AbiError::new(AbiErrorParts {
        kind: error.kind().name().into(),
        operation: error.operation().map(Into::into).into(),
        key: error.key().map(Into::into).into(),
        message: error.to_string().into(),
        sources: causes(error).map(|cause| cause.to_string().into()).collect(),
        panicked: false,
    })
}

/// The causes of `error`, the nearest first.
fn causes(error: &BackendError) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
    .take(MAX_CAUSES)
}

/// The error that `error`, which came from `origin`, says.
pub(super) fn from_abi(error: AbiError, origin: &str) -> BackendError {
    let parts = error.into_parts();
    if parts.panicked {
        let message = format!("{origin} panicked: {}", parts.message);
        return BackendError::new(ErrorKind::Panicked, message);
    }
    let mut error = BackendError::new(ErrorKind::from_name(&parts.kind), parts.message.into_string());
    if let ROption::RSome(operation) = parts.operation {
        error = error.during(operation.into_string());
    }
    if let ROption::RSome(key) = parts.key {
        error = error.for_key(key.into_string());
    }
    match RemoteCause::chain(parts.sources.into_iter().map(Into::into).collect()) {
        Some(cause) => error.with_source(cause),
        None => error,
    }
}
