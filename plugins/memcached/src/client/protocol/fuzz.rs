//! Random bytes as the reply of a server. They are parsed or refused, nothing panics, and no value belongs to another
//! key.
//!
//! `PROPTEST_CASES=20000` tries many, as `tests/deep` does.

use proptest::collection::vec;
use proptest::prelude::*;

use super::parse::refusal;
use super::tests::{LIMIT, response};
use super::*;
use crate::client::key::check_key;

const DIALECTS: [Dialect; 3] = [Dialect::Meta, Dialect::Classic, Dialect::Binary];

/// Any operation on the key `key`.
fn operation() -> impl Strategy<Value = Operation<'static>> {
    let (key, value, flags, expiry) = ("key", &b"value"[..], 0, 0);
    prop_oneof![
        3 => Just(Operation::Get { key }),
        1 => Just(Operation::Store { key, value, flags, expiry, when: When::Always }),
        1 => Just(Operation::Store { key, value, flags, expiry, when: When::Absent }),
        1 => Just(Operation::Store { key, value, flags, expiry, when: When::Unchanged(1) }),
        1 => Just(Operation::Delete { key, cas: Some(1) }),
    ]
}

/// Pieces of replies, mixed with random bytes.
fn replies() -> impl Strategy<Value = Vec<u8>> {
    let words: &[&[u8]] = &[
        b"VA ",
        b"HD",
        b"EN",
        b"NS",
        b"EX",
        b"NF",
        b"VALUE ",
        b"END",
        b"STORED",
        b"DELETED",
        b"key",
        b" kkey",
        b" kother",
        b"other",
        b"\r\n",
        b"\r",
        b" ",
        b"0",
        b"3",
        b"18446744073709551616",
        b"-1",
        b" f0",
        b" c1",
        b"abc\r\n",
        b"ERROR",
        b"SERVER_ERROR ",
        b"CLIENT_ERROR ",
        b"\x81\0\0\0",
        b"\x81\0\0\x03\x04\0\0\0",
        b"\x81\x01\0\0\0\0\0\x02",
        b"\0\0\0\x07",
        b"\0\0\0\0",
        b"\0\0\0\x01",
        b"\xff\xff\xff\xff",
        b"VA 3 f0 c1 kkey\r\nabc\r\n",
        b"VA 3 f0 c1 kkey O1\r\nabc\r\n",
        b"HD kkey O1\r\n",
        b"EN kkey O1\r\n",
        b" O1",
        b"VALUE key 0 3 1\r\nabc\r\nEND\r\n",
        b"\x81\0\0\0\x04\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0abc",
    ];
    let word = proptest::sample::select(words).prop_map(<[u8]>::to_vec);
    let piece = prop_oneof![4 => word, 1 => vec(any::<u8>(), 0..40)];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Returns the reply of a server to request `number`, a read of `key`.
fn item(dialect: Dialect, key: &str, number: u32, data: &[u8]) -> Vec<u8> {
    let length = data.len();
    match dialect {
        Dialect::Meta => {
            [format!("VA {length} f0 c1 k{key} O{number}\r\n").as_bytes(), data, b"\r\n"].concat()
        }
        Dialect::Classic => {
            [format!("VALUE {key} 0 {length} 1\r\n").as_bytes(), data, b"\r\nEND\r\n"].concat()
        }
        Dialect::Binary => {
            let (body, number) = ((length + 4) as u32, number.to_be_bytes());
            let head = [0x81, 0, 0, 0, 4, 0, 0, 0];
            [&head[..], &body.to_be_bytes(), &number, &[0, 0, 0, 0, 0, 0, 0, 1], &[0; 4], data].concat()
        }
    }
}

/// Returns whether the head of a reply names the requested key, or the number of the request.
fn is_for_us(dialect: Dialect, head: &[u8], number: u32) -> bool {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    match dialect {
        Dialect::Meta => {
            let own = format!("O{number}");
            words.next() == Some(b"VA")
                && words.clone().any(|word| word == b"kkey")
                && words.all(|word| !word.starts_with(b"O") || word == own.as_bytes())
        }
        Dialect::Classic => words.next() == Some(b"VALUE") && words.next() == Some(b"key"),
        Dialect::Binary => head[..4] == [0x81, 0, 0, 0] && head[12..16] == number.to_be_bytes(),
    }
}

/// Reads the responses to `operations`, the first of which has number 1, from `parts` of a server's bytes.
///
/// Returns what each response was, and how many bytes came before it. Stops at the first invalid one.
fn responses<'s>(
    dialect: Dialect,
    operations: &[Operation<'_>],
    parts: impl IntoIterator<Item = &'s [u8]>,
) -> Vec<(usize, Result<Response, Invalid>)> {
    let (mut codec, mut read, mut begin, mut used) = (Codec::new(dialect), Vec::new(), 0, 0);
    let mut awaited = (1..).zip(operations);
    let mut next = awaited.next();
    for mut part in parts {
        while let Some((opaque, operation)) = next {
            let before = part.len();
            let response = codec.read(&mut part, Awaited { operation, opaque }, LIMIT);
            used += before - part.len();
            let Some(response) = response.transpose() else { break };
            let is_invalid = response.is_err();
            read.push((begin, response));
            if is_invalid {
                return read;
            }
            (begin, next) = (used, awaited.next());
        }
    }
    read
}

proptest! {
    #[test]
    fn random_replies_are_parsed_or_refused(operations in vec(operation(), 1..6), sent in replies()) {
        for dialect in DIALECTS {
            for ((number, operation), (begin, response)) in
                (1..).zip(&operations).zip(responses(dialect, &operations, [&sent[..]]))
            {
                if let Ok(Response::Reply(Reply::Value { .. })) = response {
                    let is_get = matches!(operation, Operation::Get { .. });
                    prop_assert!(is_get);
                    prop_assert!(is_for_us(dialect, &sent[begin..], number), "{:?}", &sent[begin..]);
                }
            }
            let _ = Codec::new(dialect).read_line(&mut &sent[..]);
        }
        let _ = refusal(&sent);
        let _ = Codec::new(Dialect::Binary).read_login(&mut &sent[..], 1);
    }

    #[test]
    fn replies_are_the_same_however_bytes_arrive(
        operations in vec(operation(), 1..6),
        sent in replies(),
        length in 1..20_usize,
    ) {
        for dialect in DIALECTS {
            let whole = responses(dialect, &operations, [&sent[..]]);
            prop_assert_eq!(responses(dialect, &operations, sent.chunks(length)), whole);
        }
    }

    #[test]
    fn reply_is_parsed_for_its_own_key_only(data in vec(any::<u8>(), 0..99), other in "[!-~]{1,20}") {
        for dialect in DIALECTS {
            let read = |key, sent: &[u8]| response(dialect, &Operation::Get { key }, 5, sent);
            let expected = Response::Reply(Reply::Value { data: data.clone(), flags: 0, cas: 1 });
            prop_assert_eq!(read(&other, &item(dialect, &other, 5, &data)), Ok(expected));
            if other != "key" {
                let number = if dialect == Dialect::Binary { 4 } else { 5 };
                prop_assert!(read("key", &item(dialect, &other, number, &data)).is_err());
            }
        }
    }

    #[test]
    fn reply_to_another_request_is_refused(data in vec(any::<u8>(), 0..99), number in any::<u32>()) {
        for dialect in [Dialect::Meta, Dialect::Binary] {
            let read = response(dialect, &Operation::Get { key: "key" }, 5, &item(dialect, "key", number, &data));
            prop_assert_eq!(read.is_ok(), number == 5);
        }
    }

    #[test]
    fn truncated_reply_is_refused(data in vec(any::<u8>(), 0..99), part in 0.0..1.0_f64) {
        for dialect in DIALECTS {
            let whole = item(dialect, "key", 1, &data);
            let cut = &whole[..(part * whole.len() as f64) as usize];
            let read = response(dialect, &Operation::Get { key: "key" }, 1, cut);
            prop_assert!(read.is_err());
        }
    }

    #[test]
    fn accepted_key_is_one_word_of_one_line(key in any::<String>(), value in vec(any::<u8>(), 0..99)) {
        // A refused key is never sent.
        let dialects = if check_key(&key).is_ok() { &[Dialect::Meta, Dialect::Classic][..] } else { &[] };
        for dialect in dialects {
            let store = Operation::Store { key: &key, value: &value, flags: 0, expiry: 0, when: When::Always };
            let mut out = Vec::new();
            Codec::new(*dialect).write(&store, false, &mut out);
            let (line, rest) = out.split_at(out.windows(2).position(|pair| pair == b"\r\n").unwrap());
            prop_assert_eq!(rest, [b"\r\n", &value[..], b"\r\n"].concat());
            prop_assert_eq!(line.split(|byte| *byte == b' ').nth(1), Some(key.as_bytes()));
            prop_assert!(!line.iter().any(u8::is_ascii_control));
        }
    }
}
