//! Calls of cached asynchronous functions that return one value.

use std::pin::Pin;

use super::fallback::unless_failed;
use super::fallibility::Fallibility;
use super::progress::{CALLED_OR_RETURNED, ONCE, Progress};
use super::should_cache::{FilteredCall, ShouldCache, decide};
use crate::error::CreateError;
use crate::value::CacheValue;

/// Returns the result of `original`, a cached function. Awaits it if the value is missing or stale.
///
/// If the region fails, this logs a warning and awaits the function as if it were not cached. If the region drops the creation
/// at the hard limit of `creator_timeout`, and there is no old value, this goes on with the function that was begun.
pub async fn evaluate_async_as<O, R, A, P, Fut>(
    call: FilteredCall<'_, P>,
    key: &str,
    arguments: A,
    original: impl FnOnce(A) -> Fut,
) -> R
where
    O: Fallibility<R, Value: CacheValue>,
    P: ShouldCache<O::Value>,
    Fut: Future<Output = R>,
{
    let FilteredCall { options, predicate } = call;
    let region = options.region_name();
    let mut progress = Progress::Waiting((original, arguments));
    // Boxed, so that it can outlive the creation, and so that the future of a hit stays small.
    let mut running: Option<Pin<Box<Fut>>> = None;
    let (reached, begun) = (&mut progress, &mut running);
    let creator = move || async move {
        let (original, arguments) = reached.begin().expect(ONCE);
        let result = begun.insert(Box::pin(original(arguments))).as_mut().await;
        *begun = None;
        let value = O::result(result)?;
        *reached = Progress::Made(value.clone());
        Ok(decide(key, value, &predicate))
    };
    let found = options.get_or_decide_async(key, creator).await;
    if let Some(result) = unless_failed(found, region, &key) {
        return O::returned(result);
    }
    match progress {
        // Boxed, so that a function may call itself.
        Progress::Waiting((original, arguments)) => Box::pin(original(arguments)).await,
        Progress::Made(value) => O::returned(Ok(value)),
        Progress::Called => running.expect(CALLED_OR_RETURNED).await,
    }
}

/// Returns the result of the cached function `original`. If its value is missing or stale, the function runs in a
/// task of its own.
///
/// The function runs to its end even if the caller is dropped. If the region fails, or if its runtime drops the task, this
/// logs a warning and awaits the function as if it were not cached.
pub async fn evaluate_detached_as<O, R, A, P, Fut>(
    call: FilteredCall<'_, P>,
    key: &str,
    mut arguments: A,
    original: impl FnOnce(A) -> Fut + Clone + Send + 'static,
) -> R
where
    O: Fallibility<R, Value: CacheValue, Error: Send + 'static>,
    A: Clone + Send + 'static,
    P: ShouldCache<O::Value> + Send + 'static,
    Fut: Future<Output = R> + Send + 'static,
{
    let FilteredCall { options, predicate } = call;
    let region = options.region_name();
    // Borrowed mutably, because a shared borrow is `Send` only if the arguments are `Sync`.
    let (borrowed, called) = (&mut arguments, original.clone());
    let creator = move || {
        let (arguments, key) = (borrowed.clone(), key.to_owned());
        move || async move {
            let value = O::result(called(arguments).await)?;
            Ok(decide(&key, value, &predicate))
        }
    };
    let found = options.detach().get_or_decide_async(key, creator).await;
    let result = unless_failed(found, region, &key);
    match result {
        Some(result) => O::returned(result),
        None => Box::pin(original(arguments)).await,
    }
}

/// Awaits `original` in any case, stores its value if `call` accepts it, and returns it.
///
/// # Errors
/// Returns the function's own error. See [`CacheRegion::set`](crate::CacheRegion::set) for the others.
pub async fn refresh_async_as<O, R, P>(
    call: FilteredCall<'_, P>,
    key: &str,
    original: impl Future<Output = R>,
) -> Result<O::Value, O::Failure>
where
    O: Fallibility<R, Value: CacheValue>,
    P: ShouldCache<O::Value>,
{
    let FilteredCall { options, predicate } = call;
    let value = O::result(original.await).map_err(|error| O::failure(CreateError::Creator(error)))?;
    if predicate.should_cache(key, &value) {
        let stored = options.set_async(key, value.clone()).await;
        stored.map_err(|error| O::failure(CreateError::Region(error)))?;
    }
    Ok(value)
}
