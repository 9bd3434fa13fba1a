//! Pickle, as an unmodified Python dogpile.cache reads and writes it.

mod measure;

use super::{Deserialise, Serializer, SerializerError};

/// Pickle: data only. Nothing in the bytes is run; a pickled class is not read, and so is a miss. So is a value of
/// more than 128 lists in each other, and one that would take far more memory than its bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pickle;

impl Serializer for Pickle {
    fn serialize(&self, value: &dyn erased_serde::Serialize) -> Result<Vec<u8>, SerializerError> {
        Ok(serde_pickle::to_vec(&value, serde_pickle::SerOptions::new())?)
    }

    fn deserialize(&self, bytes: &[u8], read: Deserialise<'_>) -> Result<(), SerializerError> {
        measure::check(bytes)?;
        let mut pickle = serde_pickle::Deserializer::new(bytes, serde_pickle::DeOptions::new());
        read(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut pickle))?;
        Ok(pickle.end()?)
    }
}
