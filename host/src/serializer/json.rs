//! [`Json`]: the serializer `json`. It shares its format with Python's `json` module.

use super::{ReadValue, Serializer, SerializerError};

/// The JSON serializer, which is the default for backends that store bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl Serializer for Json {
    fn serialize(&self, value: &dyn erased_serde::Serialize) -> Result<Vec<u8>, SerializerError> {
        Ok(serde_json::to_vec(value)?)
    }

    fn deserialize(&self, bytes: &[u8], read: ReadValue<'_>) -> Result<(), SerializerError> {
        let mut json = serde_json::Deserializer::from_slice(bytes);
        read(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut json))?;
        // Reject bytes after the value: we did not store them.
        Ok(json.end()?)
    }
}
