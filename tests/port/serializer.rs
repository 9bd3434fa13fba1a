//! Serializers: what stands behind the envelope.

use dogpile::sdk::envelope;
use dogpile::serializer::{self, Deserialise, Json, Serializer, SerializerError};
use dogpile::{CacheRegion, InMemory, RegionConfig};
use dogpile_tests::regions::{Subject, on_each_with};
use dogpile_tests::scripted::ByteStore;
use serde_json::{Value, json};

fn region_on(store: &ByteStore, change: impl Fn(RegionConfig) -> RegionConfig) -> CacheRegion {
    let region = CacheRegion::new("serialised");
    region.configure(change(RegionConfig::from_instance(store.backend()))).unwrap();
    region
}

fn nested() -> Value {
    json!({ "list": ["text", 1.5, -7], "number": 3, "no": false, "nothing": null })
}

/// JSON, spaced out; what was marked it refuses to read.
#[derive(Debug)]
struct Spaced;

impl Serializer for Spaced {
    fn serialize(&self, value: &dyn erased_serde::Serialize) -> Result<Vec<u8>, SerializerError> {
        Ok(serde_json::to_vec_pretty(value)?)
    }

    fn deserialize(&self, bytes: &[u8], read: Deserialise<'_>) -> Result<(), SerializerError> {
        if bytes.starts_with(b"\"unreadable") {
            return Err("marked as unreadable".into());
        }
        Json.deserialize(bytes, read)
    }
}

/// Writes JSON and reads nothing.
#[derive(Debug)]
struct WriteOnly;

impl Serializer for WriteOnly {
    fn serialize(&self, value: &dyn erased_serde::Serialize) -> Result<Vec<u8>, SerializerError> {
        Json.serialize(value)
    }

    fn deserialize(&self, _bytes: &[u8], _read: Deserialise<'_>) -> Result<(), SerializerError> {
        Err("reads nothing".into())
    }
}

/// Behaviour: `serializer-custom-round-trip`
/// Behaviour: `memory-with-serializer`
#[test]
fn a_nested_value_comes_back_equal_through_a_users_serializer() {
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

/// Behaviour: `serializer-stored-form`
/// Behaviour: `serializer-raw-item-parses-back`
#[test]
fn the_stored_bytes_are_a_header_a_bar_and_what_the_serializer_made() {
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

/// Behaviour: `serializer-cannot-deserialize-is-miss`
#[test]
fn what_the_serializer_cannot_read_is_a_miss_and_is_replaced() {
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

/// Behaviour: `serializer-per-region-overrides-backend`
#[test]
fn a_regions_serializer_goes_before_the_backends_and_is_its_own() {
    let store = ByteStore::default();
    let (usual, spaced) =
        (region_on(&store, |config| config), region_on(&store, |config| config.serializer(Spaced)));
    let deaf = region_on(&store, |config| config.serializer(WriteOnly));
    let payload = |key| {
        let raw = store.raw(key);
        raw[envelope::read(&raw).unwrap().1..].to_vec()
    };
    usual.set("usual", vec![1]).unwrap();
    spaced.set("spaced", vec![1]).unwrap();
    assert_eq!((payload("usual"), payload("spaced")), (b"[1]".to_vec(), b"[\n  1\n]".to_vec()));
    deaf.set("deaf", vec![1]).unwrap();
    assert_eq!(deaf.get::<Vec<i32>>("deaf").unwrap(), None);
    for region in [&usual, &spaced] {
        let found = region.get_multi::<Vec<i32>>(&["usual", "spaced", "deaf"]).unwrap();
        assert_eq!(found, [Some(vec![1]), Some(vec![1]), Some(vec![1])]);
    }
}

#[test]
fn each_supplied_serializer_brings_a_value_back_and_reads_no_others_bytes() {
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
            assert_eq!(found, expected, "{reader} reads what {writer} wrote");
        }
    }
}

#[test]
fn what_is_cut_off_or_goes_on_is_not_read_as_a_value() {
    for name in ["json", "msgpack", "pickle"] {
        let store = ByteStore::default();
        let region = region_on(&store, |config| config.serializer_named(name));
        region.set("key", vec!["one".to_owned(), "two".to_owned()]).unwrap();
        let whole = store.raw("key");
        let start = envelope::read(&whole).unwrap().1;
        for length in start..whole.len() {
            store.put_raw("key", &whole[..length]);
            assert_eq!(region.get::<Vec<String>>("key").unwrap(), None, "{name}, cut to {length}");
        }
        store.put_raw("key", [&whole[..], b"1"].concat());
        assert_eq!(region.get::<Vec<String>>("key").unwrap(), None, "{name}, with a byte more");
    }
}

#[test]
fn a_serializer_can_be_registered_by_name_once() {
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

#[test]
fn a_value_that_cannot_be_serialised_is_an_error_that_names_region_and_key() {
    let store = ByteStore::default();
    let region = region_on(&store, |config| config);
    let error = region.set("some key", InMemory(1)).unwrap_err();
    assert_eq!(error.to_string(), "region \"serialised\" could not serialise the value of \"some key\"");
    let error = region.get_or_create("some key", || InMemory(1)).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("i32") && cause.contains("InMemory"), "{cause}");
    assert!(!region.key_is_locked("some key").unwrap());
}
