//! [`ManyValues`]: what a function of many keys returns.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};

use dogpile_sdk::Object;

use crate::region::{CallOptions, ShouldCache};
use crate::serializer::{Serializer, SerializerError};
use crate::value::CacheValue;

/// What a function of many keys `K` returns: a `Vec` with a value for each key, in their order; or a `HashMap` or
/// `BTreeMap`, which may leave keys out.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what a function of many keys returns",
    label = "neither a value for each key nor a map of keys",
    note = "return a `Vec<T>`, or a `HashMap<K, T>` or `BTreeMap<K, T>` whose keys are those of the slice"
)]
pub trait ManyValues<K>: Sized {
    /// One of the values.
    type Value: CacheValue;
    /// What is known of keys for which nothing is evaluated.
    type Known;

    /// The value for each of `keys`.
    fn for_each(self, keys: &[K]) -> Vec<Option<Self::Value>>;

    /// The values that were found for `keys`.
    fn found(keys: &[K], found: impl Iterator<Item = Option<Self::Value>>) -> Self;

    /// The values that are cached for `keys`.
    fn known(keys: &[K], cached: Vec<Option<Self::Value>>) -> Self::Known;
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

            /// The same for a key that is there twice.
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

/// A value, or that there is none. Only a value is stored, and lies in the store as itself.
#[derive(Clone)]
pub(super) struct Found<V>(pub(super) Option<V>);

/// Stores what is there and what the function's own predicate wants.
#[derive(Clone)]
pub(super) struct Wanted<P>(P);

impl<V> Found<V> {
    /// The same call, of values that may be left out.
    pub(super) fn wanted_by<P>(call: CallOptions<'_, P>) -> CallOptions<'_, Wanted<P>> {
        let (call, predicate) = call.apart();
        call.with_predicate(Wanted(predicate))
    }
}

impl<V, P: ShouldCache<V>> ShouldCache<Found<V>> for Wanted<P> {
    fn should_cache(&self, found: &Found<V>) -> bool {
        found.0.as_ref().is_some_and(|value| self.0.should_cache(value))
    }
}

impl<V: CacheValue> CacheValue for Found<V> {
    fn serialize(&self, serializer: &dyn Serializer) -> Result<Vec<u8>, SerializerError> {
        let value = self.0.as_ref().ok_or("there is no value to store")?;
        value.serialize(serializer)
    }

    fn deserialize(bytes: &[u8], serializer: &dyn Serializer) -> Result<Self, SerializerError> {
        Ok(Found(Some(V::deserialize(bytes, serializer)?)))
    }

    fn into_object(self) -> Object {
        match self.0 {
            Some(value) => value.into_object(),
            // Nobody asks for this: it is not stored.
            None => Object::new(()),
        }
    }

    fn from_object(object: &Object) -> Option<Self> {
        V::from_object(object).map(|value| Found(Some(value)))
    }
}
