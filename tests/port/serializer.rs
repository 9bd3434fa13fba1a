//! Serializers, which write the payload that follows the envelope's header.

use dogpile::sdk::envelope;
use dogpile::serializer::{self, Json, ReadValue, Serializer, SerializerError};
use dogpile::{CacheRegion, InMemory, RegionConfig};
use dogpile_tests::events::Events;
use dogpile_tests::regions::{Subject, on_each_with, region_of};
use dogpile_tests::scripted::ByteStore;
use serde_json::{Value, json};

fn region_on(store: &ByteStore, change: impl Fn(RegionConfig) -> RegionConfig) -> CacheRegion {
    region_of("serialized", change(RegionConfig::from_instance(store.backend())))
}

fn nested() -> Value {
    json!({ "list": ["text", 1.5, -7], "number": 3, "no": false, "nothing": null })
}

/// A serializer that writes indented JSON and fails to read marked values.
#[derive(Debug)]
struct Spaced;

impl Serializer for Spaced {
    fn serialize(&self, value: &dyn erased_serde::Serialize) -> Result<Vec<u8>, SerializerError> {
        Ok(serde_json::to_vec_pretty(value)?)
    }

    fn deserialize(&self, bytes: &[u8], read: ReadValue<'_>) -> Result<(), SerializerError> {
        if bytes.starts_with(b"\"unreadable") {
            return Err("marked as unreadable".into());
        }
        Json.deserialize(bytes, read)
    }
}

/// A serializer that writes JSON and cannot read.
#[derive(Debug)]
struct WriteOnly;

impl Serializer for WriteOnly {
    fn serialize(&self, value: &dyn erased_serde::Serialize) -> Result<Vec<u8>, SerializerError> {
        Json.serialize(value)
    }

    fn deserialize(&self, _bytes: &[u8], _read: ReadValue<'_>) -> Result<(), SerializerError> {
        Err("cannot read".into())
    }
}

/// Behavior: `serializer-custom-round-trip`
/// Behavior: `memory-with-serializer`
#[test]
fn custom_serializer_round_trips_a_nested_value() {
    on_each_with(
        |config| config.serializer(Spaced),
        |Subject { region, .. }| {
            region.set("key", nested()).unwrap();
            assert_eq!(region.get("key").unwrap(), Some(nested()));
            let stored = region.actual_backend().unwrap().get("key").unwrap().unwrap();
            let bytes = stored.payload.as_bytes().expect("bytes are stored");
            assert_eq!(**bytes, *serde_json::to_vec_pretty(&nested()).unwrap());
        },
    );
}

/// Behavior: `serializer-stored-form`
/// Behavior: `serializer-raw-item-parses-back`
#[test]
fn stored_bytes_are_header_bar_and_serialized_value() {
    let store = ByteStore::default();
    let region = region_on(&store, |config| config.serializer(Spaced));
    region.set("key", nested()).unwrap();
    let raw = store.raw("key");
    let bar = raw.iter().position(|byte| *byte == b'|').unwrap();
    let header: Value = serde_json::from_slice(&raw[..bar]).unwrap();
    assert_eq!(header["v"], 2);
    assert!(header["ct"].is_f64());
    assert_eq!(raw[bar + 1..], serde_json::to_vec_pretty(&nested()).unwrap());

    let (metadata, start) = envelope::read(&raw).unwrap();
    assert_eq!(header["ct"], metadata.creation_time.as_seconds());
    assert_eq!(serde_json::from_slice::<Value>(&raw[start..]).unwrap(), nested());
}

/// Behavior: `serializer-cannot-deserialize-is-miss`
#[test]
fn undeserializable_value_is_a_miss_and_is_replaced() {
    on_each_with(
        |config| config.serializer(Spaced),
        |Subject { region, .. }| {
            region.set("key", "unreadable".to_owned()).unwrap();
            assert_eq!(region.get::<String>("key").unwrap(), None);
            assert_eq!(region.get_multi::<String>(&["key"]).unwrap(), [None]);
            assert_eq!(region.options().ignore_expiration().get::<String>("key").unwrap(), None);
            assert_eq!(region.get_value_metadata::<String>("key").unwrap(), None);
            assert_eq!(region.get_or_create("key", || "new".to_owned()).unwrap(), "new");
            assert_eq!(region.get::<String>("key").unwrap().as_deref(), Some("new"));
        },
    );
}

