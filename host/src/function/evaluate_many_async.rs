//! Calls of cached asynchronous functions that return many values.
//!
//! The functions take and return owned keys, because a future of theirs must not borrow from the closure that makes it.
//! The types `V` of one value and `N` of known values are parameters, so that no type in a future is a projection of the type
//! of a map and that of its keys. The compiler would not find the future `Send` if both contain one lifetime.
//!
//! The `others` are the arguments that are not keys. They are cloned, because a call may create values more than once.

use std::collections::HashMap;

use super::evaluate_many::{by_key, entries};
use super::fallback::unless_failed;
use super::fallibility::Fallibility;
use super::found::Found;
use super::many_values::ManyValues;
use super::should_cache::{FilteredCall, ShouldCache};
use crate::created::Created;
use crate::error::{CreateError, RegionError};
use crate::region::CallOptions;
use crate::value::CacheValue;

/// Returns the results of the cached function `original`, awaiting it with missing or stale keys.
///
/// If the region fails, this logs a warning and awaits the function as if it were not cached.
pub async fn evaluate_many_async_as<O, R, K, V, A, P, Fut>(
    call: FilteredCall<'_, P>,
    keys: &[String],
    arguments: &[K],
    others: A,
    mut original: impl FnMut(A, Vec<K>) -> Fut,
) -> R
where
    O: Fallibility<R, Value: ManyValues<K, Value = V>>,
    K: Clone,
    V: CacheValue,
    A: Clone,
    P: ShouldCache<V>,
    Fut: Future<Output = (R, Vec<K>)>,
{
    let region = call.options.region_name();
    let called = |missing| original(others.clone(), missing);
    // Boxed, so that a function may call itself.
    let found = Box::pin(try_evaluate_many_async::<O, _, _, _, _, _>(call, keys, arguments, called)).await;
    let result = unless_failed(found, region, &keys);
    match result {
        Some(result) => O::returned(result),
        None => Box::pin(original(others, arguments.to_vec())).await.0,
    }
}

/// Returns the values for `keys`, awaiting `original` with the keys whose values are missing or stale.
async fn try_evaluate_many_async<O, R, K, V, P, Fut>(
    call: FilteredCall<'_, P>,
    keys: &[String],
    arguments: &[K],
    mut original: impl FnMut(Vec<K>) -> Fut,
) -> Result<O::Value, CreateError<O::Error>>
where
    O: Fallibility<R, Value: ManyValues<K, Value = V>>,
    K: Clone,
    V: CacheValue,
    P: ShouldCache<V>,
    Fut: Future<Output = (R, Vec<K>)>,
{
    let FilteredCall { options, predicate } = call;
    let (by_key, predicate) = (by_key(options.region_name(), keys, arguments)?, &predicate);
    let creator = |keys: Vec<String>| {
        let missing = keys.iter().filter_map(|key| by_key.get(key.as_str()).copied().cloned());
        let made = original(missing.collect());
        async move {
            let (made, missing) = made.await;
            O::result(made).map(|made| decided(&keys, made, &missing, predicate))
        }
    };
    let found = options.get_or_decide_multi_async(keys, creator).await?;
    Ok(ManyValues::found(arguments, found.into_iter().map(|Found(value)| value)))
}

/// Returns what the cached function `original` returns, awaiting it in a task of its own.
///
/// The function runs to its end even if the caller is dropped. If the region fails, or if its runtime drops the task, this
/// logs a warning and awaits the function as if it were not cached.
pub async fn evaluate_many_detached_as<O, R, K, V, A, P, Fut>(
    call: FilteredCall<'_, P>,
    keys: &[String],
    arguments: &[K],
    others: A,
    original: impl FnMut(A, Vec<K>) -> Fut + Clone + Send + 'static,
) -> R
where
    O: Fallibility<R, Value: ManyValues<K, Value = V>, Error: Send + 'static>,
    K: Clone + Send + Sync + 'static,
    V: CacheValue,
    A: Clone + Send + 'static,
    P: ShouldCache<V> + Clone + Send + 'static,
    Fut: Future<Output = (R, Vec<K>)> + Send + 'static,
{
    let region = call.options.region_name();
    let (mut called, owned) = (original.clone(), others.clone());
    let called = move |missing| called(owned.clone(), missing);
    let found = try_evaluate_many_detached::<O, _, _, _, _, _>(call, keys, arguments, called).await;
    let result = unless_failed(found, region, &keys);
    match result {
        Some(result) => O::returned(result),
        None => {
            let mut original = original;
            Box::pin(original(others, arguments.to_vec())).await.0
        }
    }
}

