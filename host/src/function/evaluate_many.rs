//! Calls of cached functions that return many values.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::fallback::or_evaluate;
use super::fallibility::Fallibility;
use super::found::Found;
use super::many_values::ManyValues;
use super::should_cache::{FilteredCall, ShouldCache};
use crate::error::{CreateError, RegionError};
use crate::region::CallOptions;

/// Returns a map from each key to its argument.
pub(super) fn by_key<'k, K>(
    region: &str,
    keys: &'k [String],
    arguments: &'k [K],
) -> Result<HashMap<&'k str, &'k K>, RegionError> {
    if keys.len() == arguments.len() {
        return Ok(keys.iter().map(String::as_str).zip(arguments).collect());
    }
    let problem = format!(
        "the key generator returned {} keys for {} arguments; return one key per argument",
        keys.len(),
        arguments.len()
    );
    Err(RegionError::Setting { region: region.to_owned(), setting: "function_multi_key_generator", problem })
}

/// Returns the values for `keys`, calling `original` with the arguments whose values are missing or stale.
fn try_evaluate_many<K: Clone, M: ManyValues<K>, E: fmt::Display, P: ShouldCache<M::Value>>(
    call: FilteredCall<'_, P>,
    keys: &[String],
    arguments: &[K],
    mut original: impl FnMut(&[K]) -> Result<M, E>,
) -> Result<M, CreateError<E>> {
    let by_key = by_key(call.options.region_name(), keys, arguments)?;
    let FilteredCall { options, predicate } = call;
    let found = options.get_or_decide_multi(keys, |keys| {
        let missing: Vec<K> = keys.iter().filter_map(|key| by_key.get(key).copied().cloned()).collect();
        original(&missing).map(|made| Found::decide_all(keys, made.for_each(&missing), &predicate))
    })?;
    Ok(M::found(arguments, found.into_iter().map(|Found(value)| value)))
}

/// Returns the results of the cached function `original`, calling it with missing or stale arguments.
///
/// If the region fails, this logs a warning and calls the function as if it were not cached.
pub fn evaluate_many_as<O, R, K, P>(
    call: FilteredCall<'_, P>,
    keys: &[String],
    arguments: &[K],
    mut original: impl FnMut(&[K]) -> R,
) -> R
where
    O: Fallibility<R, Value: ManyValues<K>>,
    K: Clone,
    P: ShouldCache<<O::Value as ManyValues<K>>::Value>,
{
    let mut original = |arguments: &[K]| O::result(original(arguments));
    let region = call.options.region_name();
    let found = try_evaluate_many(call, keys, arguments, &mut original);
    O::returned(or_evaluate(found, region, &keys, || original(arguments)))
}

/// Returns what the cached function `original` returns, letting the region's runner replace stale values.
///
/// If the region fails, this logs a warning and calls the function as if it were not cached.
pub fn evaluate_many_in_background_as<O, R, K, P>(
    call: FilteredCall<'_, P>,
    keys: &[String],
    arguments: &[K],
    original: impl Fn(&[K]) -> R + Clone + Send + 'static,
) -> R
where
    O: Fallibility<R, Value: ManyValues<K>, Error: fmt::Debug + Send + 'static>,
    K: Clone + Send + Sync + 'static,
    P: ShouldCache<<O::Value as ManyValues<K>>::Value> + Clone + Send + 'static,
{
    let region = call.options.region_name();
    let original = move |arguments: &[K]| O::result(original(arguments));
    let found = try_evaluate_many_in_background(call, keys, arguments, original.clone());
    O::returned(or_evaluate(found, region, &keys, || original(arguments)))
}

