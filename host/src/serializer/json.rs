//! JSON, as Python's `json` module reads and writes it.

use super::{Deserialise, Serializer, SerializerError};

/// JSON: the default where bytes are stored.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl Serializer for Json {
    fn serialize(&self, value: &dyn erased_serde::Serialize) -> Result<Vec<u8>, SerializerError> {
        Ok(serde_json::to_vec(value)?)
    }

    fn deserialize(&self, bytes: &[u8], read: Deserialise<'_>) -> Result<(), SerializerError> {
        let mut json = serde_json::Deserializer::from_slice(bytes);
        read(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut json))?;
        // A value followed by something else is not what was stored.
        Ok(json.end()?)
    }
}
