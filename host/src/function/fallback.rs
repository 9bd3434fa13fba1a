//! What a cached function does if its region fails. It is evaluated as if it were not cached.
//!
//! A function cannot return an error of its region. Under `on_backend_failure = "degrade"`, the region itself goes on
//! without its backend, so that one caller evaluates at a time and the others get its value. Under `"error"`, and for all
//! other failures of the region, each caller evaluates. So does each
//! caller to which the failure of another one is shared: a function cannot return it, and in turn they would wait too long.

use std::error::Error;
use std::fmt;

use dogpile_sdk::error_chain;

use crate::error::CreateError;
use crate::log_targets::FUNCTION;
use crate::region_limits::RegionLimits;
use crate::shorten::Shortened;

/// The limits of the warnings.
static WARNINGS: RegionLimits = RegionLimits::new();

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
        Err(CreateError::Region(error)) => log_failure(region, keys, error.server(), &error),
        Err(CreateError::Shared(failure)) => log_failure(region, keys, None, &failure),
    }
    None
}

/// Logs that a function is evaluated without its region, once in ten seconds for each region.
#[cold]
fn log_failure(region: &str, keys: &dyn fmt::Debug, server: Option<&str>, error: &(dyn Error + 'static)) {
    let Some(suppressed) = WARNINGS.pass(region) else { return };
    let (key, error) = (Shortened(keys), error_chain(error));
    tracing::warn!(target: FUNCTION, region, %key, server, %error, suppressed, "the cache failed; evaluating the function without it");
}
