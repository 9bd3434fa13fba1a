//! [`MsgPack`]: the serializer `msgpack`.

use super::{ReadValue, Serializer, SerializerError};

/// The greatest depth of nested values that is read, as in JSON. Deeper ones could exhaust the stack.
const MAX_DEPTH: usize = 128;

/// The MessagePack serializer, which is smaller and faster than JSON.
///
/// Fields are stored with their names, so that a struct may gain fields.
#[derive(Clone, Copy, Debug, Default)]
pub struct MsgPack;

impl Serializer for MsgPack {
    fn serialize(&self, value: &dyn erased_serde::Serialize) -> Result<Vec<u8>, SerializerError> {
        Ok(rmp_serde::to_vec_named(value)?)
    }

    fn deserialize(&self, bytes: &[u8], read: ReadValue<'_>) -> Result<(), SerializerError> {
        let mut msgpack = rmp_serde::Deserializer::new(bytes);
        msgpack.set_max_depth(MAX_DEPTH);
        read(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut msgpack))?;
        if msgpack.get_ref().is_empty() { Ok(()) } else { Err("bytes follow the value".into()) }
    }
}
