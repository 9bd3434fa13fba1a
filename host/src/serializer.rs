//! Serializers and their names. A serializer converts a value to the bytes after the envelope.
// Source: dogpile.cache `api.py`, `Serializer` and `Deserializer`.

mod json;
mod msgpack;
mod pickle;

use std::any::Any;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;

pub use self::json::Json;
pub use self::msgpack::MsgPack;
pub use self::pickle::Pickle;

/// Converts values to bytes and back.
///
/// Return an error for bytes that cannot be deserialized; do not panic. The region treats the error as a miss.
///
/// ```
/// use dogpile::serializer::{Deserialise, Serializer, SerializerError};
///
/// #[derive(Debug)]
/// struct PrettyJson;
///
/// impl Serializer for PrettyJson {
///     fn serialize(&self, value: &dyn erased_serde::Serialize) -> Result<Vec<u8>, SerializerError> {
///         Ok(serde_json::to_vec_pretty(value)?)
///     }
///     fn deserialize(&self, bytes: &[u8], read: Deserialise<'_>) -> Result<(), SerializerError> {
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
    fn deserialize(&self, bytes: &[u8], read: Deserialise<'_>) -> Result<(), SerializerError>;
}

/// A function that reads a value from a deserializer.
pub type Deserialise<'a> =
    &'a mut dyn FnMut(&mut dyn erased_serde::Deserializer<'_>) -> Result<(), erased_serde::Error>;

/// The reason why a value could not be serialized or deserialized.
pub type SerializerError = Box<dyn Error + Send + Sync>;

static NAMED: LazyLock<Mutex<BTreeMap<String, Arc<dyn Serializer>>>> = LazyLock::new(|| {
    let supplied: [(&str, Arc<dyn Serializer>); 3] =
        [("json", Arc::new(Json)), ("msgpack", Arc::new(MsgPack)), ("pickle", Arc::new(Pickle))];
    Mutex::new(supplied.into_iter().map(|(name, serializer)| (name.to_owned(), serializer)).collect())
});

/// Registers `serializer`, so that configurations can use it by `name`.
///
/// The names `json`, `msgpack`, and `pickle` are registered already.
///
/// # Errors
/// Returns [`NameTaken`] if the name is in use.
pub fn register(name: impl Into<String>, serializer: impl Serializer) -> Result<(), NameTaken> {
    let (name, mut named) = (name.into(), NAMED.lock());
    if named.contains_key(&name) {
        return Err(NameTaken(name));
    }
    named.insert(name, Arc::new(serializer));
    Ok(())
}

/// The error for a name that another serializer has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a serializer called {0:?} is registered already; choose another name")]
pub struct NameTaken(String);

/// Returns the serializer called `name`.
pub(crate) fn named(name: &str) -> Option<Arc<dyn Serializer>> {
    NAMED.lock().get(name).cloned()
}

/// Returns the name under which `serializer` was registered.
pub fn name_of(serializer: &Arc<dyn Serializer>) -> Option<String> {
    let named = NAMED.lock();
    named.iter().find(|(_, other)| Arc::ptr_eq(other, serializer)).map(|(name, _)| name.clone())
}

/// Returns the names of all serializers.
pub fn names() -> Vec<String> {
    NAMED.lock().keys().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::CacheValue;

    #[test]
    fn serializers_round_trip_and_reject_trailing_bytes() {
        let value = vec![("text".to_owned(), Some(1.5)), ("ä|".to_owned(), None)];
        for name in ["json", "msgpack", "pickle"] {
            let serializer = named(name).unwrap();
            let mut bytes = value.serialize(&*serializer).unwrap();
            assert_eq!(Vec::deserialize(&bytes, &*serializer).ok(), Some(value.clone()), "{name}");
            bytes.push(b'1');
            assert!(Vec::<(String, Option<f64>)>::deserialize(&bytes, &*serializer).is_err(), "{name}");
        }
    }

    #[test]
    fn registered_serializer_is_found_by_name() {
        assert_eq!(name_of(&named("msgpack").unwrap()).as_deref(), Some("msgpack"));
        assert_eq!(name_of(&(Arc::new(Json) as Arc<dyn Serializer>)), None);
    }

    #[test]
    fn deeply_nested_lists_are_rejected() {
        use serde_json::Value;
        let of = |depth: usize| -> [(&str, Vec<u8>); 2] {
            let json = [vec![b'['; depth], vec![b']'; depth]].concat();
            [("json", json), ("msgpack", [vec![0x91; depth - 1], vec![0x90]].concat())]
        };
        for (name, bytes) in of(100) {
            assert!(Value::deserialize(&bytes, &*named(name).unwrap()).is_ok(), "{name}");
        }
        for (name, bytes) in of(100_000) {
            assert!(Value::deserialize(&bytes, &*named(name).unwrap()).is_err(), "{name}");
        }
    }
}
