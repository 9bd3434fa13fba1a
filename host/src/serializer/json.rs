//! [`Json`]: the serializer `json`. It shares its format with Python's `json` module.

mod non_finite;

use serde::Serialize;

pub(crate) use self::non_finite::has_tokens;
use self::non_finite::{mark, number_of, tokens_of, write_with};
use super::{ReadValue, Serializer, SerializerError};
use crate::spy::{Mission, Spy};

/// The JSON serializer, which is the default of files and servers.
///
/// Numbers that are not finite are written as `NaN`, `Infinity`, and `-Infinity`, as in Python. These tokens are not
/// part of the standard.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl Json {
    /// Returns the bytes of `value`.
    pub(crate) fn write<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, SerializerError> {
        match tokens_of(value) {
            Some(tokens) => write_with(value, tokens),
            None => Ok(serde_json::to_vec(value)?),
        }
    }
}

impl Serializer for Json {
    fn serialize(&self, value: &dyn erased_serde::Serialize) -> Result<Vec<u8>, SerializerError> {
        Json::write(value)
    }

    fn deserialize(&self, bytes: &[u8], read: ReadValue<'_>) -> Result<(), SerializerError> {
        if has_tokens(bytes) {
            let marked = mark(bytes);
            let mut json = serde_json::Deserializer::from_slice(&marked);
            let spy = Spy::new(&mut json, Mission { chosen: None, number_of: Some(number_of) });
            read(&mut <dyn erased_serde::Deserializer<'_>>::erase(spy))?;
            return Ok(json.end()?);
        }
        let mut json = serde_json::Deserializer::from_slice(bytes);
        read(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut json))?;
        // Reject bytes after the value: we did not store them.
        Ok(json.end()?)
    }
}
