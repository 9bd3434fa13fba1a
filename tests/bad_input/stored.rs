//! Stored bytes that no region wrote. They are a miss and are replaced, and never cause an error or a panic.

use dogpile::sdk::{CreationTime, Metadata, envelope};
use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::regions::region_of;
use dogpile_tests::scripted::ByteStore;
use dogpile_tests::threads::bounded;
use serde::Deserialize;
use serde_json::Value;

fn region_on(store: &ByteStore, serializer: &str) -> CacheRegion {
    region_of("damaged", RegionConfig::from_instance(store.backend()).serializer_named(serializer))
}

/// Checks that `bytes` under a key are a miss for every form of reading, and are replaced.
fn is_a_miss_and_is_replaced(bytes: &[u8]) {
    let store = ByteStore::default();
    let region = region_on(&store, "json");
    let shown = || String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
    let put = || store.put_raw("key", bytes);
    put();
    assert_eq!(region.get::<Vec<i32>>("key").unwrap(), None, "{}", shown());
    assert_eq!(region.get_multi::<Vec<i32>>(&["key"]).unwrap(), [None], "{}", shown());
    assert_eq!(region.get_value_metadata::<Vec<i32>>("key").unwrap(), None, "{}", shown());
    let ignoring = region.options().ignore_expiration();
    assert_eq!(ignoring.get::<Vec<i32>>("key").unwrap(), None, "{}", shown());
    assert_eq!(ignoring.get_multi::<Vec<i32>>(&["key"]).unwrap(), [None], "{}", shown());
    assert_eq!(region.get_or_create("key", || vec![7]).unwrap(), [7], "{}", shown());
    assert_eq!(region.get("key").unwrap(), Some(vec![7]), "{}", shown());
    put();
    assert_eq!(region.get_or_create_multi(&["key"], |_| vec![vec![8]]).unwrap(), [[8]], "{}", shown());
    assert_eq!(region.get("key").unwrap(), Some(vec![8]), "{}", shown());
}

fn sealed(payload: &[u8]) -> Vec<u8> {
    envelope::write(&Metadata::new(CreationTime::from_seconds(1_700_000_000.25)), payload)
}

