//! [`CacheValue`]: what a region can cache.

use std::any::{Any, type_name};

use dogpile_sdk::Object;
use serde::{Serialize, de::DeserializeOwned};

use crate::serializer::{Json, Serializer, SerializerError};

/// What a region can cache: every `Serialize + DeserializeOwned + Clone + Send + Sync + 'static`, and any
/// [`InMemory`].
///
/// On a backend that stores objects, a value is stored as it is and each hit clones it: put an `Arc` in if it is
/// large. Elsewhere it is serialised.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be cached",
    label = "not a value that a region can cache",
    note = "derive `serde::Serialize`, `serde::Deserialize` and `Clone` for it, or wrap it in `dogpile::InMemory`; borrowed values cannot be cached"
)]
pub trait CacheValue: Clone + Send + Sync + 'static {
    /// The value's bytes.
    ///
    /// # Errors
    /// If the serializer has no form for it.
    fn serialize(&self, serializer: &dyn Serializer) -> Result<Vec<u8>, SerializerError>;

    /// The value that `bytes` are of.
    ///
    /// # Errors
    /// If they are no value of this type.
    fn deserialize(bytes: &[u8], serializer: &dyn Serializer) -> Result<Self, SerializerError>;

    /// What a backend that stores objects keeps. Default: the value itself.
    fn into_object(self) -> Object {
        Object::new(self)
    }

    /// The value that was kept as `object`; `None` if that is of another type. Default: a clone of it.
    #[inline]
    fn from_object(object: &Object) -> Option<Self> {
        object.downcast_ref::<Self>().cloned()
    }
}

impl<T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> CacheValue for T {
    fn serialize(&self, serializer: &dyn Serializer) -> Result<Vec<u8>, SerializerError> {
        if is_json(serializer) {
            return Ok(serde_json::to_vec(self)?);
        }
        serializer.serialize(self)
    }

    fn deserialize(bytes: &[u8], serializer: &dyn Serializer) -> Result<Self, SerializerError> {
        if is_json(serializer) {
            return Ok(serde_json::from_slice(bytes)?);
        }
        let mut read = None;
        serializer.deserialize(bytes, &mut |deserializer| {
            read = Some(erased_serde::deserialize(deserializer)?);
            Ok(())
        })?;
        read.ok_or_else(|| "the serializer read nothing".into())
    }
}

/// Whether it is the one that most regions have. Where the type is known, reading by it takes half as long as through an
/// object.
fn is_json(serializer: &dyn Serializer) -> bool {
    (serializer as &dyn Any).is::<Json>()
}

/// Admits a type without serde, for regions whose backend stores objects.
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
        Err(format!("{name} was given as InMemory, which no serializer takes; use a region without one")
            .into())
    }

    fn deserialize(_bytes: &[u8], _serializer: &dyn Serializer) -> Result<Self, SerializerError> {
        Err("InMemory values are not read from bytes".into())
    }
}
