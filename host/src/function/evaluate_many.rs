//! Calls of cached functions that return many values.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use super::fallback::or_evaluate;
use super::found::Found;
use super::many_values::ManyValues;
use super::should_cache::{FilteredCall, ShouldCache};
use crate::error::{CreateError, RegionError};
use crate::region::CallOptions;

/// Returns a map from each key to its argument.
fn by_key<'k, K>(
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
        original(&missing).map(|made| Found::decide_all(made.for_each(&missing), &predicate))
    })?;
    Ok(M::found(arguments, found.into_iter().map(|Found(value)| value)))
}

/// Returns the values for `keys`, calling `original` with the arguments whose values are missing or stale.
///
/// If the region fails, this logs a warning and calls the function as if it were not cached.
///
/// # Errors
/// Returns the error of `original`.
pub fn evaluate_many<K: Clone, M: ManyValues<K>, E: fmt::Display, P: ShouldCache<M::Value>>(
    call: FilteredCall<'_, P>,
    keys: &[String],
    arguments: &[K],
    mut original: impl FnMut(&[K]) -> Result<M, E>,
) -> Result<M, E> {
    let region = call.options.region_name();
    let found = try_evaluate_many(call, keys, arguments, &mut original);
    or_evaluate(found, region, &keys, || original(arguments))
}

/// Returns the values for `keys` like [`evaluate_many`], letting the region's runner replace stale ones.
///
/// # Errors
/// Returns the error of `original`.
pub fn evaluate_many_in_background<K, M, E, P>(
    call: FilteredCall<'_, P>,
    keys: &[String],
    arguments: &[K],
    original: impl Fn(&[K]) -> Result<M, E> + Clone + Send + 'static,
) -> Result<M, E>
where
    K: Clone + Send + Sync + 'static,
    M: ManyValues<K>,
    E: fmt::Debug + fmt::Display + 'static,
    P: ShouldCache<M::Value> + Clone + Send + 'static,
{
    let FilteredCall { options, predicate } = call;
    let region = options.region_name();
    let found = by_key(region, keys, arguments).map_err(CreateError::Region).and_then(|by_key| {
        let owned = by_key.into_iter().map(|(key, argument)| (key.to_owned(), argument.clone()));
        let (owned, original) = (Arc::new(owned.collect::<HashMap<String, K>>()), original.clone());
        options.background().get_or_decide_multi(keys, move |keys| {
            let missing: Vec<K> = keys.iter().filter_map(|key| owned.get(*key).cloned()).collect();
            original(&missing).map(|made| Found::decide_all(made.for_each(&missing), &predicate))
        })
    });
    let found = found.map(|found| M::found(arguments, found.into_iter().map(|Found(value)| value)));
    or_evaluate(found, region, &keys, || original(arguments))
}

/// Returns the values for `keys` like [`evaluate_many_in_background`], from a function that cannot fail.
pub fn evaluate_many_sure_in_background<K, M, P>(
    call: FilteredCall<'_, P>,
    keys: &[String],
    arguments: &[K],
    original: impl Fn(&[K]) -> M + Clone + Send + 'static,
) -> M
where
    K: Clone + Send + Sync + 'static,
    M: ManyValues<K>,
    P: ShouldCache<M::Value> + Clone + Send + 'static,
{
    let original = move |arguments: &[K]| Ok::<M, Infallible>(original(arguments));
    let Ok(values) = evaluate_many_in_background(call, keys, arguments, original);
    values
}

/// Returns the values for `keys` like [`evaluate_many`], from a function that cannot fail.
pub fn evaluate_many_sure<K: Clone, M: ManyValues<K>, P: ShouldCache<M::Value>>(
    call: FilteredCall<'_, P>,
    keys: &[String],
    arguments: &[K],
    mut original: impl FnMut(&[K]) -> M,
) -> M {
    let original = |arguments: &[K]| Ok::<M, Infallible>(original(arguments));
    let Ok(values) = evaluate_many(call, keys, arguments, original);
    values
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
/// Returns [`CreateError::Creator`] with the function's own error, and [`RegionError::CreatorCount`] if it does not
/// return one value per key. See [`CacheRegion::set_multi`](crate::CacheRegion::set_multi) for the others.
pub fn refresh_many<K, M: ManyValues<K>, E, P: ShouldCache<M::Value>>(
    call: FilteredCall<'_, P>,
    keys: Vec<String>,
    arguments: &[K],
    original: impl FnOnce() -> Result<M, E>,
) -> Result<M, CreateError<E>> {
    let FilteredCall { options, predicate } = call;
    let values = original().map_err(CreateError::Creator)?.for_each(arguments);
    if values.len() != keys.len() {
        let (region, expected, made) = (options.region_name().to_owned(), keys.len(), values.len());
        return Err(RegionError::CreatorCount { region, expected, made }.into());
    }
    let made = keys.into_iter().zip(&values).filter_map(|(key, value)| Some((key, value.as_ref()?)));
    let wanted = made.filter(|(_, value)| predicate.should_cache(value));
    options.set_multi(wanted.map(|(key, value)| (key, value.clone())))?;
    Ok(M::found(arguments, values.into_iter()))
}

/// Calls a function that cannot fail and stores its values like [`refresh_many`].
///
/// # Errors
/// See [`refresh_many`].
pub fn refresh_many_sure<K, M: ManyValues<K>, P: ShouldCache<M::Value>>(
    call: FilteredCall<'_, P>,
    keys: Vec<String>,
    arguments: &[K],
    original: impl FnOnce() -> M,
) -> Result<M, RegionError> {
    let original = || Ok::<M, Infallible>(original());
    refresh_many(call, keys, arguments, original).map_err(CreateError::into_region)
}