/// Returns the values for `keys` like [`try_evaluate_many`], letting the region's runner replace stale ones.
fn try_evaluate_many_in_background<K, M, E, P>(
    call: FilteredCall<'_, P>,
    keys: &[String],
    arguments: &[K],
    original: impl Fn(&[K]) -> Result<M, E> + Clone + Send + 'static,
) -> Result<M, CreateError<E>>
where
    K: Clone + Send + Sync + 'static,
    M: ManyValues<K>,
    E: fmt::Debug + fmt::Display + Send + 'static,
    P: ShouldCache<M::Value> + Clone + Send + 'static,
{
    let FilteredCall { options, predicate } = call;
    let by_key = by_key(options.region_name(), keys, arguments)?;
    let owned = by_key.into_iter().map(|(key, argument)| (key.to_owned(), argument.clone()));
    let owned = Arc::new(owned.collect::<HashMap<String, K>>());
    let found = options.background().get_or_decide_multi(keys, move |keys| {
        let missing: Vec<K> = keys.iter().filter_map(|key| owned.get(*key).cloned()).collect();
        original(&missing).map(|made| Found::decide_all(keys, made.for_each(&missing), &predicate))
    })?;
    Ok(M::found(arguments, found.into_iter().map(|Found(value)| value)))
}

/// Returns the cached values for `keys`.
///
/// # Errors
/// See [`CacheRegion::get_multi`](crate::CacheRegion::get_multi).
pub fn get_many<K, M: ManyValues<K>>(
    call: CallOptions<'_>,
    keys: &[String],
    arguments: &[K],
) -> Result<M::Known, RegionError> {
    Ok(M::known(arguments, call.get_multi(keys)?))
}

/// Calls `original` in any case, stores its values, and returns them.
///
/// The entry of a key that a map leaves out does not change.
///
/// # Errors
/// Returns the function's own error, and [`RegionError::CreatorCount`] if it does not return one value per key. See
/// [`CacheRegion::set_multi`](crate::CacheRegion::set_multi) for the others.
pub fn refresh_many_as<O, R, K, P>(
    call: FilteredCall<'_, P>,
    keys: Vec<String>,
    arguments: &[K],
    original: impl FnOnce() -> R,
) -> Result<O::Value, O::Failure>
where
    O: Fallibility<R, Value: ManyValues<K>>,
    P: ShouldCache<<O::Value as ManyValues<K>>::Value>,
{
    let made = O::result(original()).map_err(|error| O::failure(CreateError::Creator(error)))?;
    store_many(call, keys, arguments, made).map_err(|error| O::failure(CreateError::Region(error)))
}

/// Stores the values `made` that `call` accepts, and returns them all.
fn store_many<K, M: ManyValues<K>, P: ShouldCache<M::Value>>(
    call: FilteredCall<'_, P>,
    keys: Vec<String>,
    arguments: &[K],
    made: M,
) -> Result<M, RegionError> {
    let FilteredCall { options, predicate } = call;
    let (values, entries) = entries(options.region_name(), keys, arguments, made, &predicate)?;
    options.set_multi(entries)?;
    Ok(M::found(arguments, values.into_iter()))
}

/// The values for all keys, and those of them that are stored, with their keys.
pub(super) type Entries<V> = (Vec<Option<V>>, Vec<(String, V)>);

/// Returns the values `made`, and those of them that `predicate` accepts.
///
/// # Errors
/// [`RegionError::CreatorCount`] if there is not one value per key.
pub(super) fn entries<K, M: ManyValues<K>>(
    region: &str,
    keys: Vec<String>,
    arguments: &[K],
    made: M,
    predicate: &impl ShouldCache<M::Value>,
) -> Result<Entries<M::Value>, RegionError> {
    let values = made.for_each(arguments);
    if values.len() != keys.len() {
        let (region, expected, made) = (region.to_owned(), keys.len(), values.len());
        return Err(RegionError::CreatorCount { region, expected, made });
    }
    let made = keys.into_iter().zip(&values).filter_map(|(key, value)| Some((key, value.as_ref()?)));
    let wanted = made.filter(|(key, value)| predicate.should_cache(key, value));
    let entries = wanted.map(|(key, value)| (key, value.clone())).collect();
    Ok((values, entries))
}
