//! [`CacheValue`]: a value that a region can cache.

use std::any::{Any, type_name};

use dogpile_sdk::Object;
use serde::{Serialize, de::DeserializeOwned};

use crate::round_trip::{Plain, RoundTrips};
use crate::serializer::{Json, Serializer, SerializerError, has_tokens};

/// A value that a region can cache.
///
/// Every type that is `Serialize + DeserializeOwned + Clone + Send + Sync + 'static` implements it, and so does every
/// [`InMemory`]. A backend that stores objects stores the value itself, and each hit clones it. Wrap a large value in an
/// `Arc`. Other backends store the serialized value.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be cached",
    label = "a region cannot cache this value",
    note = "derive `serde::Serialize`, `serde::Deserialize`, and `Clone` for it, or wrap it in `dogpile::InMemory`; borrowed values cannot be cached",
    note = "a future cannot be cached: write the cached function as `async fn`, or call `get_or_create_async`, whose creator is awaited"
)]
pub trait CacheValue: Clone + Send + Sync + 'static {
    /// Returns the serialized value.
    ///
    /// # Errors
    /// Returns an error if the serializer cannot represent the value.
    fn serialize(&self, serializer: &dyn Serializer) -> Result<Vec<u8>, SerializerError>;

    /// Returns the value whose serialized form is `bytes`.
    ///
    /// # Errors
    /// Returns an error if `bytes` are not a valid value of this type.
    fn deserialize(bytes: &[u8], serializer: &dyn Serializer) -> Result<Self, SerializerError>;

    /// Returns the serialized value, if it will be read back as the same value.
    ///
    /// # Errors
    /// Returns an error if the serializer cannot represent the value, or loses something of it.
    #[doc(hidden)]
    fn serialize_to_store(
        &self,
        serializer: &dyn Serializer,
        round_trips: &RoundTrips,
    ) -> Result<Vec<u8>, SerializerError> {
        let _ = round_trips;
        self.serialize(serializer)
    }

    /// Converts the value to the object that a backend stores. The default is the value itself.
    fn into_object(self) -> Object {
        Object::new(self)
    }

    /// Returns the value stored as `object`, or `None` if it has another type. The default is a clone.
    #[inline]
    fn from_object(object: &Object) -> Option<Self> {
        object.downcast_ref::<Self>().cloned()
    }
}

// The compiler's error then names the type and the notes above once, instead of each trait that is missing.
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> CacheValue for T {
    fn serialize(&self, serializer: &dyn Serializer) -> Result<Vec<u8>, SerializerError> {
        if is_json(serializer) {
            return Json::write(self);
        }
        serializer.serialize(self)
    }

    fn serialize_to_store(
        &self,
        serializer: &dyn Serializer,
        round_trips: &RoundTrips,
    ) -> Result<Vec<u8>, SerializerError> {
        round_trips.serialize(self, serializer, |Plain(is_plain)| {
            // The check knows already that no number needs the tokens of `Json`.
            if is_plain && is_json(serializer) {
                return Ok(serde_json::to_vec(self)?);
            }
            CacheValue::serialize(self, serializer)
        })
    }

    fn deserialize(bytes: &[u8], serializer: &dyn Serializer) -> Result<Self, SerializerError> {
        if is_json(serializer) {
            match serde_json::from_slice(bytes) {
                Ok(value) => return Ok(value),
                Err(error) if !has_tokens(bytes) => return Err(error.into()),
                Err(_) => {}
            }
        }
        let mut read = None;
        serializer.deserialize(bytes, &mut |deserializer| {
            read = Some(erased_serde::deserialize(deserializer)?);
            Ok(())
        })?;
        read.ok_or_else(|| "the serializer did not read a value".into())
    }
}

/// Returns whether `serializer` is the default one. Calling it directly takes half as long as through a trait object.
fn is_json(serializer: &dyn Serializer) -> bool {
    (serializer as &dyn Any).is::<Json>()
}

/// A value of a type without serde, for regions whose backend stores objects.
///
/// ```
/// use dogpile::{CacheRegion, InMemory, RegionConfig};
///
/// #[derive(Clone)]
/// struct Parsed(fn(i32) -> i32);
///
/// let region = CacheRegion::new("parsed");
/// region.configure(RegionConfig::new("dogpile.cache.memory"))?;
/// let InMemory(parsed) = region.get_or_create("double", || InMemory(Parsed(|n| 2 * n)))?;
/// assert_eq!((parsed.0)(21), 42);
/// # Ok::<(), dogpile::RegionError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InMemory<T>(pub T);

impl<T: Clone + Send + Sync + 'static> CacheValue for InMemory<T> {
    fn serialize(&self, _serializer: &dyn Serializer) -> Result<Vec<u8>, SerializerError> {
        let name = type_name::<T>();
        let problem = "is stored as InMemory, which cannot be serialized; use a backend that stores objects";
        Err(format!("{name} {problem}").into())
    }

    fn deserialize(_bytes: &[u8], _serializer: &dyn Serializer) -> Result<Self, SerializerError> {
        Err("an InMemory value cannot be deserialized; use a backend that stores objects".into())
    }
}
