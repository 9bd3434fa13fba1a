//! The serializers that configurations can use by name.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use dogpile_sdk::did_you_mean;
use parking_lot::Mutex;

use super::{Json, Serializer};
use crate::python_names::meant;

/// The names of the serializers that are features of this crate.
const OPTIONAL: [&str; 2] = ["msgpack", "pickle"];

static NAMED: LazyLock<Mutex<BTreeMap<String, Arc<dyn Serializer>>>> = LazyLock::new(|| {
    let mut named: BTreeMap<String, Arc<dyn Serializer>> = BTreeMap::new();
    named.insert("json".to_owned(), Arc::new(Json));
    #[cfg(feature = "msgpack")]
    named.insert("msgpack".to_owned(), Arc::new(super::MsgPack));
    #[cfg(feature = "pickle")]
    named.insert("pickle".to_owned(), Arc::new(super::Pickle));
    Mutex::new(named)
});

/// Registers `serializer`, so that configurations can use it by `name`.
///
/// The name `json` is registered already, and so are `msgpack` and `pickle` with the features of these names.
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
///
/// # Errors
/// Returns the reason if there is none.
pub(crate) fn find(name: &str) -> Result<Arc<dyn Serializer>, String> {
    // Unlock first: the error lists all names.
    let found = NAMED.lock().get(name).cloned();
    found.ok_or_else(|| unknown(name))
}

/// Returns the name under which `serializer` was registered.
pub fn name_of(serializer: &Arc<dyn Serializer>) -> Option<String> {
    let named = NAMED.lock();
    named.iter().find(|(_, other)| Arc::ptr_eq(other, serializer)).map(|(name, _)| name.clone())
}

/// Returns the name of `serializer` for a message: the name under which it was registered, or its debug form.
pub(crate) fn shown_name(serializer: &dyn Serializer) -> String {
    let same = |other: &Arc<dyn Serializer>| std::ptr::addr_eq(&raw const **other, serializer);
    // Unlock first: the debug form is foreign code.
    let name = NAMED.lock().iter().find(|(_, other)| same(other)).map(|(name, _)| name.clone());
    name.unwrap_or_else(|| format!("{serializer:?}"))
}

/// Returns whether `serializer` is one of this crate.
pub(crate) fn is_supplied(serializer: &dyn Serializer) -> bool {
    let serializer: &dyn Any = serializer;
    #[cfg(feature = "msgpack")]
    if serializer.is::<super::MsgPack>() {
        return true;
    }
    #[cfg(feature = "pickle")]
    if serializer.is::<super::Pickle>() {
        return true;
    }
    serializer.is::<Json>()
}

/// Returns the names of all serializers.
pub fn names() -> Vec<String> {
    NAMED.lock().keys().cloned().collect()
}

fn unknown(name: &str) -> String {
    if OPTIONAL.contains(&name) {
        return format!(
            "serializer {name:?} is not compiled in; enable the feature {name:?} of the crate dogpile"
        );
    }
    let known = names();
    let all = || known.iter().map(String::as_str).chain(OPTIONAL);
    let similar = did_you_mean(name, all());
    match meant(name, all()) {
        Some(meant) if similar.is_empty() => {
            format!("unknown serializer {name:?} (known: {known:?}); did you mean {meant:?}?")
        }
        _ => format!("unknown serializer {name:?} (known: {known:?}){similar}"),
    }
}

#[cfg(test)]
mod tests {
    use erased_serde::Serialize;

    use super::super::{ReadValue, SerializerError};
    use super::*;
    use crate::value::CacheValue;

    #[test]
    fn serializers_round_trip_and_reject_trailing_bytes() {
        let value = vec![("text".to_owned(), Some(1.5)), ("ä|".to_owned(), None)];
        for name in names() {
            let serializer = find(&name).unwrap();
            let mut bytes = value.serialize(&*serializer).unwrap();
            assert_eq!(Vec::deserialize(&bytes, &*serializer).ok(), Some(value.clone()), "{name}");
            bytes.push(b'1');
            assert!(Vec::<(String, Option<f64>)>::deserialize(&bytes, &*serializer).is_err(), "{name}");
        }
    }

    #[test]
    fn registered_serializer_is_found_by_name() {
        assert_eq!(name_of(&find("json").unwrap()).as_deref(), Some("json"));
        assert_eq!(name_of(&(Arc::new(Json) as Arc<dyn Serializer>)), None);
    }

    /// Lists all serializers in its debug form.
    struct Listing;

    impl std::fmt::Debug for Listing {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "Listing({})", names().contains(&"json".to_owned()))
        }
    }

    impl Serializer for Listing {
        fn serialize(&self, _value: &dyn Serialize) -> Result<Vec<u8>, SerializerError> {
            Err("the test stores no value".into())
        }

        fn deserialize(&self, _bytes: &[u8], _read: ReadValue<'_>) -> Result<(), SerializerError> {
            Err("the test reads no value".into())
        }
    }

    #[test]
    fn debug_form_that_lists_serializers_is_shown() {
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || sender.send(shown_name(&Listing)).expect("the test receives"));
        let shown = receiver.recv_timeout(std::time::Duration::from_secs(60));
        assert_eq!(shown.as_deref(), Ok("Listing(true)"));
    }

    #[test]
    fn unknown_serializer_is_reported_with_a_suggestion() {
        let error = find("jsn").unwrap_err();
        assert!(error.starts_with("unknown serializer \"jsn\" (known: [\"json\""), "{error}");
        assert!(error.ends_with("; did you mean \"json\"?"), "{error}");
        for (name, meant) in
            [("json.dumps", "json"), ("pickle.loads", "pickle"), ("msgpack.packb", "msgpack")]
        {
            let error = find(name).unwrap_err();
            assert!(error.ends_with(&format!("; did you mean {meant:?}?")), "{error}");
        }
    }

    #[test]
    fn missing_feature_of_a_serializer_is_reported() {
        for (name, is_on) in [("msgpack", cfg!(feature = "msgpack")), ("pickle", cfg!(feature = "pickle"))] {
            match find(name) {
                Ok(_) => assert!(is_on, "{name}"),
                Err(error) => {
                    assert!(!is_on, "{name}");
                    let advice =
                        format!("is not compiled in; enable the feature {name:?} of the crate dogpile");
                    assert!(error.ends_with(&advice), "{error}");
                }
            }
        }
    }

    #[test]
    fn deeply_nested_lists_are_rejected() {
        use serde_json::Value;
        let json = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(Value::deserialize(&json(100), &Json).is_ok());
        assert!(Value::deserialize(&json(100_000), &Json).is_err());
        #[cfg(feature = "msgpack")]
        {
            let msgpack = |depth: usize| [vec![0x91; depth - 1], vec![0x90]].concat();
            assert!(Value::deserialize(&msgpack(100), &super::super::MsgPack).is_ok());
            assert!(Value::deserialize(&msgpack(100_000), &super::super::MsgPack).is_err());
        }
    }
}
