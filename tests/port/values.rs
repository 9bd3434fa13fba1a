//! A stored value is read back unchanged, or is refused.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use dogpile::sdk::{CachedValue, CreationTime, Metadata, Payload};
use dogpile::{CacheRegion, RegionConfig, RegionError};
use dogpile_tests::events::{Events, Told};
use dogpile_tests::regions::region_of;
use dogpile_tests::scripted::{ByteStore, Scripted};
use tracing::Level;

const SERIALIZERS: [&str; 3] = ["json", "msgpack", "pickle"];

fn region_reading(name: &'static str, serializer: &str) -> (CacheRegion, ByteStore) {
    let store = ByteStore::default();
    let config = RegionConfig::from_instance(store.backend()).serializer_named(serializer);
    (region_of(name, config), store)
}

/// Stores `bytes` under `key`, as another program does.
fn store_foreign(region: &CacheRegion, key: &str, bytes: &[u8]) {
    let (payload, metadata) = (Payload::Bytes(bytes.to_vec().into()), Metadata::new(CreationTime::now()));
    region.backend().unwrap().set(key, CachedValue { payload, metadata }, &Default::default()).unwrap();
}

fn warnings(events: &Events) -> Vec<Told> {
    events.take().into_iter().filter(|event| event.level == Level::WARN).collect()
}

#[test]
fn lossy_value_set_fails_and_stores_nothing() {
    for serializer in SERIALIZERS {
        let (region, store) = region_reading("lossy set", serializer);
        let error = region.set("key", Some(None::<u32>)).unwrap_err();
        assert!(matches!(error, RegionError::Serialize { .. }), "{error:?}");
        let text = format!("{error:#}");
        assert!(
            text.starts_with("region \"lossy set\" could not serialize the value of \"key\": a value of"),
            "{text}"
        );
        assert!(
            text.contains(&format!("by serializer {serializer:?}: Some(None) would become None; ")),
            "{text}"
        );
        let entries = [("good", Some(Some(1_u32))), ("bad", Some(None))];
        assert!(region.set_multi(entries).is_err());
        assert_eq!(store.keys(), Vec::<String>::new());
    }
}

#[test]
fn lossy_created_value_is_returned_with_a_warning() {
    for serializer in SERIALIZERS {
        let (region, store) = region_reading("lossy creation", serializer);
        let events = Events::of_region("lossy creation");
        assert_eq!(region.get_or_create("key", || Some(None::<u32>)).unwrap(), Some(None));
        let warnings = warnings(&events);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].fields["error"].contains("\"key\""), "{warnings:?}");
        let values = |keys: &[&str]| keys.iter().map(|key| (*key == "good").then_some(None::<u8>)).collect();
        let created: Vec<Option<Option<u8>>> = region.get_or_create_multi(&["bad", "good"], values).unwrap();
        assert_eq!(created, [None, Some(None)]);
        assert_eq!(store.keys(), ["bad"]);
    }
}

#[test]
fn numbers_that_are_not_finite_are_stored() {
    for serializer in SERIALIZERS {
        let (region, _) = region_reading("not a number", serializer);
        let calls = AtomicU32::new(0);
        for _ in 0..3 {
            let numbers = region.get_or_create("key", || {
                calls.fetch_add(1, SeqCst);
                vec![Some(f64::NAN), None, Some(f64::NEG_INFINITY), Some(1.5)]
            });
            assert_eq!(format!("{:?}", numbers.unwrap()), "[Some(NaN), None, Some(-inf), Some(1.5)]");
        }
        assert_eq!(calls.load(SeqCst), 1, "{serializer}");
    }
}

#[test]
fn own_value_of_another_type_logs_one_warning() {
    let (region, _) = region_reading("own unreadable", "json");
    let events = Events::of_region("own unreadable");
    region.set("key", 5_u32).unwrap();
    for _ in 0..3 {
        assert_eq!(region.get::<String>("key").unwrap(), None);
    }
    let warnings = warnings(&events);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let Told { message, fields, .. } = &warnings[0];
    assert_eq!(
        message,
        "the value for key was stored by this process, cannot be read, and counts as missing"
    );
    assert_eq!((&*fields["key"], &*fields["value_type"]), ("\"key\"", "alloc::string::String"));
    assert!(fields["error"].starts_with("invalid type: integer `5`, expected a string"), "{fields:?}");
}

