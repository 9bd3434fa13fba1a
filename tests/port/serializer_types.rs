//! The tables of types in `docs/types.md`, generated with the real Python and each serializer.
//!
//! `DOGPILE_TESTS_REWRITE=1` writes the tables to the file instead of comparing them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::{Debug, Write};
use std::path::Path;
use std::{env, fs};

use dogpile::CacheValue;
use dogpile::serializer::Serializer;
use serde::{Deserialize, Serialize};

use crate::serializer_blob::ByteBuf;
use crate::serializer_python::{Python, SERIALIZERS};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Struct {
    a: u8,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Unit;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Newtype(u8);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Pair(u8, u8);

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Enum {
    Unit,
    Newtype(u8),
    Tuple(u8, u8),
    Struct { a: u8 },
}

/// Returns whether bytes are read as a certain value. Values are compared as text, because NaN does not equal itself.
type Reads = Box<dyn Fn(&[u8], &dyn Serializer) -> bool>;

/// A Rust type, and how it reads the value of a row.
type Candidate = (&'static str, Reads);

fn reads<T: CacheValue + Debug>(expected: &T) -> Reads {
    let expected = format!("{expected:?}");
    Box::new(move |bytes, serializer| {
        T::deserialize(bytes, serializer).is_ok_and(|read| format!("{read:?}") == expected)
    })
}

/// Returns the values of Python, each with the Rust types that may read it.
fn python_values() -> Vec<(&'static str, Vec<Candidate>)> {
    let numbers = || -> Vec<Candidate> {
        vec![
            ("`Vec<u8>`", reads(&vec![1_u8, 2])),
            ("`(u8, u8)`", reads(&(1_u8, 2_u8))),
            ("`ByteBuf`", reads(&ByteBuf(vec![1, 2]))),
        ]
    };
    let set = || -> Vec<Candidate> {
        vec![("`HashSet<u8>`", reads(&HashSet::from([1_u8]))), ("`Vec<u8>`", reads(&vec![1_u8]))]
    };
    let bytes = || -> Vec<Candidate> {
        vec![
            ("`ByteBuf`", reads(&ByteBuf(b"a\xff".to_vec()))),
            ("`Vec<u8>`", reads(&b"a\xff".to_vec())),
            ("`String`", reads(&"a\u{ff}".to_owned())),
        ]
    };
    let names = || -> Vec<Candidate> {
        vec![
            ("`HashMap<String, u8>`", reads(&HashMap::from([("a".to_owned(), 1_u8)]))),
            ("struct", reads(&Struct { a: 1 })),
        ]
    };
    let text = |value: &str| -> Vec<Candidate> { vec![("`String`", reads(&value.to_owned()))] };
    vec![
        ("None", vec![("`Option`", reads(&None::<u8>)), ("`()`", reads(&())), ("unit struct", reads(&Unit))]),
        ("True", vec![("`bool`", reads(&true)), ("`u8`", reads(&1_u8))]),
        ("5", vec![("`u8`", reads(&5_u8)), ("`i64`", reads(&5_i64)), ("`f64`", reads(&5.0))]),
        ("2**63", vec![("`u64`", reads(&(1_u64 << 63))), ("`u128`", reads(&(1_u128 << 63)))]),
        ("2**100", vec![("`u128`", reads(&(1_u128 << 100))), ("`i128`", reads(&(1_i128 << 100)))]),
        ("2**200", vec![("`u128`", reads(&0_u128)), ("`f64`", reads(&2_f64.powi(200)))]),
        ("1.5", vec![("`f64`", reads(&1.5)), ("`f32`", reads(&1.5_f32))]),
        ("float('nan')", vec![("`f64`", reads(&f64::NAN))]),
        ("float('inf')", vec![("`f64`", reads(&f64::INFINITY))]),
        ("'text'", text("text")),
        ("'a'", vec![("`String`", reads(&"a".to_owned())), ("`char`", reads(&'a'))]),
        ("'\\ud800'", text("\u{fffd}")),
        ("b'a\\xff'", bytes()),
        ("bytearray(b'a\\xff')", bytes()),
        ("[1, 2]", numbers()),
        ("(1, 2)", numbers()),
        ("{1}", set()),
        ("frozenset({1})", set()),
        ("{'a': 1}", names()),
        ("OrderedDict(a=1)", names()),
        ("{1: 2}", vec![("`HashMap<u8, u8>`", reads(&HashMap::from([(1_u8, 2_u8)])))]),
        ("{(1, 2): 3}", vec![("`HashMap<(u8, u8), u8>`", reads(&HashMap::from([((1_u8, 2_u8), 3_u8)])))]),
        ("Pair(1, 2)", numbers()),
        ("Color.RED", vec![("`u8`", reads(&1_u8))]),
        ("Point(1)", names()),
        ("datetime(2020, 1, 1)", text("2020-01-01T00:00:00")),
        ("UUID(int=5)", text("00000000-0000-0000-0000-000000000005")),
        ("Decimal('1.5')", text("1.5")),
    ]
}

/// Writes a value with a serializer, and returns the bytes and whether they are read back as the same value.
type Writes = Box<dyn Fn(&dyn Serializer) -> Option<(Vec<u8>, bool)>>;

fn writes<T: CacheValue + Debug>(value: T) -> Writes {
    Box::new(move |serializer| {
        let bytes = value.serialize(serializer).ok()?;
        let is_read_back = reads(&value)(&bytes, serializer);
        Some((bytes, is_read_back))
    })
}

/// Returns values of Rust.
fn rust_values() -> Vec<(&'static str, Writes)> {
    vec![
        ("None", writes(None::<u8>)),
        ("Some(5)", writes(Some(5))),
        ("Some(None::<u8>)", writes(Some(None::<u8>))),
        ("()", writes(())),
        ("true", writes(true)),
        ("-5_i8", writes(-5_i8)),
        ("u64::MAX", writes(u64::MAX)),
        ("u128::MAX", writes(u128::MAX)),
        ("1.5_f32", writes(1.5_f32)),
        ("0.1_f64", writes(0.1)),
        ("f64::NAN", writes(f64::NAN)),
        ("f64::INFINITY", writes(f64::INFINITY)),
        ("'a'", writes('a')),
        ("String::from(\"text\")", writes("text".to_owned())),
        ("vec![97_u8, 255]", writes(vec![97_u8, 255])),
        ("ByteBuf::from([97, 255])", writes(ByteBuf(vec![97, 255]))),
        ("(1, \"a\")", writes((1, "a".to_owned()))),
        ("[1, 2]", writes([1, 2])),
        ("vec![1, 2]", writes(vec![1, 2])),
        ("HashSet::from([1])", writes(HashSet::from([1]))),
        ("HashMap::from([(\"a\", 1)])", writes(HashMap::from([("a".to_owned(), 1)]))),
        ("HashMap::from([(1_u32, 2)])", writes(HashMap::from([(1_u32, 2)]))),
        ("HashMap::from([((1, 2), 3)])", writes(HashMap::from([((1, 2), 3)]))),
        ("HashMap::from([(vec![1], 2)])", writes(HashMap::from([(vec![1], 2)]))),
        ("BTreeMap::from([(Some(1), 2)])", writes(BTreeMap::from([(Some(1), 2)]))),
        ("Struct { a: 1 }", writes(Struct { a: 1 })),
        ("Unit", writes(Unit)),
        ("Newtype(1)", writes(Newtype(1))),
        ("Pair(1, 2)", writes(Pair(1, 2))),
        ("Enum::Unit", writes(Enum::Unit)),
        ("Enum::Newtype(1)", writes(Enum::Newtype(1))),
        ("Enum::Tuple(1, 2)", writes(Enum::Tuple(1, 2))),
        ("Enum::Struct { a: 1 }", writes(Enum::Struct { a: 1 })),
    ]
}

/// Returns the Rust types that read what Python writes for `source`.
fn rust_types(
    python: &Python,
    name: &str,
    serializer: &dyn Serializer,
    source: &str,
    types: &[Candidate],
) -> String {
    let Some(bytes) = python.write(name, source, None) else { return "Python cannot write it".to_owned() };
    let reading: Vec<_> =
        types.iter().filter(|(_, reads)| reads(&bytes, serializer)).map(|(name, _)| *name).collect();
    if reading.is_empty() { "miss".to_owned() } else { reading.join(", ") }
}

/// Returns what Python reads from what Rust writes.
fn python_value(python: &Python, name: &str, serializer: &dyn Serializer, writes: &Writes) -> String {
    match writes(serializer) {
        None => "Rust cannot write it".to_owned(),
        // A region stores only what it reads back.
        Some((_, false)) => "refused".to_owned(),
        Some((bytes, true)) => match python.read(name, &bytes) {
            Ok(value) => format!("`{value}`"),
            Err(_) => "Python cannot read it".to_owned(),
        },
    }
}

fn table<T>(
    head: &str,
    rows: &[(&str, T)],
    cell: impl Fn(&str, &T, &str, &dyn Serializer) -> String,
) -> String {
    let mut table = format!("\n| {head} | `json` | `msgpack` | `pickle` |\n|---|---|---|---|\n");
    for (label, row) in rows {
        let cells = SERIALIZERS.map(|(name, serializer)| cell(label, row, name, serializer));
        writeln!(table, "| `{label}` | {} |", cells.join(" | ")).unwrap();
    }
    table
}

/// Replaces the text between the comments `<!-- NAME -->` and `<!-- end -->`.
fn replace(page: &str, name: &str, table: &str) -> String {
    let begin = format!("<!-- {name} -->\n");
    let (before, rest) = page.split_once(&begin).unwrap();
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    format!("{before}{begin}{table}\n<!-- end -->{after}")
}

#[cfg_attr(missing_python, ignore = "needs Python")]
#[test]
fn tables_of_types_equal_what_python_does() {
    let python = Python::start();
    let from_python = table("Python", &python_values(), |source, types, name, serializer| {
        rust_types(&python, name, serializer, source, types)
    });
    let from_rust = table("Rust", &rust_values(), |_, writes, name, serializer| {
        python_value(&python, name, serializer, writes)
    });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/types.md");
    let page = fs::read_to_string(&path).unwrap();
    let expected = replace(&replace(&page, "from Python", &from_python), "from Rust", &from_rust);
    if env::var_os("DOGPILE_TESTS_REWRITE").is_some() {
        fs::write(path, expected).unwrap();
    } else {
        assert_eq!(page, expected, "docs/types.md is outdated; run this test with DOGPILE_TESTS_REWRITE=1");
    }
}
