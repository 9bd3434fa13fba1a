//! The serializer `pickle`: values that are read back, and pickles that are refused.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;

use dogpile::CacheValue;
use dogpile::serializer::Pickle;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::serializer_blob::ByteBuf;

fn read<T: CacheValue>(bytes: &[u8]) -> Result<T, String> {
    T::deserialize(bytes, &Pickle).map_err(|error| error.to_string())
}

fn write<T: CacheValue>(value: &T) -> Result<Vec<u8>, String> {
    value.serialize(&Pickle).map_err(|error| error.to_string())
}

fn written<T: CacheValue>(value: &T) -> Vec<u8> {
    write(value).unwrap()
}

fn comes_back<T: CacheValue + PartialEq + Debug>(value: T) {
    let bytes = written(&value);
    assert_eq!(read::<T>(&bytes), Ok(value), "{}", bytes.escape_ascii());
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Newtype(u8);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Pair(u8, String);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Form {
    Unit,
    Newtype(Option<u8>),
    Nothing(()),
    Tuple(i16, String),
    Empty(),
    Struct { a: u64, b: Vec<Form> },
    Bare {},
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    One { size: u64 },
    Two(BTreeMap<String, i8>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    name: char,
    #[serde(flatten)]
    rest: BTreeMap<String, i32>,
}

#[test]
fn integers_of_every_width_come_back() {
    for shift in 0..128 {
        for value in [1_u128 << shift, (1 << shift) - 1, u128::MAX >> shift] {
            comes_back(value);
            comes_back(value as u64);
            comes_back((value as u32, value as u16, value as u8));
            comes_back((value as i128, (value as i128).wrapping_neg()));
            comes_back((value as i64, (value as i64).wrapping_neg(), value as i8));
        }
    }
    comes_back(std::time::Duration::MAX);
}

#[test]
fn scalars_come_back() {
    comes_back((true, false, (), Unit, Newtype(7), Some(1), None::<i8>));
    comes_back(['a', 'ä', '\u{10ffff}', '\0', '\n'].to_vec());
    comes_back(vec![f32::MIN_POSITIVE, f32::MAX, -0.0, f32::INFINITY, 0.1]);
    comes_back(vec![f64::MIN_POSITIVE, f64::MAX, 5e-324, f64::NEG_INFINITY, 0.1]);
    assert!(read::<f64>(&written(&f64::NAN)).unwrap().is_nan());
    assert!(read::<f32>(&written(&f32::NAN)).unwrap().is_nan());
    for length in [0, 1, 255, 256, 70_000] {
        comes_back(ByteBuf((0..length).map(|byte| byte as u8).collect()));
        comes_back("ä".repeat(length));
    }
}

#[test]
fn containers_come_back() {
    for length in [0, 1, 2, 3, 4, 999, 1000, 1001, 2000, 2001_u16] {
        comes_back((0..length).collect::<Vec<_>>());
        comes_back((0..length).map(|key| (key, key.to_string())).collect::<HashMap<_, _>>());
        comes_back((0..length).collect::<BTreeSet<_>>());
    }
    comes_back([[1_u8; 3]; 4]);
    comes_back((Pair(1, "b".to_owned()), [(); 3], (1, (2, (3,)))));
    comes_back(BTreeMap::from([((1, 'a'), vec![Some(1.5)]), ((2, 'b'), vec![None])]));
    comes_back(BTreeMap::from([(vec![1, 2], 1), (vec![], 2)]));
    comes_back(BTreeMap::from([(None, 1), (Some(true), 2)]));
}

#[test]
fn enums_come_back() {
    let forms = vec![
        Form::Unit,
        Form::Newtype(None),
        Form::Newtype(Some(1)),
        Form::Nothing(()),
        Form::Tuple(-1, "x".to_owned()),
        Form::Empty(),
        Form::Bare {},
    ];
    comes_back(Form::Struct { a: u64::MAX, b: forms });
    comes_back(BTreeMap::from([(Form::Unit, 1)]));
    comes_back(vec![Tagged::One { size: 1 << 40 }, Tagged::Two(BTreeMap::from([("a".to_owned(), -1)]))]);
    comes_back(Flat { name: 'ä', rest: BTreeMap::from([("x".to_owned(), 1), ("y".to_owned(), -1)]) });
    comes_back(Some(Ok::<_, String>((1, Some("x".to_owned())))));
    comes_back(json!({ "a": [1, -1, 1.5, null, true, u64::MAX], "b": { "c": "" } }));
}

#[test]
fn dict_as_a_key_is_refused() {
    let error = write(&BTreeMap::from([(Form::Newtype(Some(1)), 1)])).unwrap_err();
    let expected = "cannot write the pickle: Python cannot use a dict as a key of a dict; \
                    use a string, a number, or a tuple as the key";
    assert_eq!(error, expected);
}

/// Lists in each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Nested(Vec<Nested>);

fn nested(depth: usize) -> Nested {
    (1..depth).fold(Nested(Vec::new()), |inner, _| Nested(vec![inner]))
}

#[test]
fn nesting_is_limited_alike_for_writing_and_reading() {
    comes_back(nested(128));
    let error = write(&nested(129)).unwrap_err();
    let expected = "cannot write the pickle: more than 128 containers are nested; store a flatter value";
    assert_eq!(error, expected);
    let lists = [&b"\x80\x02"[..], &[b']'; 129], &[b'a'; 128], b"."].concat();
    let expected = "cannot read the pickle: more than 128 containers are nested, or one contains itself";
    assert_eq!(read::<Nested>(&lists), Err(expected.to_owned()));
}

/// A type that contains itself without a container between.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Endless(Option<Box<Endless>>);

#[test]
fn type_that_contains_itself_is_refused() {
    let expected = "cannot read the pickle: its type has more than 512 options and newtypes in each other";
    assert_eq!(read::<Endless>(b"K\x01."), Err(expected.to_owned()));
    assert_eq!(read::<Endless>(b"N."), Ok(Endless(None)));
}

#[test]
fn shared_objects_are_read_at_each_place() {
    // What Python writes for [d, d] with d = {"k": "v"}, and for [l, l] with l = ["a"].
    let dicts = b"\x80\x04\x95\x12\0\0\0\0\0\0\0]\x94(}\x94\x8c\x01k\x94\x8c\x01v\x94sh\x01e.";
    assert_eq!(read::<Value>(dicts), Ok(json!([{ "k": "v" }, { "k": "v" }])));
    let lists = b"\x80\x04\x95\x0e\0\0\0\0\0\0\0]\x94(]\x94\x8c\x01a\x94ah\x01e.";
    assert_eq!(read::<Vec<Vec<String>>>(lists), Ok(vec![vec!["a".to_owned()]; 2]));
    // p0 = []; p1 = [p0]; p0.append("a"): all references see it.
    assert_eq!(read::<Value>(b"]q\0]q\x01h\0ah\0X\x01\0\0\0aa000h\x01\x85."), Ok(json!([[["a"]]])));
    // DUP refers to the same list.
    assert_eq!(read::<Value>(b"]2K\x01a\x86."), Ok(json!([[1], [1]])));
}

#[test]
fn list_that_contains_itself_is_refused() {
    let expected = "cannot read the pickle: more than 128 containers are nested, or one contains itself";
    for pickle in [&b"]q\0h\0a."[..], b"]q\0h\0\x85a.", b"]q\0}K\x01h\0sa."] {
        assert_eq!(read::<Either>(pickle), Err(expected.to_owned()), "{}", pickle.escape_ascii());
    }
    let error = read::<Value>(b"}q\0X\x01\0\0\0ah\0s.").unwrap_err();
    assert_eq!(error, expected);
}

/// A list or dict in another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Either {
    List(Vec<Either>),
    Dict(BTreeMap<u8, Either>),
}

#[test]
fn row_may_share_a_small_dict_a_thousand_times() {
    // A dict with 20 entries, and rows with a number and the dict.
    let dict: Vec<u8> =
        (0..20).flat_map(|key| [b'K', key, b'X', 4, 0, 0, 0, b't', b'e', b'x', b't']).collect();
    let row = b"(K\x07h\x05t";
    let pickle = [b"](}q\x05(", &dict[..], b"u", &row.repeat(1000), b"e."].concat();
    let read = read::<Vec<Row>>(&pickle).unwrap();
    assert_eq!(read.len(), 1001);
}

/// A shared dict, alone or in a row.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Row {
    Row(u8, BTreeMap<u8, String>),
    Shared(BTreeMap<u8, String>),
}

