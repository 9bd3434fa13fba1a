//! [`Pickle`]: the serializer `pickle`. It shares its format with an unmodified dogpile.cache in Python.

mod measure;

use super::{ReadValue, Serializer, SerializerError};

/// The pickle serializer, which reads data and runs nothing.
///
/// These values cannot be read and are misses: objects of Python classes, values that are nested more than 128 levels
/// deep, and values that need far more memory than their bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pickle;

impl Serializer for Pickle {
    fn serialize(&self, value: &dyn erased_serde::Serialize) -> Result<Vec<u8>, SerializerError> {
        Ok(serde_pickle::to_vec(&value, serde_pickle::SerOptions::new())?)
    }

    fn deserialize(&self, bytes: &[u8], read: ReadValue<'_>) -> Result<(), SerializerError> {
        measure::check(bytes)?;
        let mut pickle = serde_pickle::Deserializer::new(bytes, serde_pickle::DeOptions::new());
        read(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut pickle))?;
        Ok(pickle.end()?)
    }
}
