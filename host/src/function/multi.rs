//! Calls of cached functions that answer many values.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::Hash;

use super::mapping::Found;
use super::single::tell;
use crate::error::{CreateError, RegionError};
use crate::region::{CallOptions, ShouldCache};
use crate::value::CacheValue;

/// The arguments that a creator is to make values of: those whose keys it was given.
fn arguments_of<K: Clone>(by_key: &HashMap<&str, &K>, keys: &[&str]) -> Vec<K> {
    keys.iter().filter_map(|key| by_key.get(key).map(|&argument| argument.clone())).collect()
}

/// Each argument by its key.
fn by_key<'k, K>(
    region: &str,
    keys: &'k [String],
    arguments: &'k [K],
) -> Result<HashMap<&'k str, &'k K>, RegionError> {
    if keys.len() == arguments.len() {
        return Ok(keys.iter().map(String::as_str).zip(arguments).collect());
    }
    let problem = format!("a key generator made {} keys of {} arguments", keys.len(), arguments.len());
    Err(RegionError::Setting { region: region.to_owned(), problem })
}

/// What `made` has for each of the `arguments`; the same for one that is there twice.
fn in_order<K: Eq + Hash, V: Clone>(
    arguments: &[K],
    made: impl IntoIterator<Item = (K, V)>,
) -> Vec<Found<V>> {
    let made: HashMap<K, V> = made.into_iter().collect();
    arguments.iter().map(|argument| Found(made.get(argument).cloned())).collect()
}

/// What was found, as a map.
fn mapping<K: Clone, V, M: FromIterator<(K, V)>>(arguments: &[K], found: Vec<Found<V>>) -> M {
    let found = arguments.iter().cloned().zip(found);
    found.filter_map(|(argument, Found(value))| Some((argument, value?))).collect()
}

/// The values for `keys`, in their order. `original` is called for those of the `arguments` whose values are
/// missing or stale.
///
/// # Errors
/// As [`CacheRegion::try_get_or_create_multi`](crate::CacheRegion::try_get_or_create_multi).
fn try_evaluate_multi<K: Clone, T: CacheValue, E, P: ShouldCache<T>>(
    call: CallOptions<'_, P>,
    keys: &[String],
    arguments: &[K],
    mut original: impl FnMut(&[K]) -> Result<Vec<T>, E>,
) -> Result<Vec<T>, CreateError<E>> {
    let by_key = by_key(call.region().name(), keys, arguments)?;
    call.try_get_or_create_multi(keys, |keys| original(&arguments_of(&by_key, keys)))
}

/// As [`try_evaluate_multi`]. If the region fails, the function is called without it, as it was before it was
/// cached.
pub fn evaluate_multi<K: Clone, T: CacheValue, E, P: ShouldCache<T>>(
    call: CallOptions<'_, P>,
    keys: &[String],
    arguments: &[K],
    mut original: impl FnMut(&[K]) -> Result<Vec<T>, E>,
) -> Result<Vec<T>, E> {
    let region = call.region().name();
    match try_evaluate_multi(call, keys, arguments, &mut original) {
        Ok(values) => Ok(values),
        Err(CreateError::Creator(error)) => Err(error),
        Err(CreateError::Region(error)) => {
            tell(region, &keys, &error);
            original(arguments)
        }
    }
}

/// As [`evaluate_multi`], of a function that cannot fail.
pub fn evaluate_multi_sure<K: Clone, T: CacheValue, P: ShouldCache<T>>(
    call: CallOptions<'_, P>,
    keys: &[String],
    arguments: &[K],
    mut original: impl FnMut(&[K]) -> Vec<T>,
) -> Vec<T> {
    let original = |arguments: &[K]| Ok::<Vec<T>, Infallible>(original(arguments));
    let Ok(values) = evaluate_multi(call, keys, arguments, original);
    values
}

/// As [`try_evaluate_multi`], of a function that answers a map. What it leaves out is left out, and not stored.
///
/// # Errors
/// As there.
fn try_evaluate_mapping<K, V, M, E, P>(
    call: CallOptions<'_, P>,
    keys: &[String],
    arguments: &[K],
    mut original: impl FnMut(&[K]) -> Result<M, E>,
) -> Result<M, CreateError<E>>
where
    K: Clone + Eq + Hash,
    V: CacheValue,
    M: IntoIterator<Item = (K, V)> + FromIterator<(K, V)>,
    P: ShouldCache<V>,
{
    let found = try_evaluate_multi(Found::<V>::wanted_by(call), keys, arguments, |arguments| {
        Ok(in_order(arguments, original(arguments)?))
    })?;
    Ok(mapping(arguments, found))
}