#[test]
fn whole_envelope_is_read() {
    let store = ByteStore::default();
    store.put_raw("key", br#"{"v": 2, "extra": {"a": [1]}, "ct": 1700000000}|[1, 2]"#);
    assert_eq!(region_on(&store, "json").get("key").unwrap(), Some(vec![1, 2]));
}

#[test]
fn truncated_envelope_is_a_miss() {
    let whole = sealed(b"[1, 2]");
    (0..whole.len()).for_each(|length| is_a_miss_and_is_replaced(&whole[..length]));
}

#[test]
fn bytes_without_an_envelope_are_a_miss() {
    let damaged: [&[u8]; 16] = [
        b"[1, 2]",
        b"|[1, 2]",
        b"no json|[1, 2]",
        b"null|[1, 2]",
        b"[]|[1, 2]",
        b"{}|[1, 2]",
        br#"{"ct": 1700000000.0, "v": 2}"#,
        br#"{"ct": 1700000000.0, "v": 2}[1, 2]"#,
        br#"{"v": 2}|[1, 2]"#,
        br#"{"ct": null, "v": 2}|[1, 2]"#,
        br#"{"ct": "1700000000.0", "v": 2}|[1, 2]"#,
        br#"{"ct": 1e999, "v": 2}|[1, 2]"#,
        br#"{"ct": 1700000000.0}|[1, 2]"#,
        br#"{"ct": 1700000000.0, "v": 2.5}|[1, 2]"#,
        br#"{'ct': 1700000000.0, 'v': 2}|[1, 2]"#,
        b"\xff\xfe\x00|[1, 2]",
    ];
    damaged.into_iter().for_each(is_a_miss_and_is_replaced);
}

#[test]
fn value_of_another_version_is_a_miss() {
    for version in ["1", "3", "0", "-2", "9223372036854775807", "99999999999999999999", "\"2\"", "true"] {
        let stored = format!("{{\"ct\": 1700000000.0, \"v\": {version}}}|[1, 2]");
        is_a_miss_and_is_replaced(stored.as_bytes());
    }
}

#[test]
fn huge_header_is_a_miss_without_delay() {
    is_a_miss_and_is_replaced(&vec![b'{'; 64 << 20]);
    is_a_miss_and_is_replaced("[".repeat(1 << 20).as_bytes());
    let long = format!("{{\"ct\": 1.0, \"v\": 2, \"x\": \"{}\"}}|[1, 2]", "x".repeat(1 << 20));
    is_a_miss_and_is_replaced(long.as_bytes());
}

#[test]
fn unreadable_payload_is_a_miss() {
    let damaged: [&[u8]; 7] =
        [b"", b"[1, 2", b"[1, \"two\"]", b"{\"a\": 1}", b"[1, 2] 3", b"[1e999]", b"\xff\xfe"];
    damaged.into_iter().for_each(|payload| is_a_miss_and_is_replaced(&sealed(payload)));
}

/// Returns lists in lists, `depth` deep, as each serializer writes them.
fn nested(serializer: &str, depth: usize) -> Vec<u8> {
    match serializer {
        "json" => [vec![b'['; depth], vec![b']'; depth]].concat(),
        "msgpack" => [vec![0x91; depth], vec![0xc0]].concat(),
        _ => [&b"\x80\x02"[..], &vec![b']'; depth], &vec![b'a'; depth - 1], b"."].concat(),
    }
}

/// A list of such lists.
#[derive(Clone, Debug, Deserialize, serde::Serialize)]
struct Nested(Vec<Nested>);

#[test]
fn deeply_nested_value_is_a_miss_and_spares_the_stack() {
    bounded(|| {
        for serializer in ["json", "msgpack", "pickle"] {
            for depth in [100, 1000, 100_000] {
                let store = ByteStore::default();
                let region = region_on(&store, serializer);
                let put = || store.put_raw("key", sealed(&nested(serializer, depth)));
                put();
                let value = region.get_or_create("key", || Value::Null).unwrap();
                assert!(depth == 100 || value.is_null(), "{serializer} read {depth} lists in each other");
                put();
                region.get_or_create("key", || Nested(Vec::new())).unwrap();
                put();
                region.get_or_create("key", Vec::<i32>::new).unwrap();
            }
        }
    });
}

#[test]
fn false_lengths_are_misses() {
    let store = ByteStore::default();
    let claims: [(&str, &[u8]); 9] = [
        ("msgpack", b"\xdd\xff\xff\xff\xff"),
        ("msgpack", b"\xdf\xff\xff\xff\xff"),
        ("msgpack", b"\xdb\xff\xff\xff\xffabc"),
        ("msgpack", b"\xc6\xff\xff\xff\xffabc"),
        ("pickle", b"\x80\x04X\xff\xff\xff\x7fabc."),
        ("pickle", b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7fabc."),
        ("pickle", b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc."),
        ("pickle", b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f."),
        ("pickle", b"\x80\x02\x8b\xff\xff\xff\x7f\x01."),
    ];
    for (serializer, payload) in claims {
        store.put_raw("key", sealed(payload));
        let region = region_on(&store, serializer);
        assert_eq!(region.get::<Vec<i32>>("key").unwrap(), None, "{}", payload.escape_ascii());
        assert_eq!(region.get::<String>("key").unwrap(), None, "{}", payload.escape_ascii());
        assert_eq!(region.get::<Value>("key").unwrap(), None, "{}", payload.escape_ascii());
    }
}

#[test]
fn pickle_that_runs_code_in_python_is_a_miss() {
    let store = ByteStore::default();
    let region = region_on(&store, "pickle");
    let hostile: [&[u8]; 3] = [
        b"cos\nsystem\n(S'echo harm'\ntR.",
        b"\x80\x02cbuiltins\neval\nq\x00X\x01\x00\x00\x001\x85R.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04harm\x85R.",
    ];
    for payload in hostile {
        store.put_raw("key", sealed(payload));
        assert_eq!(region.get::<i64>("key").unwrap(), None, "{}", payload.escape_ascii());
        assert_eq!(region.get_or_create("key", || 1_i64).unwrap(), 1);
    }
}

#[test]
fn extreme_creation_times_do_not_panic_or_overflow() {
    let store = ByteStore::default();
    for ct in ["-1e300", "1e300", "-0.0", "0", "253402300800", "-1"] {
        let region = region_on(&store, "json");
        store.put_raw("key", format!("{{\"ct\": {ct}, \"v\": 2}}|[1]"));
        let short = region.options().expiration_time(std::time::Duration::from_secs(1));
        short.get::<Vec<i32>>("key").unwrap();
        short.get_value_metadata::<Vec<i32>>("key").unwrap();
        assert_eq!(region.get("key").unwrap(), Some(vec![1]), "{ct}");
        region.invalidate().unwrap();
        region.get_or_create("key", || vec![2]).unwrap();
    }
}

#[test]
fn value_of_another_type_is_a_miss() {
    let store = ByteStore::default();
    for serializer in ["json", "msgpack", "pickle"] {
        let region = region_on(&store, serializer);
        region.set("key", "text".to_owned()).unwrap();
        assert_eq!(region.get::<Vec<i32>>("key").unwrap(), None);
        assert_eq!(region.get_or_create("key", || vec![1]).unwrap(), [1]);
        assert_eq!(region.get::<String>("key").unwrap(), None);
    }
    // One region stores a value in a format that the other cannot read.
    region_on(&store, "pickle").set("key", 5).unwrap();
    assert_eq!(region_on(&store, "json").get_or_create("key", || 6).unwrap(), 6);
}
