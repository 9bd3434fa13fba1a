//! [`MsgPack`]: the serializer `msgpack`.

mod structure;

use self::structure::MAX_DEPTH;
use super::{ReadValue, Serializer, SerializerError};

/// The MessagePack serializer, which is smaller and faster than JSON.
///
/// Fields are stored with their names, so that a struct may gain fields. Values that are nested more than 128 levels deep
/// cannot be read and are misses.
#[derive(Clone, Copy, Debug, Default)]
pub struct MsgPack;

impl Serializer for MsgPack {
    fn serialize(&self, value: &dyn erased_serde::Serialize) -> Result<Vec<u8>, SerializerError> {
        let bytes = rmp_serde::to_vec_named(value)?;
        let check = structure::check(&bytes);
        check.map_err(|problem| format!("the value could not be read back: {problem}"))?;
        Ok(bytes)
    }

    fn deserialize(&self, bytes: &[u8], read: ReadValue<'_>) -> Result<(), SerializerError> {
        structure::check(bytes)?;
        let mut msgpack = rmp_serde::Deserializer::new(bytes);
        // It refuses this depth, and not only a greater one.
        msgpack.set_max_depth(MAX_DEPTH + 1);
        read(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut msgpack))?;
        // A type may read less than the whole value.
        if msgpack.get_ref().is_empty() { Ok(()) } else { Err("bytes follow the value".into()) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::value::CacheValue;

    fn nested(depth: usize) -> Value {
        (0..depth).fold(Value::Null, |inner, _| Value::Array(vec![inner]))
    }

    #[test]
    fn nesting_is_limited_alike_for_writing_and_reading() {
        let bytes = CacheValue::serialize(&nested(MAX_DEPTH), &MsgPack).unwrap();
        assert_eq!(<Value as CacheValue>::deserialize(&bytes, &MsgPack).unwrap(), nested(MAX_DEPTH));
        let error = CacheValue::serialize(&nested(MAX_DEPTH + 1), &MsgPack).unwrap_err();
        let expected = "the value could not be read back: cannot read the MessagePack value at byte 129: \
                        more than 128 containers are nested";
        assert_eq!(error.to_string(), expected);
    }
}
