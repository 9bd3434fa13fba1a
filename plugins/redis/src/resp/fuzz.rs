//! Random replies, whole and in parts. They are parsed or refused, and nothing panics.
//!
//! `PROPTEST_CASES=20000` tries many, as `tests/deep` does.

use proptest::collection::vec;
use proptest::prelude::*;

use super::limits::Limits;
use super::{Decoder, ErrorReply, Expected, Invalid, Value, bulk, command};

const LIMITS: Limits = Limits { elements: 200, string: 1000, total: 4000 };

/// Any value without a push message, and its bytes.
fn value() -> impl Strategy<Value = (Value, Vec<u8>)> {
    let line = "[ -~]{0,20}";
    let string = || vec(any::<u8>(), 0..40);
    let with_length =
        |kind: char, data: &[u8]| [format!("{kind}{}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat();
    let leaf = prop_oneof![
        Just((Value::Nil, b"_\r\n".to_vec())),
        Just((Value::Nil, b"$-1\r\n".to_vec())),
        any::<i64>().prop_map(|number| (Value::Integer(number), format!(":{number}\r\n").into_bytes())),
        any::<bool>()
            .prop_map(|is| (Value::Boolean(is), format!("#{}\r\n", if is { 't' } else { 'f' }).into_bytes())),
        line.prop_map(|text| (Value::Simple(text.clone().into()), format!("+{text}\r\n").into_bytes())),
        line.prop_map(|text| (Value::Error(ErrorReply::new(&*text)), format!("-{text}\r\n").into_bytes())),
        string().prop_map(move |data| (Value::Bulk(data.clone()), with_length('$', &data))),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let list = |elements: Vec<(Value, Vec<u8>)>| {
            let count = elements.len();
            let (values, bytes): (Vec<_>, Vec<_>) = elements.into_iter().unzip();
            (values, count, bytes.concat())
        };
        let head = |kind: char, count: usize, bytes: Vec<u8>| {
            [format!("{kind}{count}\r\n").into_bytes(), bytes].concat()
        };
        let elements = || vec(inner.clone(), 0..6).prop_map(list);
        let pairs = vec([inner.clone(), inner.clone()], 0..3).prop_map(move |pairs| list(pairs.concat()));
        prop_oneof![
            elements()
                .prop_map(move |(values, count, bytes)| (Value::Array(values), head('*', count, bytes))),
            elements()
                .prop_map(move |(values, count, bytes)| (Value::Array(values), head('~', count, bytes))),
            pairs.prop_map(move |(values, count, bytes)| (Value::Map(values), head('%', count / 2, bytes))),
            // Attributes are skipped.
            (inner.clone(), inner.clone()).prop_map(move |((_, about), (value, bytes))| {
                (value, [&b"|1\r\n+about\r\n"[..], &about, &bytes].concat())
            }),
        ]
    })
}

/// Pieces of replies, mixed with random bytes.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let words: &[&[u8]] = &[
        b"+",
        b"-",
        b":",
        b"$",
        b"*",
        b"%",
        b"~",
        b"|",
        b"_",
        b",",
        b"#",
        b"!",
        b"=",
        b"(",
        b">",
        b"\r\n",
        b"\r\n",
        b"\r\n",
        b"\r",
        b"\n",
        b"0",
        b"1",
        b"2",
        b"-1",
        b"5",
        b"9223372036854775807",
        b"-9223372036854775808",
        b"99999999999999999999",
        b"1e999",
        b"nan",
        b"OK",
        b"MOVED 1 a:1",
        b"txt:abc",
        b"\xff\xfe",
        b"abcde",
        b"$5\r\nabcde\r\n",
        b"_\r\n",
        b"*0\r\n",
        b"*-1\r\n",
        b"$-1\r\n",
        b"$0\r\n\r\n",
        b"#t\r\n",
        b"%0\r\n",
        b"|0\r\n",
        b">0\r\n",
        b"*3\r\n",
        b"|1\r\n",
        b"$100\r\n",
    ];
    let word = proptest::sample::select(words).prop_map(<[u8]>::to_vec);
    let piece = prop_oneof![6 => word, 1 => vec(any::<u8>(), 0..20)];
    vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

/// Parses `bytes`, which arrive in parts of these lengths.
fn parsed(bytes: &[u8], lengths: &[usize]) -> (Vec<Value>, Option<Invalid>) {
    let (mut decoder, mut values, mut rest) = (Decoder::default(), Vec::new(), bytes);
    for length in lengths.iter().copied().cycle() {
        let (mut part, later) = rest.split_at(length.min(rest.len()));
        loop {
            match decoder.decode(&mut part, LIMITS) {
                Ok(Some(value)) => values.push(value),
                Ok(None) => break,
                Err(error) => return (values, Some(error)),
            }
        }
        assert!(part.is_empty() && decoder.missing() >= 1);
        if later.is_empty() {
            break;
        }
        rest = later;
    }
    (values, None)
}

fn lengths() -> impl Strategy<Value = Vec<usize>> {
    vec(1_usize..30, 1..8)
}

proptest! {
    #[test]
    fn written_values_are_read_back(sent in vec(value(), 1..5), lengths in lengths()) {
        let (values, bytes): (Vec<_>, Vec<_>) = sent.into_iter().unzip();
        let (read, error) = parsed(&bytes.concat(), &lengths);
        // Larger replies than the limits are refused.
        if error.is_none() {
            prop_assert_eq!(read, values);
        } else {
            prop_assert!(read.len() < values.len() && values.starts_with(&read));
        }
    }

    #[test]
    fn random_bytes_are_parsed_or_refused(bytes in pieces(), lengths in lengths()) {
        let (whole, in_parts) = (parsed(&bytes, &[usize::MAX]), parsed(&bytes, &lengths));
        // NaN differs from itself.
        prop_assert_eq!(format!("{whole:?}"), format!("{in_parts:?}"));
        let expected = [
            Expected::Value,
            Expected::Values(2),
            Expected::Integer,
            Expected::Done,
            Expected::List,
            Expected::Message,
        ];
        for (value, expected) in whole.0.iter().zip(expected.iter().cycle()) {
            let _ = expected.check(value);
        }
    }

    #[test]
    fn truncated_reply_is_unfinished((value, bytes) in value(), part in 0.0..1.0_f64) {
        let cut = &bytes[..(part * bytes.len() as f64) as usize];
        let (read, error) = parsed(cut, &[usize::MAX]);
        prop_assert!(read.is_empty() && (error.is_none() || parsed(&bytes, &[1]).1.is_some()), "{value:?}");
    }

    #[test]
    fn command_is_read_back_as_its_arguments(arguments in vec(vec(any::<u8>(), 0..40), 1..6)) {
        let mut out = Vec::new();
        command(arguments.len(), &mut out);
        arguments.iter().for_each(|argument| bulk(argument, &mut out));
        let expected = Value::Array(arguments.into_iter().map(Value::Bulk).collect());
        prop_assert_eq!(parsed(&out, &[usize::MAX]), (vec![expected], None));
    }
}