#[test]
fn few_bytes_that_stand_for_many_values_are_refused() {
    // A tuple that contains itself twice, forty times over, and a list of a long string, many times.
    let twice: Vec<u8> = (0..40).flat_map(|number| [0x86, b'q', number, b'h', number]).collect();
    let text = [&b"(X\0\0\x10\0"[..], &[b'x'; 1 << 20], b"q\0", &b"h\0".repeat(1000), b"t."].concat();
    for pickle in [[&b"]]"[..], &twice, b"\x86."].concat(), text] {
        let expected = "cannot read the pickle: its shared objects make it too large";
        assert_eq!(read::<Value>(&pickle), Err(expected.to_owned()));
    }
}

#[test]
fn python_objects_are_refused_by_name() {
    let objects: [(&[u8], &str, usize); 8] = [
        (b"cos\nsystem\n(S'echo harm'\ntR.", "os.system", 0),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04harm\x85R.", "os.system", 14),
        (b"\x80\x04\x8c\x08__main__\x8c\x05Point\x93K\x01K\x02\x86\x81.", "__main__.Point", 19),
        (b"(i__main__\nPoint\np0\n.", "__main__.Point", 1),
        (b"ccopy_reg\n_reconstructor\n(c__main__\nP\n", "copy_reg._reconstructor", 0),
        (b"cuuid\nUUID\n)\x81}b.", "uuid.UUID", 0),
        (b"c__builtin__\ncomplex\n(F1.0\nF2.0\ntR.", "__builtin__.complex", 0),
        (b"c\x1b[2J\n\xff\n.", "\\u{1b}[2J.\u{fffd}", 0),
    ];
    for (pickle, class, at) in objects {
        let advice = "cannot be read; store plain data such as dicts and lists";
        let expected =
            format!("cannot read the pickle at byte {at}: a Python object of class {class} {advice}");
        assert_eq!(read::<Value>(pickle), Err(expected), "{}", pickle.escape_ascii());
    }
}