/// As [`try_evaluate_mapping`]. If the region fails, the function is called without it, as it was before it was
/// cached.
pub fn evaluate_mapping<K, V, M, E, P>(
    call: CallOptions<'_, P>,
    keys: &[String],
    arguments: &[K],
    mut original: impl FnMut(&[K]) -> Result<M, E>,
) -> Result<M, E>
where
    K: Clone + Eq + Hash,
    V: CacheValue,
    M: IntoIterator<Item = (K, V)> + FromIterator<(K, V)>,
    P: ShouldCache<V>,
{
    let region = call.region().name();
    match try_evaluate_mapping(call, keys, arguments, &mut original) {
        Ok(values) => Ok(values),
        Err(CreateError::Creator(error)) => Err(error),
        Err(CreateError::Region(error)) => {
            tell(region, &keys, &error);
            original(arguments)
        }
    }
}

/// As [`evaluate_mapping`], of a function that cannot fail.
pub fn evaluate_mapping_sure<K, V, M, P>(
    call: CallOptions<'_, P>,
    keys: &[String],
    arguments: &[K],
    mut original: impl FnMut(&[K]) -> M,
) -> M
where
    K: Clone + Eq + Hash,
    V: CacheValue,
    M: IntoIterator<Item = (K, V)> + FromIterator<(K, V)>,
    P: ShouldCache<V>,
{
    let original = |arguments: &[K]| Ok::<M, Infallible>(original(arguments));
    let Ok(values) = evaluate_mapping(call, keys, arguments, original);
    values
}

/// What is cached of a function that answers a map.
///
/// # Errors
/// As [`CacheRegion::get_multi`](crate::CacheRegion::get_multi).
pub fn get_mapping<K: Clone, V: CacheValue, M: FromIterator<(K, V)>>(
    call: CallOptions<'_>,
    keys: &[String],
    arguments: &[K],
) -> Result<M, RegionError> {
    let found = call.get_multi::<V>(keys)?;
    Ok(arguments
        .iter()
        .cloned()
        .zip(found)
        .filter_map(|(argument, value)| Some((argument, value?)))
        .collect())
}

/// Calls `original` whatever is stored, and stores the values that it answers.
///
/// # Errors
/// [`CreateError::Creator`] with the function's own error; [`RegionError::CreatorCount`] if it answers more or fewer
/// values than there are keys; otherwise as [`CacheRegion::set_multi`](crate::CacheRegion::set_multi).
pub fn refresh_multi<K, T: CacheValue, E, P: ShouldCache<T>>(
    call: CallOptions<'_, P>,
    keys: Vec<String>,
    _arguments: &[K],
    original: impl FnOnce() -> Result<Vec<T>, E>,
) -> Result<Vec<T>, CreateError<E>> {
    let (call, predicate) = call.apart();
    let values = original().map_err(CreateError::Creator)?;
    if values.len() != keys.len() {
        let (region, expected, made) = (call.region().name().to_owned(), keys.len(), values.len());
        return Err(RegionError::CreatorCount { region, expected, made }.into());
    }
    let wanted = keys.into_iter().zip(&values).filter(|(_, value)| predicate.should_cache(value));
    call.region().set_multi(wanted.map(|(key, value)| (key, value.clone())))?;
    Ok(values)
}

/// As [`refresh_multi`], of a function that cannot fail.
///
/// # Errors
/// As there.
pub fn refresh_multi_sure<K, T: CacheValue, P: ShouldCache<T>>(
    call: CallOptions<'_, P>,
    keys: Vec<String>,
    arguments: &[K],
    original: impl FnOnce() -> Vec<T>,
) -> Result<Vec<T>, RegionError> {
    let original = || Ok::<Vec<T>, Infallible>(original());
    refresh_multi(call, keys, arguments, original).map_err(CreateError::into_region)
}

/// As [`refresh_multi`], of a function that answers a map. What it leaves out is left as it was.
///
/// # Errors
/// As there.
pub fn refresh_mapping<K, V, M, E, P>(
    call: CallOptions<'_, P>,
    keys: Vec<String>,
    arguments: &[K],
    original: impl FnOnce() -> Result<M, E>,
) -> Result<M, CreateError<E>>
where
    K: Clone + Eq + Hash,
    V: CacheValue,
    M: IntoIterator<Item = (K, V)> + FromIterator<(K, V)>,
    P: ShouldCache<V>,
{
    let made =
        refresh_multi(Found::<V>::wanted_by(call), keys, arguments, || Ok(in_order(arguments, original()?)))?;
    Ok(mapping(arguments, made))
}

/// As [`refresh_mapping`], of a function that cannot fail.
///
/// # Errors
/// As there.
pub fn refresh_mapping_sure<K, V, M, P>(
    call: CallOptions<'_, P>,
    keys: Vec<String>,
    arguments: &[K],
    original: impl FnOnce() -> M,
) -> Result<M, RegionError>
where
    K: Clone + Eq + Hash,
    V: CacheValue,
    M: IntoIterator<Item = (K, V)> + FromIterator<(K, V)>,
    P: ShouldCache<V>,
{
    let original = || Ok::<M, Infallible>(original());
    refresh_mapping(call, keys, arguments, original).map_err(CreateError::into_region)
}