#[test]
fn warning_about_a_large_value_is_short() {
    let (region, _) = region_reading("large unreadable", "json");
    let events = Events::of_region("large unreadable");
    region.set("key", "x".repeat(1_000_000)).unwrap();
    assert_eq!(region.get::<u32>("key").unwrap(), None);
    let warnings = warnings(&events);
    assert!(
        warnings[0].fields["error"].starts_with("invalid type: string \"...\", expected u32"),
        "{warnings:?}"
    );
    assert!(warnings[0].fields["error"].len() < 400, "{warnings:?}");
}

/// A value that reads a string where it writes a number, and the other way round.
#[derive(Clone, Debug)]
struct Swapped(&'static str);

impl serde::Serialize for Swapped {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Swapped {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u32::deserialize(deserializer).map(|_| Swapped("a number"))
    }
}

/// Values may be secret. A reason that quotes one is logged without it.
#[test]
fn warnings_do_not_show_values() {
    for serializer in SERIALIZERS {
        let (region, _) = region_reading("secretive", serializer);
        let events = Events::of_region("secretive");
        region.set("key", "hunter2".to_owned()).unwrap();
        assert_eq!(region.get::<u32>("key").unwrap(), None);
        assert_eq!(region.get::<Option<bool>>("key").unwrap(), None);
        region.get_or_create("swapped", || Swapped("hunter3")).unwrap();
        let told = events.take();
        assert_eq!(told.iter().filter(|told| told.level == tracing::Level::WARN).count(), 2, "{told:?}");
        assert!(!format!("{told:?}").contains("hunter"), "{told:?}");
    }
}

#[test]
fn object_of_another_type_logs_one_warning_per_pair() {
    let region = region_of("mismatch", RegionConfig::from_instance(Scripted::new()));
    let events = Events::of_region("mismatch");
    region.set_multi([("a", 5_u32), ("b", 6)]).unwrap();
    for key in ["a", "b", "a"] {
        assert_eq!(region.get::<u64>(key).unwrap(), None);
    }
    assert_eq!(region.get::<i8>("a").unwrap(), None);
    let messages: Vec<_> = warnings(&events).into_iter().map(|event| event.message).collect();
    let message = "the value for key is of type u32 and counts as missing; read it as that type";
    assert_eq!(messages, [message, message]);
}

#[test]
fn pickle_in_a_json_region_logs_one_warning() {
    let (region, _) = region_reading("foreign pickle", "json");
    let events = Events::of_region("foreign pickle");
    ["a", "b"].iter().for_each(|key| store_foreign(&region, key, b"\x80\x04K\x05."));
    assert_eq!(region.get_multi::<u32>(&["a", "b"]).unwrap(), [None, None]);
    assert_eq!(region.get::<u32>("a").unwrap(), None);
    let warnings = warnings(&events);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let message = "the value for key seems to be pickle, but the region reads json; set serializer = \"pickle\" to \
                   share values with the program that stored it, or use keys of its own";
    assert_eq!(warnings[0].message, message);
}

#[test]
fn json_in_a_pickle_region_logs_one_warning() {
    let (region, _) = region_reading("foreign json", "pickle");
    let events = Events::of_region("foreign json");
    store_foreign(&region, "key", b"{\"a\": 1}");
    for _ in 0..2 {
        assert_eq!(region.get::<HashMap<String, u32>>("key").unwrap(), None);
    }
    let warnings = warnings(&events);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].message.contains("set serializer = \"json\""), "{warnings:?}");
}

#[test]
fn garbage_of_another_program_logs_no_warning() {
    let (region, _) = region_reading("garbage", "json");
    let events = Events::of_region("garbage");
    store_foreign(&region, "key", b"\x93\x01");
    assert_eq!(region.get::<u32>("key").unwrap(), None);
    assert_eq!(warnings(&events), []);
}
