//! [`Found`]: a value that a function of many keys may leave out.

use dogpile_sdk::Object;

use crate::region::{CallOptions, ShouldCache};
use crate::serializer::{Serializer, SerializerError};
use crate::value::CacheValue;

/// A value, or `None` if the function left its key out. Only a value is stored, in its own form.
#[derive(Clone)]
pub(super) struct Found<V>(pub(super) Option<V>);

/// The predicate of a call: stores values that are present and that the function's own predicate accepts.
#[derive(Clone)]
pub(super) struct Wanted<P>(P);

impl<V> Found<V> {
    /// Returns `call` with a predicate for values that may be left out.
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
        let value = self.0.as_ref().ok_or("a key that the function left out has no value to store")?;
        value.serialize(serializer)
    }

    fn deserialize(bytes: &[u8], serializer: &dyn Serializer) -> Result<Self, SerializerError> {
        Ok(Found(Some(V::deserialize(bytes, serializer)?)))
    }

    fn into_object(self) -> Object {
        match self.0 {
            Some(value) => value.into_object(),
            // Never read: `Wanted` refuses to store it.
            None => Object::new(()),
        }
    }

    fn from_object(object: &Object) -> Option<Self> {
        V::from_object(object).map(|value| Found(Some(value)))
    }
}
