//! [`ManyValues`]: the return type of a function of many keys.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};

use crate::value::CacheValue;

/// The return type of a function of many keys of type `K`.
///
/// A `Vec` has one value per key, in order. A `HashMap` or `BTreeMap` may leave keys out.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a valid return type for a function of many keys",
    label = "expected one value per key, or a map from keys to values",
    note = "return a `Vec<T>`, or a `HashMap<K, T>` or `BTreeMap<K, T>` whose keys are those of the slice"
)]
pub trait ManyValues<K>: Sized {
    /// The type of one value.
    type Value: CacheValue;
    /// The type of the cached values, read without calling the function.
    type Known;

    /// Returns one entry per key, in order; `None` marks a key that was left out.
    fn for_each(self, keys: &[K]) -> Vec<Option<Self::Value>>;

    /// Builds the return value from one entry per key.
    fn found(keys: &[K], found: impl Iterator<Item = Option<Self::Value>>) -> Self;

    /// Builds the result of a read from one cached value per key.
    fn known(keys: &[K], cached: Vec<Option<Self::Value>>) -> Self::Known;
}

/// A list of values, one per key: the type that a function of many keys returns without `asdict`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of values",
    label = "expected a `Vec<T>` with one value per key",
    note = "return a `Vec<T>`, or a `Result` of it; a function that returns a map has the setting `asdict`"
)]
pub trait ListOfValues {
    /// The type of one value.
    type Value;
    /// The type of the cached values, read without calling the function.
    type Known;
}

impl<T> ListOfValues for Vec<T> {
    type Value = T;
    type Known = Vec<Option<T>>;
}

/// A map from keys to values: the type that a function of many keys returns with `asdict`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a map of values",
    label = "expected a `HashMap<K, T>` or a `BTreeMap<K, T>`",
    note = "return a map, or a `Result` of it; a function that returns a `Vec<T>` does not have the setting `asdict`"
)]
pub trait MapOfValues {
    /// The type of one value.
    type Value;
    /// The type of the cached values, read without calling the function.
    type Known;
}

impl<K, V, S> MapOfValues for HashMap<K, V, S> {
    type Value = V;
    type Known = Self;
}

impl<K, V> MapOfValues for BTreeMap<K, V> {
    type Value = V;
    type Known = Self;
}

impl<K, T: CacheValue> ManyValues<K> for Vec<T> {
    type Value = T;
    type Known = Vec<Option<T>>;

    fn for_each(self, _keys: &[K]) -> Vec<Option<T>> {
        self.into_iter().map(Some).collect()
    }

    fn found(_keys: &[K], found: impl Iterator<Item = Option<T>>) -> Self {
        found.flatten().collect()
    }

    fn known(_keys: &[K], cached: Vec<Option<T>>) -> Vec<Option<T>> {
        cached
    }
}

macro_rules! maps {
    ($([$($parameters:tt)*] $map:ty),* $(,)?) => {$(
        impl<$($parameters)*> ManyValues<K> for $map {
            type Value = V;
            type Known = Self;

            // Clones instead of removing, because a key may be in `keys` twice.
            fn for_each(self, keys: &[K]) -> Vec<Option<V>> {
                keys.iter().map(|key| self.get(key).cloned()).collect()
            }

            fn found(keys: &[K], found: impl Iterator<Item = Option<V>>) -> Self {
                keys.iter().cloned().zip(found).filter_map(|(key, value)| Some((key, value?))).collect()
            }

            fn known(keys: &[K], cached: Vec<Option<V>>) -> Self {
                Self::found(keys, cached.into_iter())
            }
        }
    )*};
}

maps! {
    [K: Clone + Eq + Hash, V: CacheValue, S: BuildHasher + Default] HashMap<K, V, S>,
    [K: Clone + Ord, V: CacheValue] BTreeMap<K, V>,
}