/// Behavior: `serializer-per-region-overrides-backend`
/// Other regions over the same backend keep theirs.
#[test]
fn regions_serializer_overrides_the_backends() {
    let store = ByteStore::default();
    let (usual, spaced) =
        (region_on(&store, |config| config), region_on(&store, |config| config.serializer(Spaced)));
    let unreading = region_on(&store, |config| config.serializer(WriteOnly));
    let payload = |key| {
        let raw = store.raw(key);
        raw[envelope::read(&raw).unwrap().1..].to_vec()
    };
    usual.set("usual", vec![1]).unwrap();
    spaced.set("spaced", vec![1]).unwrap();
    assert_eq!((payload("usual"), payload("spaced")), (b"[1]".to_vec(), b"[\n  1\n]".to_vec()));
    unreading.set("unreading", vec![1]).unwrap();
    assert_eq!(unreading.get::<Vec<i32>>("unreading").unwrap(), None);
    for region in [&usual, &spaced] {
        let found = region.get_multi::<Vec<i32>>(&["usual", "spaced", "unreading"]).unwrap();
        assert_eq!(found, [Some(vec![1]), Some(vec![1]), Some(vec![1])]);
    }
}

/// The bytes of another serializer are a miss.
#[test]
fn supplied_serializers_read_only_their_own_bytes() {
    let store = ByteStore::default();
    let value = vec![("text".to_owned(), Some(1.5), -7_i64), ("ä|".to_owned(), None, 0)];
    let names = ["json", "msgpack", "pickle"];
    let regions = names.map(|name| region_on(&store, |config| config.serializer_named(name)));
    for (region, writer) in regions.iter().zip(names) {
        region.set(writer, value.clone()).unwrap();
    }
    for (region, reader) in regions.iter().zip(names) {
        for writer in names {
            let expected = (reader == writer).then(|| value.clone());
            let found = region.get::<Vec<(String, Option<f64>, i64)>>(writer).unwrap();
            assert_eq!(found, expected, "{reader} reads the bytes of {writer}");
        }
    }
}

#[test]
fn truncated_or_extended_value_is_a_miss() {
    for name in ["json", "msgpack", "pickle"] {
        let store = ByteStore::default();
        let region = region_on(&store, |config| config.serializer_named(name));
        region.set("key", vec!["one".to_owned(), "two".to_owned()]).unwrap();
        let whole = store.raw("key");
        let start = envelope::read(&whole).unwrap().1;
        for length in start..whole.len() {
            store.put_raw("key", &whole[..length]);
            assert_eq!(
                region.get::<Vec<String>>("key").unwrap(),
                None,
                "{name}, truncated to {length} bytes"
            );
        }
        store.put_raw("key", [&whole[..], b"1"].concat());
        assert_eq!(region.get::<Vec<String>>("key").unwrap(), None, "{name}, with an extra byte");
    }
}

#[test]
fn serializer_name_can_be_registered_once() {
    serializer::register("tests.spaced", Spaced).unwrap();
    let error = serializer::register("tests.spaced", Spaced).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a serializer called \"tests.spaced\" is registered already; choose another name"
    );
    let store = ByteStore::default();
    region_on(&store, |config| config.serializer_named("tests.spaced")).set("key", vec![1]).unwrap();
    assert!(store.raw("key").ends_with(b"[\n  1\n]"));
}

/// `set` fails. `get_or_create` still returns the created value, and logs a warning.
#[test]
fn value_that_cannot_be_serialized_is_returned_but_not_stored() {
    let (store, events) = (ByteStore::default(), Events::of_region("serialized"));
    let region = region_on(&store, |config| config);
    let error = region.set("some key", InMemory(1)).unwrap_err();
    assert_eq!(error.to_string(), "region \"serialized\" could not serialize the value of \"some key\"");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("i32") && cause.contains("InMemory"), "{cause}");

    assert_eq!(region.get_or_create("some key", || InMemory(1)).unwrap(), InMemory(1));
    assert!(!region.key_is_locked("some key").unwrap());
    let warning = events.take().into_iter().find(|event| event.level == tracing::Level::WARN).unwrap();
    assert_eq!(warning.message, "a created value was not stored; its caller still gets it");
    assert!(warning.fields["error"].contains("some key"), "{warning:?}");
}

