//! Serializers and their names. A serializer converts a value to the bytes after the envelope.
// Source: dogpile.cache `api.py`, `Serializer` and `Deserializer`.

mod foreign;
mod json;
#[cfg(feature = "msgpack")]
mod msgpack;
mod named;
#[cfg(feature = "pickle")]
mod pickle;

use std::any::Any;
use std::error::Error;
use std::fmt;

/// The traits in the signatures of [`Serializer`].
pub use erased_serde;

pub use self::foreign::guess_format;
pub use self::json::Json;
pub(crate) use self::json::has_tokens;
#[cfg(feature = "msgpack")]
pub use self::msgpack::MsgPack;
pub use self::named::{NameTaken, name_of, names, register};
pub(crate) use self::named::{find, is_supplied, shown_name};
#[cfg(feature = "pickle")]
pub use self::pickle::Pickle;

/// Converts values to bytes and back.
///
/// Return an error for bytes that cannot be deserialized; do not panic. The region treats the error as a miss.
///
/// A value is stored only if it is read back as the same value. The region checks this for every new kind of values of a
/// type, and refuses a value that the serializer loses. A serializer that returns an error before it calls `read`
/// declines to read: the value is stored, counts as missing, and causes a warning.
///
/// ```
/// use dogpile::serializer::{ReadValue, Serializer, SerializerError, erased_serde};
///
/// #[derive(Debug)]
/// struct PrettyJson;
///
/// impl Serializer for PrettyJson {
///     fn serialize(&self, value: &dyn erased_serde::Serialize) -> Result<Vec<u8>, SerializerError> {
///         Ok(serde_json::to_vec_pretty(value)?)
///     }
///     fn deserialize(&self, bytes: &[u8], read: ReadValue<'_>) -> Result<(), SerializerError> {
///         let mut json = serde_json::Deserializer::from_slice(bytes);
///         Ok(read(&mut <dyn erased_serde::Deserializer>::erase(&mut json))?)
///     }
/// }
/// ```
pub trait Serializer: fmt::Debug + Any + Send + Sync {
    /// Returns the bytes of `value`.
    ///
    /// # Errors
    /// Returns an error if the format cannot represent the value.
    fn serialize(&self, value: &dyn erased_serde::Serialize) -> Result<Vec<u8>, SerializerError>;

    /// Calls `read` once with a deserializer over `bytes`.
    ///
    /// # Errors
    /// Returns an error if the bytes are invalid in this format, or have another type than `read` expects.
    fn deserialize(&self, bytes: &[u8], read: ReadValue<'_>) -> Result<(), SerializerError>;
}

/// A function that reads a value from a deserializer.
pub type ReadValue<'a> =
    &'a mut dyn FnMut(&mut dyn erased_serde::Deserializer<'_>) -> Result<(), erased_serde::Error>;

/// The reason why a value could not be serialized or deserialized.
pub type SerializerError = Box<dyn Error + Send + Sync>;
