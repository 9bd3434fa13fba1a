//! Random replies, whole and in parts. They are parsed or refused, nothing panics, and memory is bounded.
//!
//! `PROPTEST_CASES=20000` tries many, as `tests/deep` does.

use allocation_counter::measure;
use proptest::collection::vec;
use proptest::prelude::*;

use super::limits::Limits;
use super::{Decoder, ErrorReply, Expected, Invalid, Value, bulk, command};

/// The values of a reply that any number of push messages may precede.
type Sent = (Vec<u8>, Value, Vec<u8>);

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
        string().prop_map(move |data| {
            (Value::Bulk(data.clone()), with_length('=', &[b"txt:", &data[..]].concat()))
        }),
        string().prop_map(move |data| (Value::Error(ErrorReply::new(&data[..])), with_length('!', &data))),
        any::<i32>().prop_map(|number| {
            (Value::Double(f64::from(number) / 8.0), format!(",{}\r\n", f64::from(number) / 8.0).into_bytes())
        }),
        "-?[1-9][0-9]{0,40}"
            .prop_map(|digits| (Value::Simple(digits.clone().into()), format!("({digits}\r\n").into_bytes())),
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

/// A value, after push messages of any kind.
fn value_after_pushes() -> impl Strategy<Value = Sent> {
    let push = vec(value(), 0..4).prop_map(|parts| {
        let bytes: Vec<_> = parts.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        [format!(">{}\r\n", parts.len()).into_bytes(), bytes].concat()
    });
    (vec(push, 0..3), value()).prop_map(|(pushes, (value, bytes))| (pushes.concat(), value, bytes))
}

/// Heads of strings and lists whose lengths are at the limits, or far beyond them, and lists in each other.
fn lengths_at_the_limits() -> impl Strategy<Value = Vec<u8>> {
    let kind = || proptest::sample::select(&b"$!=*~%>|"[..]);
    let length = prop_oneof![
        0_u64..6,
        (LIMITS.elements as u64 - 2)..(LIMITS.elements as u64 + 3),
        (LIMITS.string as u64 - 2)..(LIMITS.string as u64 + 3),
        (LIMITS.total as u64 - 2)..(LIMITS.total as u64 + 3),
        Just(1024),
        Just(1025),
        Just(65_536),
        Just(i64::MAX as u64 / 2 + 1),
        Just(i64::MAX as u64),
        Just(u64::MAX),
    ];
    let head = || {
        (kind(), length.clone())
            .prop_map(|(kind, length)| format!("{}{length}\r\n", char::from(kind)).into_bytes())
    };
    let filled =
        (head(), 0_usize..1100).prop_map(|(head, count)| [&head[..], &vec![b'x'; count], b"\r\n"].concat());
    let nested = (kind(), 0_usize..20).prop_map(|(kind, depth)| {
        [format!("{}1\r\n", char::from(kind)).repeat(depth).as_bytes(), b":1\r\n:2\r\n"].concat()
    });
    let line = (0_usize..20_000).prop_map(|count| [b"+", &vec![b'a'; count][..], b"\r\n"].concat());
    let part = prop_oneof![4 => head(), 2 => filled, 2 => nested, 1 => line, 1 => value().prop_map(|(_, bytes)| bytes)];
    vec(part, 0..8).prop_map(|parts| parts.concat())
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
    parsed_within(LIMITS, bytes, lengths)
}

fn parsed_within(limits: Limits, bytes: &[u8], lengths: &[usize]) -> (Vec<Value>, Option<Invalid>) {
    let (mut decoder, mut values, mut rest) = (Decoder::default(), Vec::new(), bytes);
    for length in lengths.iter().copied().cycle() {
        let (mut part, later) = rest.split_at(length.min(rest.len()));
        loop {
            match decoder.decode(&mut part, limits) {
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
            Expected::Verdict,
            Expected::Done,
            Expected::List,
            Expected::Message,
            Expected::Echo(5),
        ];
        for (value, expected) in whole.0.iter().zip(expected.iter().cycle()) {
            let _ = expected.check(value);
        }
    }

    #[test]
    fn replies_after_push_messages_are_distinguished(sent in vec(value_after_pushes(), 1..4), lengths in lengths()) {
        let bytes: Vec<u8> = sent.iter().flat_map(|(pushes, _, bytes)| [&pushes[..], bytes].concat()).collect();
        let expected: Vec<_> = sent.into_iter().map(|(_, value, _)| value).collect();
        let (read, error) = parsed(&bytes, &lengths);
        let replies: Vec<_> = read.into_iter().filter(|value| !matches!(value, Value::Push(_))).collect();
        prop_assert!(expected.starts_with(&replies) && (error.is_some() || replies == expected));
    }

    #[test]
    fn lengths_at_the_limits_are_parsed_or_refused(bytes in lengths_at_the_limits(), lengths in lengths()) {
        let (whole, in_parts) = (parsed(&bytes, &[usize::MAX]), parsed(&bytes, &lengths));
        prop_assert_eq!(format!("{whole:?}"), format!("{in_parts:?}"));
    }

    /// Claimed lengths reserve memory for little more than what has arrived.
    #[test]
    fn memory_is_bounded_by_what_arrived(
        bytes in prop_oneof![lengths_at_the_limits(), pieces()],
        lengths in lengths(),
    ) {
        const MOST: u64 = 16 << 10;
        for limits in [LIMITS, Expected::List.limits(0), Expected::Value.limits(512 << 20)] {
            for lengths in [&lengths[..], &[usize::MAX]] {
                let taken = measure(|| drop(parsed_within(limits, &bytes, lengths))).bytes_max;
                // A list reserves 128 elements of 32 bytes, even if a claim of a few bytes is all that arrived.
                let most = MOST + 1024 * bytes.len() as u64;
                prop_assert!(taken <= most, "{taken} bytes for {} bytes", bytes.len());
            }
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
