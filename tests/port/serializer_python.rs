//! The serializers compared with the real Python. Each side reads what the other one writes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::path::Path;
use std::process::Command;

use dogpile::CacheValue;
use dogpile::serializer::{Json, MsgPack, Pickle, Serializer};
use dogpile_tests::peer::Peer;
use dogpile_tests::servers::python;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::serializer_blob::ByteBuf;

/// Python's `json`, `msgpack`, and `pickle`.
pub(crate) struct Python(Peer);

impl Python {
    /// Starts Python.
    pub(crate) fn start() -> Self {
        let python = python().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/serializers.py");
        Python(Peer::run(Command::new(python).arg(script), &json!({})))
    }

    /// Returns the bytes of the Python expression `value`, unless Python refuses to write it.
    pub(crate) fn write(&self, serializer: &str, value: &str, protocol: Option<u8>) -> Option<Vec<u8>> {
        let command =
            json!({ "do": "write", "serializer": serializer, "value": value, "protocol": protocol });
        let reply = self.0.ask(&command);
        let hex = reply.get("bytes")?.as_str()?;
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        Some((0..hex.len()).step_by(2).map(byte).collect())
    }

    /// Returns the `repr` of the value that Python reads from `bytes`.
    ///
    /// # Errors
    /// The reason of Python to refuse them.
    pub(crate) fn read(&self, serializer: &str, bytes: &[u8]) -> Result<String, String> {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let reply = self.0.ask(&json!({ "do": "read", "serializer": serializer, "written": hex }));
        let text = |name| Some(reply.get(name)?.as_str()?.to_owned());
        text("value").ok_or_else(|| text("refused").unwrap())
    }
}

/// The serializers by the names of the modules of Python that share their formats.
pub(crate) const SERIALIZERS: [(&str, &dyn Serializer); 3] =
    [("json", &Json), ("msgpack", &MsgPack), ("pickle", &Pickle)];

/// Checks that the Python expression `value` is read as `expected`, from pickles of all protocols.
fn is_read_as<T: CacheValue + DeserializeOwned + PartialEq + Debug>(
    python: &Python,
    value: &str,
    expected: &T,
) {
    for protocol in 0..=5 {
        let bytes = python.write("pickle", value, Some(protocol)).unwrap();
        let read = <T as CacheValue>::deserialize(&bytes, &Pickle);
        let read = read.unwrap_or_else(|error| panic!("{value}: {error}: {}", bytes.escape_ascii()));
        assert_eq!(read, *expected, "{value} in protocol {protocol}: {}", bytes.escape_ascii());
    }
}

#[cfg_attr(missing_python, ignore = "needs Python")]
#[test]
fn plain_values_of_all_pickle_protocols_are_read() {
    let python = Python::start();
    is_read_as(&python, "[None, True, False]", &vec![None, Some(true), Some(false)]);
    for integer in [0, 1, -1, 255, 256, 65_536, i64::MAX.into(), i64::MIN.into(), 1 << 64, i128::MIN] {
        is_read_as(&python, &integer.to_string(), &integer);
    }
    is_read_as(&python, "2**128 - 1", &u128::MAX);
    is_read_as(
        &python,
        "[0.1, -0.0, 5e-324, float('inf'), -1e308]",
        &vec![0.1, -0.0, 5e-324, f64::INFINITY, -1e308],
    );
    let text = "it's \"ä\" \\ \\u0041 \n\r\0\u{1a} €😀\u{10ffff}";
    is_read_as(&python, "'it\\'s \"ä\" \\\\ \\\\u0041 \\n\\r\\0\\x1a €😀\\U0010ffff'", &text.to_owned());
    for length in [0, 255, 256, 70_000] {
        is_read_as(&python, &format!("'ä' * {length}"), &"ä".repeat(length));
        is_read_as(&python, &format!("b'\\xff\\x00' * {length}"), &ByteBuf([255, 0].repeat(length)));
        is_read_as(&python, &format!("bytearray(b'\\xe4a') * {length}"), &[0xe4, b'a'].repeat(length));
    }
}

#[cfg_attr(missing_python, ignore = "needs Python")]
#[test]
fn containers_of_all_pickle_protocols_are_read() {
    let python = Python::start();
    let numbers = |count: u32| (0..count).collect::<Vec<_>>();
    for count in [0, 1, 2, 3, 4, 1000, 1001, 2500] {
        is_read_as(&python, &format!("list(range({count}))"), &numbers(count));
        is_read_as(&python, &format!("tuple(range({count}))"), &numbers(count));
        is_read_as(
            &python,
            &format!("set(range({count}))"),
            &numbers(count).into_iter().collect::<BTreeSet<_>>(),
        );
        is_read_as(&python, &format!("frozenset(range({count}))"), &BTreeSet::from_iter(numbers(count)));
        let dict = numbers(count).into_iter().map(|key| (key, key.to_string())).collect::<BTreeMap<_, _>>();
        is_read_as(&python, &format!("{{n: str(n) for n in range({count})}}"), &dict);
        is_read_as(&python, &format!("OrderedDict((n, str(n)) for n in range({count}))"), &dict);
    }
    is_read_as(&python, "{(1, 'a'): [{'b': ()}]}", &BTreeMap::from([((1, 'a'), vec![json!({ "b": [] })])]));
}

