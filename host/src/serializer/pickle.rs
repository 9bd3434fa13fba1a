//! [`Pickle`]: the serializer `pickle`. It shares its format with an unmodified dogpile.cache in Python.

mod arena;
mod budget;
mod call;
mod cursor;
mod error;
mod input;
mod integer;
mod machine;
mod opcode;
mod text;
mod write;

use self::budget::Budget;
use self::cursor::Cursor;
use super::{ReadValue, Serializer, SerializerError};

/// The pickle serializer, which reads data and runs nothing.
///
/// It reads pickles of the protocols 0 to 5 and writes protocol 3. These values cannot be read and are misses:
///
/// * objects of Python classes, except `set`, `frozenset`, `bytearray`, and `collections.OrderedDict`;
/// * integers of more than 128 bits, and strings with lone surrogates;
/// * values that are nested more than 128 levels deep or contain themselves;
/// * values that need far more memory than their bytes, because they refer to one object many times.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pickle;

impl Serializer for Pickle {
    fn serialize(&self, value: &dyn erased_serde::Serialize) -> Result<Vec<u8>, SerializerError> {
        write::to_vec(value).map_err(|error| format!("cannot write the pickle: {error}").into())
    }

    fn deserialize(&self, bytes: &[u8], read: ReadValue<'_>) -> Result<(), SerializerError> {
        let parsed = machine::run(bytes);
        let (value, arena) = parsed.map_err(|error| format!("cannot read the pickle at {error}"))?;
        let cursor = Cursor { value, arena: &arena, budget: &mut Budget::new(bytes.len()) };
        let read = read(&mut <dyn erased_serde::Deserializer<'_>>::erase(cursor));
        read.map_err(|error| format!("cannot read the pickle: {error}").into())
    }
}
