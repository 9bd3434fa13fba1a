//! Calls of cached functions that answer one value.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::{CreateError, RegionError};
use crate::region::{CallOptions, ShouldCache};
use crate::shorten::Shortened;
use crate::value::CacheValue;

/// How far a call has come, for the case that the region fails.
enum Progress<A, T> {
    /// The function was not called; here is what it takes.
    Waiting(A),
    /// It was called.
    Called,
    /// It has answered.
    Made(T),
}

impl<A, T> Progress<A, T> {
    /// What the function takes, for the one who calls it.
    fn begin(&mut self) -> Option<A> {
        match std::mem::replace(self, Progress::Called) {
            Progress::Waiting(arguments) => Some(arguments),
            Progress::Called | Progress::Made(_) => None,
        }
    }

    /// What the function answers, whatever the region said.
    fn end<E>(self, original: impl FnOnce(A) -> Result<T, E>) -> Option<Result<T, E>> {
        match self {
            Progress::Waiting(arguments) => Some(original(arguments)),
            Progress::Made(value) => Some(Ok(value)),
            Progress::Called => None,
        }
    }
}

/// The value for `key`, which `original` makes of `arguments` when it is missing or stale. If the region fails, the
/// function is called without it, as it was before it was cached.
#[inline]
pub fn evaluate<A, T: CacheValue, E: fmt::Display, P: ShouldCache<T>>(
    call: CallOptions<'_, P>,
    key: &str,
    arguments: A,
    mut original: impl FnMut(A) -> Result<T, E>,
) -> Result<T, E> {
    let region = call.region().name();
    let mut progress = Progress::Waiting(arguments);
    let found = call.try_get_or_create(key, || {
        let value = original(progress.begin().expect(ONCE))?;
        progress = Progress::Made(value.clone());
        Ok(value)
    });
    match found {
        Ok(value) => Ok(value),
        Err(CreateError::Creator(error)) => Err(error),
        Err(CreateError::Region(error)) => {
            tell(region, &key, &error);
            progress.end(original).expect(ANSWERED)
        }
        Err(CreateError::Shared(failure)) => {
            tell(region, &key, &failure);
            progress.end(original).expect(ANSWERED)
        }
    }
}

/// A creator is called at most once.
const ONCE: &str = "the function is called once";
/// A region that fails has not called the creator, or has its value; the creator's own error is no failure of its.
const ANSWERED: &str = "the function was not called, or has answered";

/// As [`evaluate`], of a function that cannot fail.
#[inline]
pub fn evaluate_sure<A, T: CacheValue, P: ShouldCache<T>>(
    call: CallOptions<'_, P>,
    key: &str,
    arguments: A,
    mut original: impl FnMut(A) -> T,
) -> T {
    let Ok(value) = evaluate(call, key, arguments, |arguments| Ok::<T, Infallible>(original(arguments)));
    value
}

/// As [`evaluate`], where the region's runner may have the call, which thus owns what it uses.
pub fn evaluate_in_background<A, T, E, P>(
    call: CallOptions<'_, P>,
    key: &str,
    arguments: A,
    original: impl Fn(A) -> Result<T, E> + Clone + Send + 'static,
) -> Result<T, E>
where
    A: Send + 'static,
    T: CacheValue,
    E: fmt::Debug + fmt::Display + 'static,
    P: ShouldCache<T> + Send + 'static,
{
    let region = call.region().name();
    let progress = Arc::new(Mutex::new(Progress::Waiting(arguments)));
    let (calling, called) = (Arc::clone(&progress), original.clone());
    let found = call.background().try_get_or_create(key, move || {
        let arguments = calling.lock().begin().expect(ONCE);
        let value = called(arguments)?;
        *calling.lock() = Progress::Made(value.clone());
        Ok(value)
    });
    match found {
        Ok(value) => Ok(value),
        Err(CreateError::Creator(error)) => Err(error),
        Err(CreateError::Region(error)) => {
            tell(region, &key, &error);
            let progress = std::mem::replace(&mut *progress.lock(), Progress::Called);
            progress.end(original).expect(ANSWERED)
        }
        Err(CreateError::Shared(failure)) => {
            tell(region, &key, &failure);
            let progress = std::mem::replace(&mut *progress.lock(), Progress::Called);
            progress.end(original).expect(ANSWERED)
        }
    }
}

/// As [`evaluate_in_background`], of a function that cannot fail.
pub fn evaluate_sure_in_background<A, T, P>(
    call: CallOptions<'_, P>,
    key: &str,
    arguments: A,
    original: impl Fn(A) -> T + Clone + Send + 'static,
) -> T
where
    A: Send + 'static,
    T: CacheValue,
    P: ShouldCache<T> + Send + 'static,
{
    let original = move |arguments| Ok::<T, Infallible>(original(arguments));
    let Ok(value) = evaluate_in_background(call, key, arguments, original);
    value
}

/// Calls `original` whatever is stored, and stores what it answers.
///
/// # Errors
/// [`CreateError::Creator`] with the function's own error; otherwise as [`CacheRegion::set`](crate::CacheRegion::set).
pub fn refresh<T: CacheValue, E, P: ShouldCache<T>>(
    call: CallOptions<'_, P>,
    key: &str,
    original: impl FnOnce() -> Result<T, E>,
) -> Result<T, CreateError<E>> {
    let (call, predicate) = call.apart();
    let value = original().map_err(CreateError::Creator)?;
    if predicate.should_cache(&value) {
        call.region().set(key, value.clone())?;
    }
    Ok(value)
}

/// As [`refresh`], of a function that cannot fail.
///
/// # Errors
/// As [`CacheRegion::set`](crate::CacheRegion::set).
pub fn refresh_sure<T: CacheValue, P: ShouldCache<T>>(
    call: CallOptions<'_, P>,
    key: &str,
    original: impl FnOnce() -> T,
) -> Result<T, RegionError> {
    refresh(call, key, || Ok::<T, Infallible>(original())).map_err(CreateError::into_region)
}

/// Says that a function is evaluated without its region.
#[cold]
pub(super) fn tell(region: &str, keys: &dyn fmt::Debug, error: &(dyn Error + 'static)) {
    let key = Shortened(keys);
    tracing::warn!(region, %key, error, "the cache failed, and a function is evaluated without it");
}