#[test]
fn invalid_pickles_are_refused_with_their_place() {
    let invalid: [(&[u8], &str); 30] = [
        (b"", "byte 0: the pickle is truncated"),
        (b"]", "byte 1: the pickle is truncated"),
        (b"K", "byte 0: the pickle is truncated"),
        (b"X\xff\xff\xff\xffab", "byte 0: the pickle is truncated"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffab", "byte 0: the pickle is truncated"),
        (b"\x80\x04\x95\xff\0\0\0\0\0\0\0N.", "byte 2: the pickle is truncated"),
        (b"I12", "byte 0: the pickle is truncated"),
        (b"N.N", "byte 1: 1 bytes follow the pickle"),
        (b"NN.", "byte 2: more than one value is left at the end"),
        (b"(N.", "byte 2: more than one value is left at the end"),
        (b".", "byte 0: the opcode needs more values than there are"),
        (b"](a.", "byte 2: the opcode needs more values than there are"),
        (b"](N\x86.", "byte 3: the opcode needs more values than there are"),
        (b"Ne.", "byte 1: the opcode needs a mark"),
        (b"NNa.", "byte 2: items are added to a value that cannot hold them"),
        (b"(Ne.", "byte 2: items are added to a value that cannot hold them"),
        (b")Na.", "byte 2: items are added to a value that cannot hold them"),
        (b"}(Nu.", "byte 3: a key of a dict has no value"),
        (b"h\x05.", "byte 0: memo entry 5 does not exist"),
        (b"g-1\n.", "byte 0: invalid memo index"),
        (b"Nr\xff\xff\xff\xff.", "byte 1: memo index 4294967295 is out of range"),
        (b"I1_000\n.", "byte 0: invalid integer, or one of more than 128 bits"),
        (b"Fone\n.", "byte 0: invalid float"),
        (b"X\x03\0\0\0\xed\xa0\x80.", "byte 0: a str is not UTF-8, or has a lone surrogate"),
        (b"V\\ud800\n.", "byte 0: invalid escape in a str, or a lone surrogate"),
        (b"U\x01\xff.", "byte 0: a str is not UTF-8, or has a lone surrogate"),
        (b"P1\n.", "byte 0: persistent IDs are not supported"),
        (b"\x82\x01.", "byte 0: extension codes are not supported"),
        (b"\x97.", "byte 0: out-of-band buffers are not supported"),
        (b"{\"a\": 1}", "byte 0: unknown opcode 0x7b; these bytes may not be a pickle"),
    ];
    for (pickle, problem) in invalid {
        let expected = format!("cannot read the pickle at {problem}");
        assert_eq!(read::<Value>(pickle), Err(expected), "{}", pickle.escape_ascii());
    }
    let expected = "cannot read the pickle at byte 0: protocol 6 is not supported; write protocol 5";
    assert_eq!(read::<Value>(b"\x80\x06N."), Err(expected.to_owned()));
}

#[test]
fn bytes_are_read_as_bytes_or_numbers_but_not_as_str() {
    let forms: [&[u8]; 7] = [
        b"C\x02a\xe4.",
        b"\x8e\x02\0\0\0\0\0\0\0a\xe4.",
        b"\x96\x02\0\0\0\0\0\0\0a\xe4.",
        b"c_codecs\nencode\np0\n(Va\xe4\np1\nVlatin1\np2\ntp3\nRp4\n.",
        b"\x80\x02c_codecs\nencode\nq\0X\x03\0\0\0a\xc3\xa4q\x01X\x06\0\0\0latin1q\x02\x86q\x03Rq\x04.",
        b"\x80\x02c__builtin__\nbytearray\nX\x03\0\0\0a\xc3\xa4X\x07\0\0\0latin-1\x86R.",
        b"\x80\x03cbuiltins\nbytearray\nC\x02a\xe4\x85R.",
    ];
    for pickle in forms {
        assert_eq!(read(pickle), Ok(ByteBuf(b"a\xe4".to_vec())), "{}", pickle.escape_ascii());
        assert_eq!(read(pickle), Ok(b"a\xe4".to_vec()), "{}", pickle.escape_ascii());
        assert_eq!(read(pickle), Ok([b'a', 0xe4]), "{}", pickle.escape_ascii());
        assert!(read::<[u8; 1]>(pickle).is_err());
        assert!(read::<String>(pickle).is_err());
    }
    assert!(read::<String>(b"C\x01a.").is_err());
    assert!(read::<HashMap<String, u8>>(b"}C\x01aK\x01s.").is_err());
    assert!(read::<ByteBuf>(b"c_codecs\nencode\n(V\\u20ac\nVlatin1\ntR.").is_err());
}

#[test]
fn sequence_must_have_the_length_of_the_tuple() {
    assert_eq!(read(b"K\x01K\x02\x86."), Ok((1, 2)));
    let error = read::<(u8, u8)>(b"K\x01K\x02K\x03\x87.").unwrap_err();
    assert_eq!(error, "cannot read the pickle: invalid length 3, expected 1 fewer");
    assert!(read::<(u8, u8)>(b"K\x01\x85.").is_err());
}

proptest! {
    #[test]
    fn json_values_come_back(value in json_value()) {
        comes_back(value);
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter_map("JSON has no NaN", |number| Some(serde_json::Number::from_f64(number)?.into())),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
