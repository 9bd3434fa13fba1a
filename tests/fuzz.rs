//! Random bytes and strings as input. They are read or refused, and nothing panics.
//!
//! `PROPTEST_CASES=20000` makes many of them; `tests/deep` does.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use dogpile::sdk::{CreationTime, Metadata, envelope};
use dogpile::{CacheRegion, Configuration, Expiration, RegionConfig};
use dogpile_tests::scripted::ByteStore;
use proptest::collection::vec;
use proptest::prelude::*;

/// Returns a region over bytes that another program wrote under `key`.
fn region_over(bytes: &[u8], serializer: &str) -> CacheRegion {
    let (store, region) = (ByteStore::default(), CacheRegion::new("fuzzed"));
    store.put_raw("key", bytes);
    let config = RegionConfig::from_instance(store.backend()).serializer_named(serializer);
    region.configure(config).unwrap();
    region
}

/// Reads the bytes in every way that a region does. A miss is replaced and then read.
fn read_and_replaced(bytes: &[u8]) {
    for serializer in ["json", "msgpack", "pickle"] {
        let region = region_over(bytes, serializer);
        let found = region.get::<Vec<String>>("key").unwrap();
        region.get_multi::<Vec<String>>(&["key", "other"]).unwrap();
        region.get_value_metadata::<Vec<String>>("key").unwrap();
        region.options().ignore_expiration().get::<Vec<String>>("key").unwrap();
        let made = vec!["made".to_owned()];
        let served = region.get_or_create("key", || made.clone()).unwrap();
        assert_eq!(served, found.unwrap_or(made));
        assert_eq!(region.get("key").unwrap(), Some(served));
    }
}

fn envelope_of(payload: &[u8]) -> Vec<u8> {
    envelope::write(&Metadata::new(CreationTime::from_seconds(1_700_000_000.123_456)), payload)
}

/// The same strings in JSON, MessagePack, and pickle of the protocols 0, 2, and 4.
const PAYLOADS: &[&[u8]] = &[
    br#"["one", "two"]"#,
    b"\x92\xa3one\xa3two",
    b"(lp0\nVone\np1\naVtwo\np2\na.",
    b"\x80\x02]q\x00(X\x03\x00\x00\x00oneq\x01X\x03\x00\x00\x00twoq\x02e.",
    b"\x80\x04\x95\x10\0\0\0\0\0\0\0]\x94(\x8c\x03one\x94\x8c\x03two\x94e.",
];

/// A change to a valid envelope.
#[derive(Clone, Debug)]
enum Harm {
    Cut(usize),
    Flip(usize, u8),
    Insert(usize, u8),
    Remove(usize),
}

fn harm() -> impl Strategy<Value = Harm> {
    let place = 0..80_usize;
    prop_oneof![
        place.clone().prop_map(Harm::Cut),
        (place.clone(), 1..=255_u8).prop_map(|(place, mask)| Harm::Flip(place, mask)),
        (place.clone(), any::<u8>()).prop_map(|(place, byte)| Harm::Insert(place, byte)),
        place.prop_map(Harm::Remove),
    ]
}

fn harmed(mut bytes: Vec<u8>, harms: &[Harm]) -> Vec<u8> {
    for harm in harms {
        let within = |place: &usize| *place % bytes.len().max(1);
        match harm {
            _ if bytes.is_empty() => {}
            Harm::Cut(place) => bytes.truncate(within(place)),
            Harm::Flip(place, mask) => {
                let place = within(place);
                bytes[place] ^= mask;
            }
            Harm::Insert(place, byte) => bytes.insert(within(place), *byte),
            Harm::Remove(place) => drop(bytes.remove(within(place))),
        }
    }
    bytes
}

/// The parts of documents. `¶` is the end of a line.
const PIECES: &str = "[regions.r]¶|[regions.r.arguments]¶|[plugins]¶|backend|expiration_time|wrap|key_mangler
    serializer|arguments|mangle_invalid_keys|name|max_entries|prefix|path|'dogpile.cache.memory'|'json'|'sha1'
    'dogpile.proxy.logging'|'5m'|=|¶|[|]|{|}|,|-1|1e400|nan|inf|true|false|0|'|'''|#|.|\"";

const NAMES: &str = "p.backend|p.expiration_time|p.key_mangler|p.serializer|p.mangle_invalid_keys|p.wrap
    p.arguments.max_entries|p.arguments.max_bytes|p.arguments.|p.|p.arguments|q.backend";

const VALUES: &str =
    "dogpile.cache.memory|dogpile.cache.null|dogpile.proxy.logging dogpile.proxy.readonly|None|true
    600|-1|-5|nan|inf|1e400|5m|99999999999999999999y|sha1|json|";

/// Returns one of `words`, or sometimes an arbitrary string.
fn one_of(words: &'static str) -> impl Strategy<Value = String> {
    let words: Vec<String> = words.split(['|', '\n']).map(|word| word.trim().replace('¶', "\n")).collect();
    prop_oneof![4 => prop::sample::select(words), 1 => any::<String>()]
}

fn document() -> impl Strategy<Value = String> {
    vec(one_of(PIECES), 0..30).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_a_value_or_a_miss(bytes in vec(any::<u8>(), 0..300)) {
        if let Some((_, start)) = envelope::read(&bytes) {
            prop_assert_eq!(bytes[start - 1], b'|');
        }
        read_and_replaced(&bytes);
    }

    #[test]
    fn arbitrary_payload_in_an_envelope_is_a_value_or_a_miss(payload in vec(any::<u8>(), 0..300)) {
        read_and_replaced(&envelope_of(&payload));
    }

    #[test]
    fn damaged_envelope_is_a_value_or_a_miss(
        payload in prop::sample::select(PAYLOADS),
        harms in vec(harm(), 1..4),
    ) {
        read_and_replaced(&harmed(envelope_of(payload), &harms));
    }

    #[test]
    fn arbitrary_headers_are_read_or_are_a_miss(header in ".{0,60}", ct in any::<f64>(), v in any::<i64>()) {
        read_and_replaced(format!("{header}|[]").as_bytes());
        read_and_replaced(format!("{{\"ct\": {ct:?}, \"v\": {v}}}|[]").as_bytes());
    }

    #[test]
    fn arbitrary_documents_configure_or_are_refused(document in document()) {
        match Configuration::from_toml(&document) {
            Ok(configuration) => drop(configuration.regions()),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn arbitrary_flat_names_configure_or_are_refused(entries in vec((one_of(NAMES), one_of(VALUES)), 0..8)) {
        match RegionConfig::from_flat(entries, "p.") {
            Ok(config) => drop(CacheRegion::new("fuzzed").configure(config)),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn arbitrary_texts_are_expirations_or_are_refused(text in any::<String>(), seconds in any::<f64>()) {
        let _ = text.parse::<Expiration>();
        if let Ok(Expiration::After(limit)) = Expiration::from_seconds(seconds) {
            prop_assert!(seconds >= 0.0);
            prop_assert!((limit.as_secs_f64() - seconds).abs() <= 1e-9 + seconds * 1e-12);
        }
    }
}