/// Returns the values for `keys` like [`try_evaluate_many_async`], awaiting `original` in a task of its own.
async fn try_evaluate_many_detached<O, R, K, V, P, Fut>(
    call: FilteredCall<'_, P>,
    keys: &[String],
    arguments: &[K],
    mut original: impl FnMut(Vec<K>) -> Fut + Send + 'static,
) -> Result<O::Value, CreateError<O::Error>>
where
    O: Fallibility<R, Value: ManyValues<K, Value = V>, Error: Send + 'static>,
    K: Clone + Send + Sync + 'static,
    V: CacheValue,
    P: ShouldCache<V> + Clone + Send + 'static,
    Fut: Future<Output = (R, Vec<K>)> + Send + 'static,
{
    let FilteredCall { options, predicate } = call;
    let by_key = by_key(options.region_name(), keys, arguments)?;
    let owned = by_key.into_iter().map(|(key, argument)| (key.to_owned(), argument.clone()));
    let owned: HashMap<String, K> = owned.collect();
    let creator = move |keys: Vec<String>| {
        let missing = keys.iter().filter_map(|key| owned.get(key).cloned());
        let (made, predicate) = (original(missing.collect()), predicate.clone());
        async move {
            let (made, missing) = made.await;
            O::result(made).map(|made| decided(&keys, made, &missing, &predicate))
        }
    };
    let found = options.detach().get_or_decide_multi_async(keys, creator).await?;
    Ok(ManyValues::found(arguments, found.into_iter().map(|Found(value)| value)))
}

/// Returns the decisions on the values `made`, which a function made for `missing` under `keys`.
fn decided<K, M: ManyValues<K>>(
    keys: &[String],
    made: M,
    missing: &[K],
    predicate: &impl ShouldCache<M::Value>,
) -> Vec<Created<Found<M::Value>>> {
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    Found::decide_all(&keys, made.for_each(missing), predicate)
}

/// Returns the cached values for `keys`.
///
/// # Errors
/// See [`CacheRegion::get_multi`](crate::CacheRegion::get_multi).
pub async fn get_many_async<K, V, N, M>(
    call: CallOptions<'_>,
    keys: &[String],
    arguments: &[K],
) -> Result<N, RegionError>
where
    V: CacheValue,
    M: ManyValues<K, Value = V, Known = N>,
{
    Ok(M::known(arguments, call.get_multi_async(keys).await?))
}

/// Awaits `original` in any case, stores its values, and returns them.
///
/// The entry of a key that a map leaves out does not change.
///
/// # Errors
/// Returns the function's own error, and [`RegionError::CreatorCount`] if it does not return one value per key. See
/// [`CacheRegion::set_multi`](crate::CacheRegion::set_multi) for the others.
pub async fn refresh_many_async_as<O, R, K, V, P>(
    call: FilteredCall<'_, P>,
    keys: Vec<String>,
    arguments: &[K],
    original: impl Future<Output = R>,
) -> Result<O::Value, O::Failure>
where
    O: Fallibility<R, Value: ManyValues<K, Value = V>>,
    V: CacheValue,
    P: ShouldCache<V>,
{
    let made = O::result(original.await).map_err(|error| O::failure(CreateError::Creator(error)))?;
    let failed = |error| O::failure(CreateError::Region(error));
    let FilteredCall { options, predicate } = call;
    let (values, entries) =
        entries(options.region_name(), keys, arguments, made, &predicate).map_err(failed)?;
    options.set_multi_async(entries).await.map_err(failed)?;
    Ok(ManyValues::found(arguments, values.into_iter()))
}
