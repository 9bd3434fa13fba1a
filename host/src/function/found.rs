//! [`Found`]: a value that a function of many keys may leave out.

use dogpile_sdk::Object;

use super::should_cache::{ShouldCache, decide};
use crate::created::Created;
use crate::round_trip::RoundTrips;
use crate::serializer::{Serializer, SerializerError};
use crate::value::CacheValue;

/// A value, or `None` if the function left its key out. Only a value is stored, in its own form.
#[derive(Clone)]
pub(super) struct Found<V>(pub(super) Option<V>);

impl<V> Found<V> {
    fn value(&self) -> Result<&V, SerializerError> {
        self.0.as_ref().ok_or_else(|| "a key that the function left out has no value to store".into())
    }
}

impl<V> Found<V> {
    /// Returns the decisions on the values that were created for `keys`. A value that was left out is not stored.
    ///
    /// If there are more values than keys or fewer, the region rejects them. The key of a surplus value is empty.
    pub(super) fn decide_all(
        keys: &[&str],
        values: Vec<Option<V>>,
        predicate: &impl ShouldCache<V>,
    ) -> Vec<Created<Self>> {
        let keys = keys.iter().copied().chain(std::iter::repeat(""));
        let decide = |(value, key)| decide(key, Found(value), &IfFound(predicate));
        values.into_iter().zip(keys).map(decide).collect()
    }
}

/// Decides on the value in a [`Found`].
struct IfFound<'a, P>(&'a P);

impl<V, P: ShouldCache<V>> ShouldCache<Found<V>> for IfFound<'_, P> {
    fn should_cache(&self, key: &str, found: &Found<V>) -> bool {
        found.0.as_ref().is_some_and(|value| self.0.should_cache(key, value))
    }
}

impl<V: CacheValue> CacheValue for Found<V> {
    fn serialize(&self, serializer: &dyn Serializer) -> Result<Vec<u8>, SerializerError> {
        self.value()?.serialize(serializer)
    }

    fn serialize_to_store(
        &self,
        serializer: &dyn Serializer,
        round_trips: &RoundTrips,
    ) -> Result<Vec<u8>, SerializerError> {
        self.value()?.serialize_to_store(serializer, round_trips)
    }

    fn deserialize(bytes: &[u8], serializer: &dyn Serializer) -> Result<Self, SerializerError> {
        Ok(Found(Some(V::deserialize(bytes, serializer)?)))
    }

    fn into_object(self) -> Object {
        match self.0 {
            Some(value) => value.into_object(),
            // Never read: `decide_all` does not store it.
            None => Object::new(()),
        }
    }

    fn from_object(object: &Object) -> Option<Self> {
        V::from_object(object).map(|value| Found(Some(value)))
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use super::*;
    use crate::serializer::Json;

    #[test]
    fn value_that_would_be_read_as_another_is_refused() {
        let stored = |value: Option<Option<u8>>| {
            Found(Some(value))
                .serialize_to_store(&Json, &RoundTrips::default())
                .map_err(|error| error.to_string())
        };
        assert_eq!(stored(Some(Some(1))), Ok(b"1".to_vec()));
        assert!(stored(Some(None)).is_err_and(|error| error.contains("Some(None) would become None")));
    }
}