#[cfg_attr(missing_python, ignore = "needs Python")]
#[test]
fn shared_objects_of_all_pickle_protocols_are_read() {
    let python = Python::start();
    let shared = "(lambda d: [d, d, [d, d]])";
    is_read_as(&python, &format!("{shared}({{'k': 'v'}})[:2]"), &vec![json!({ "k": "v" }); 2]);
    is_read_as(&python, &format!("{shared}(['a'])"), &json!([["a"], ["a"], [["a"], ["a"]]]));
    is_read_as(&python, &format!("{shared}((1, 2, 3, 4))[:2]"), &vec![(1, 2, 3, 4); 2]);
    is_read_as(&python, &format!("{shared}({{1}})[:2]"), &vec![BTreeSet::from([1]); 2]);
    is_read_as(&python, &format!("{shared}(b'\\xff')[:2]"), &vec![ByteBuf(vec![255]); 2]);
    let rows =
        "(lambda s: [{'id': n, 'shop': s} for n in range(1000)])({str(k): 'text %d' % k for k in range(20)})";
    let shop: BTreeMap<String, String> =
        (0..20).map(|key| (key.to_string(), format!("text {key}"))).collect();
    let rows_read: Vec<Value> = (0..1000).map(|id| json!({ "id": id, "shop": shop })).collect();
    is_read_as(&python, rows, &rows_read);
}

#[cfg_attr(missing_python, ignore = "needs Python")]
#[test]
fn python_objects_of_all_pickle_protocols_are_refused() {
    let python = Python::start();
    let objects = [
        "Point(1)",
        "Pair(1, 2)",
        "Color.RED",
        "Text('a')",
        "UUID(int=5)",
        "Decimal('1.5')",
        "datetime(2020, 1, 1)",
        "date(2020, 1, 1)",
        "1j",
        "range(3)",
        "[Pair(1, 2)]",
        "int",
        "len",
        "...",
    ];
    for object in objects {
        for protocol in 0..=5 {
            let bytes = python.write("pickle", object, Some(protocol)).unwrap();
            let error = <Value as CacheValue>::deserialize(&bytes, &Pickle).unwrap_err().to_string();
            assert!(error.contains("a Python object of class"), "{object} in protocol {protocol}: {error}");
        }
    }
    for (value, reason) in [("'\\ud800'", "lone surrogate"), ("2**200", "more than 128 bits")] {
        for protocol in 0..=5 {
            let bytes = python.write("pickle", value, Some(protocol)).unwrap();
            let error = <Value as CacheValue>::deserialize(&bytes, &Pickle).unwrap_err().to_string();
            assert!(error.contains(reason), "{value} in protocol {protocol}: {error}");
        }
    }
}

/// A value as Python source, and the same in JSON.
fn value() -> impl Strategy<Value = (String, Value)> {
    let text = "[ -~]{0,6}|[a-zé\u{301}\u{a0}\u{1f600}\n\t\\\\'\"|\0]{0,6}";
    let escaped = |text: &str| text.chars().map(|c| format!("\\U{:08x}", u32::from(c))).collect::<String>();
    let leaf = prop_oneof![
        Just(("None".to_owned(), Value::Null)),
        any::<bool>().prop_map(|truth| (if truth { "True" } else { "False" }.to_owned(), truth.into())),
        any::<i64>().prop_map(|number| (number.to_string(), number.into())),
        any::<u64>().prop_map(|number| (number.to_string(), number.into())),
        (-300..300_i32, any::<i32>()).prop_map(|(exponent, digits)| {
            let number = format!("{digits}e{exponent}");
            let value = number.parse::<f64>().unwrap();
            (format!("float('{number}')"), value.into())
        }),
        text.prop_map(move |text| (format!("'{}'", escaped(&text)), text.into())),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        let key = "[a-z\\\\é]{0,3}";
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|items| {
                let (sources, values): (Vec<_>, Vec<_>) = items.into_iter().unzip();
                (format!("[{}]", sources.join(",")), Value::from(values))
            }),
            prop::collection::btree_map(key, inner, 0..6).prop_map(move |entries| {
                let source =
                    |(key, (source, _)): (&String, &(String, Value))| format!("'{}':{source}", escaped(key));
                let sources: Vec<_> = entries.iter().map(source).collect();
                let values = entries.iter().map(|(key, (_, value))| (key.clone(), value.clone())).collect();
                (format!("{{{}}}", sources.join(",")), Value::Object(values))
            }),
        ]
    })
}

/// Arbitrary values are read from what Python writes, and Python reads what we write.
#[cfg_attr(missing_python, ignore = "needs Python")]
#[test]
fn arbitrary_values_are_shared_with_python() {
    let python = Python::start();
    let (mut runner, values) = (TestRunner::deterministic(), value());
    for _ in 0..300 {
        let (source, value) = values.new_tree(&mut runner).unwrap().current();
        let plain = python.read("json", &serde_json::to_vec(&value).unwrap()).unwrap();
        for (name, serializer) in SERIALIZERS {
            for protocol in if name == "pickle" { 0..=5 } else { 0..=0 } {
                let bytes = python.write(name, &source, Some(protocol)).unwrap();
                let read = <Value as CacheValue>::deserialize(&bytes, serializer);
                assert_eq!(read.ok().as_ref(), Some(&value), "{source}, {name} in protocol {protocol}");
            }
            let bytes = CacheValue::serialize(&value, serializer).unwrap();
            assert_eq!(python.read(name, &bytes).as_ref(), Ok(&plain), "{source}, {name}");
        }
    }
}