/// One value in the pickle protocols 0 to 5, written by Python.
#[rustfmt::skip]
const PICKLES: [&[u8]; 6] = [
    b"(dp0\nVlist\np1\n(lp2\nVshared text\np3\nag3\naF1.5\naI-7\naL1099511627776L\naV\xe4|\np4\nasVnes\
      ted\np5\n(lp6\n(lp7\n(lp8\naa(dp9\nVa\np10\n(dp11\nVb\np12\n(lp13\nI01\naNassasVtuple\np14\n(I1\
      \nI2\nI3\nI4\ntp15\ns.",
    b"}q\x00(X\x04\x00\x00\x00listq\x01]q\x02(X\x0b\x00\x00\x00shared textq\x03h\x03G?\xf8\x00\x00\x00\
      \x00\x00\x00J\xf9\xff\xff\xffL1099511627776L\nX\x03\x00\x00\x00\xc3\xa4|q\x04eX\x06\x00\x00\x00n\
      estedq\x05]q\x06(]q\x07]q\x08a}q\x09X\x01\x00\x00\x00aq\n}q\x0bX\x01\x00\x00\x00bq\x0c]q\x0d(I01\
      \nNesseX\x05\x00\x00\x00tupleq\x0e(K\x01K\x02K\x03K\x04tq\x0fu.",
    b"\x80\x02}q\x00(X\x04\x00\x00\x00listq\x01]q\x02(X\x0b\x00\x00\x00shared textq\x03h\x03G?\xf8\x00\
      \x00\x00\x00\x00\x00J\xf9\xff\xff\xff\x8a\x06\x00\x00\x00\x00\x00\x01X\x03\x00\x00\x00\xc3\xa4|q\
      \x04eX\x06\x00\x00\x00nestedq\x05]q\x06(]q\x07]q\x08a}q\x09X\x01\x00\x00\x00aq\n}q\x0bX\x01\x00\
      \x00\x00bq\x0c]q\x0d(\x88NesseX\x05\x00\x00\x00tupleq\x0e(K\x01K\x02K\x03K\x04tq\x0fu.",
    b"\x80\x03}q\x00(X\x04\x00\x00\x00listq\x01]q\x02(X\x0b\x00\x00\x00shared textq\x03h\x03G?\xf8\x00\
      \x00\x00\x00\x00\x00J\xf9\xff\xff\xff\x8a\x06\x00\x00\x00\x00\x00\x01X\x03\x00\x00\x00\xc3\xa4|q\
      \x04eX\x06\x00\x00\x00nestedq\x05]q\x06(]q\x07]q\x08a}q\x09X\x01\x00\x00\x00aq\n}q\x0bX\x01\x00\
      \x00\x00bq\x0c]q\x0d(\x88NesseX\x05\x00\x00\x00tupleq\x0e(K\x01K\x02K\x03K\x04tq\x0fu.",
    b"\x80\x04\x95u\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x04list\x94]\x94(\x8c\x0bshared text\x94h\
      \x03G?\xf8\x00\x00\x00\x00\x00\x00J\xf9\xff\xff\xff\x8a\x06\x00\x00\x00\x00\x00\x01\x8c\x03\xc3\
      \xa4|\x94e\x8c\x06nested\x94]\x94(]\x94]\x94a}\x94\x8c\x01a\x94}\x94\x8c\x01b\x94]\x94(\x88Nesse\
      \x8c\x05tuple\x94(K\x01K\x02K\x03K\x04t\x94u.",
    b"\x80\x05\x95u\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x04list\x94]\x94(\x8c\x0bshared text\x94h\
      \x03G?\xf8\x00\x00\x00\x00\x00\x00J\xf9\xff\xff\xff\x8a\x06\x00\x00\x00\x00\x00\x01\x8c\x03\xc3\
      \xa4|\x94e\x8c\x06nested\x94]\x94(]\x94]\x94a}\x94\x8c\x01a\x94}\x94\x8c\x01b\x94]\x94(\x88Nesse\
      \x8c\x05tuple\x94(K\x01K\x02K\x03K\x04t\x94u.",
];

#[test]
fn pickles_of_every_python_protocol_are_read() {
    let (store, expected) = (
        ByteStore::default(),
        json!({
            "list": ["shared text", "shared text", 1.5, -7, 1_099_511_627_776_i64, "ä|"],
            "nested": [[[]], { "a": { "b": [true, null] } }],
            "tuple": [1, 2, 3, 4],
        }),
    );
    let region = region_on(&store, |config| config.serializer_named("pickle"));
    for (protocol, pickle) in PICKLES.iter().enumerate() {
        store.put_raw("key", [br#"{"ct": 1700000000.123456, "v": 2}|"#, *pickle].concat());
        assert_eq!(region.get("key").unwrap(), Some(expected.clone()), "protocol {protocol}");
    }
}
