//! What a cached function does if its region fails: it is evaluated as if it were not cached.

use std::error::Error;
use std::fmt;

use crate::error::CreateError;
use crate::shorten::Shortened;

/// Returns the result of a region's call. If the region failed, logs a warning and returns the result of `evaluate`.
///
/// # Errors
/// Returns the function's own error.
pub(super) fn or_evaluate<T, E>(
    result: Result<T, CreateError<E>>,
    region: &str,
    keys: &dyn fmt::Debug,
    evaluate: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    unless_failed(result, region, keys).unwrap_or_else(evaluate)
}

/// Returns the result of a region's call, or `None` if the region failed, which is logged.
pub(super) fn unless_failed<T, E>(
    result: Result<T, CreateError<E>>,
    region: &str,
    keys: &dyn fmt::Debug,
) -> Option<Result<T, E>> {
    match result {
        Ok(value) => return Some(Ok(value)),
        Err(CreateError::Creator(error)) => return Some(Err(error)),
        Err(CreateError::Region(error)) => log_failure(region, keys, &error),
        Err(CreateError::Shared(failure)) => log_failure(region, keys, &failure),
    }
    None
}

/// Logs that a function is evaluated without its region.
#[cold]
fn log_failure(region: &str, keys: &dyn fmt::Debug, error: &(dyn Error + 'static)) {
    let key = Shortened(keys);
    tracing::warn!(region, %key, error, "the cache failed; evaluating the function without it");
}
