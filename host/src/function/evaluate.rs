//! Calls of cached functions that return one value.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use super::fallback::or_evaluate;
use super::fallibility::Fallibility;
use super::progress::{CALLED_OR_RETURNED, ONCE, Progress};
use super::should_cache::{FilteredCall, ShouldCache, decide};
use crate::error::CreateError;
use crate::region::CallOptions;
use crate::value::CacheValue;

/// Returns the value for `key`, calling `original` with `arguments` if it is missing or stale.
///
/// If the region fails, this logs a warning and calls the function as if it were not cached.
///
/// # Errors
/// Returns the error of `original`.
#[inline]
pub fn evaluate<A, T: CacheValue, E: fmt::Display>(
    call: CallOptions<'_>,
    key: &str,
    arguments: A,
    original: impl FnMut(A) -> Result<T, E>,
) -> Result<T, E> {
    evaluate_filtered(FilteredCall::all(call), key, arguments, original)
}

/// Returns the value for `key` like [`evaluate`]. `call` decides whether a created value is stored.
///
/// # Errors
/// Returns the error of `original`.
#[inline]
fn evaluate_filtered<A, T: CacheValue, E: fmt::Display, P: ShouldCache<T>>(
    call: FilteredCall<'_, P>,
    key: &str,
    arguments: A,
    mut original: impl FnMut(A) -> Result<T, E>,
) -> Result<T, E> {
    let FilteredCall { options, predicate } = call;
    let region = options.region_name();
    let mut progress = Progress::Waiting(arguments);
    let found = options.get_or_decide(key, || {
        let value = original(progress.begin().expect(ONCE))?;
        progress = Progress::Made(value.clone());
        Ok(decide(key, value, &predicate))
    });
    or_evaluate(found, region, &key, || progress.end(original).expect(CALLED_OR_RETURNED))
}

/// Returns the result of `original`, a cached function. Calls it if the value is missing or stale.
///
/// If the region fails, this logs a warning and calls the function as if it were not cached.
#[inline]
pub fn evaluate_as<O, R, A, P>(
    call: FilteredCall<'_, P>,
    key: &str,
    arguments: A,
    mut original: impl FnMut(A) -> R,
) -> R
where
    O: Fallibility<R, Value: CacheValue>,
    P: ShouldCache<O::Value>,
{
    O::returned(evaluate_filtered(call, key, arguments, |arguments| O::result(original(arguments))))
}

/// Returns what the cached function `original` returns, letting the region's runner replace a stale value.
///
/// If the region fails, this logs a warning and calls the function as if it were not cached. The hard limit of
/// `creator_timeout` does not apply: the arguments have gone to the runner, so that the caller could not call the function.
pub fn evaluate_in_background_as<O, R, A, P>(
    call: FilteredCall<'_, P>,
    key: &str,
    arguments: A,
    original: impl Fn(A) -> R + Clone + Send + 'static,
) -> R
where
    O: Fallibility<R, Value: CacheValue, Error: fmt::Debug + Send + 'static>,
    A: Send + 'static,
    P: ShouldCache<O::Value> + Send + 'static,
{
    O::returned(evaluate_in_background(call, key, arguments, move |arguments| O::result(original(arguments))))
}

/// Returns the value for `key` like [`evaluate_filtered`], letting the region's runner replace a stale value.
fn evaluate_in_background<A, T, E, P>(
    call: FilteredCall<'_, P>,
    key: &str,
    arguments: A,
    original: impl Fn(A) -> Result<T, E> + Clone + Send + 'static,
) -> Result<T, E>
where
    A: Send + 'static,
    T: CacheValue,
    E: fmt::Debug + fmt::Display + Send + 'static,
    P: ShouldCache<T> + Send + 'static,
{
    let FilteredCall { options, predicate } = call;
    let region = options.region_name();
    let progress = Arc::new(Mutex::new(Progress::Waiting(arguments)));
    let (calling, called, created) = (Arc::clone(&progress), original.clone(), key.to_owned());
    let found = options.without_hard_limit().background().get_or_decide(key, move || {
        let arguments = calling.lock().begin().expect(ONCE);
        let value = called(arguments)?;
        *calling.lock() = Progress::Made(value.clone());
        Ok(decide(&created, value, &predicate))
    });
    or_evaluate(found, region, &key, || {
        let progress = std::mem::replace(&mut *progress.lock(), Progress::Called);
        progress.end(original).expect(CALLED_OR_RETURNED)
    })
}

/// Calls `original` in any case, stores its value if `call` accepts it, and returns it.
///
/// # Errors
/// Returns the function's own error. See [`CacheRegion::set`](crate::CacheRegion::set) for the others.
pub fn refresh_as<O, R, P>(
    call: FilteredCall<'_, P>,
    key: &str,
    original: impl FnOnce() -> R,
) -> Result<O::Value, O::Failure>
where
    O: Fallibility<R, Value: CacheValue>,
    P: ShouldCache<O::Value>,
{
    let FilteredCall { options, predicate } = call;
    let value = O::result(original()).map_err(|error| O::failure(CreateError::Creator(error)))?;
    if predicate.should_cache(key, &value) {
        options.set(key, value.clone()).map_err(|error| O::failure(CreateError::Region(error)))?;
    }
    Ok(value)
}
