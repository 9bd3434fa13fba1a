//! The meta commands: `mg`, `ms`, `md`.
//!
//! Source: memcached `doc/protocol.txt`, "Meta Commands".

use std::io::{self, Write};

use super::super::stream::Input;
use super::{Answer, LONGEST_LINE, Operation, When, check_key, confused, data, number, refusal};

/// Each asks for the key to be answered (`k`), so that an answer is known to be the one to its question.
pub(super) fn write(operation: &Operation<'_>, is_unanswered: bool, out: &mut Vec<u8>) {
    // Writing to a vector does not fail.
    let _ = match operation {
        Operation::Get { key } => write!(out, "mg {key} v f c k\r\n"),
        Operation::Store { key, value, flags, expiry, when } => {
            let _ = write!(out, "ms {key} {} T{expiry} F{flags} k", value.len());
            let _ = match when {
                When::Always if is_unanswered => write!(out, " q"),
                When::Always => Ok(()),
                When::Absent => write!(out, " ME"),
                When::Unchanged(cas) => write!(out, " C{cas}"),
            };
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(value);
            write!(out, "\r\n")
        }
        Operation::Delete { key, cas: None } => write!(out, "md {key} k\r\n"),
        Operation::Delete { key, cas: Some(cas) } => write!(out, "md {key} k C{cas}\r\n"),
    };
}

pub(super) fn read(operation: &Operation<'_>, input: &mut impl Input) -> io::Result<Answer> {
    let line = input.line(LONGEST_LINE)?;
    if let Some(refused) = refusal(line)? {
        return Ok(refused);
    }
    let mut words = line.split(|byte| *byte == b' ');
    let code = words.next().unwrap_or_default();
    match (operation, code) {
        (Operation::Get { .. }, b"EN") => Ok(Answer::Miss),
        (Operation::Get { key }, b"VA") => {
            let length = number(words.next().unwrap_or_default())?;
            let (mut flags, mut cas, mut answered) = (0, 0, None);
            for word in words {
                match word.split_first() {
                    Some((b'f', digits)) => flags = number(digits)?,
                    Some((b'c', digits)) => cas = number(digits)?,
                    Some((b'k', key)) => answered = Some(key),
                    _ => {}
                }
            }
            check_key(answered.unwrap_or_default(), key)?;
            Ok(Answer::Value { data: data(length, input)?, flags, cas })
        }
        (Operation::Store { .. } | Operation::Delete { .. }, b"HD" | b"NS" | b"EX" | b"NF") => {
            let answered = words.find_map(|word| word.strip_prefix(b"k"));
            check_key(answered.unwrap_or_default(), operation.key())?;
            Ok(match code {
                b"HD" => Answer::Done,
                b"NF" => Answer::Miss,
                _ => Answer::NotDone,
            })
        }
        _ => Err(confused(String::from_utf8_lossy(line))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::super::tests::Sent;
    use super::*;

    const GET: Operation<'_> = Operation::Get { key: "key" };
    const DELETE: Operation<'_> = Operation::Delete { key: "key", cas: Some(7) };

    fn store(when: When) -> Operation<'static> {
        Operation::Store { key: "key", value: b"v", flags: 8, expiry: 60, when }
    }

    fn written(operation: Operation<'_>) -> String {
        let mut out = Vec::new();
        write(&operation, false, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn answer(operation: Operation<'_>, sent: &str) -> io::Result<Answer> {
        read(&operation, &mut Sent(sent.as_bytes()))
    }

    #[test]
    fn commands_name_what_is_wanted() {
        assert_eq!(written(GET), "mg key v f c k\r\n");
        assert_eq!(written(store(When::Always)), "ms key 1 T60 F8 k\r\nv\r\n");
        assert_eq!(written(store(When::Absent)), "ms key 1 T60 F8 k ME\r\nv\r\n");
        assert_eq!(written(store(When::Unchanged(9))), "ms key 1 T60 F8 k C9\r\nv\r\n");
        assert_eq!(written(DELETE), "md key k C7\r\n");
    }

    #[test]
    fn answers_are_read() {
        let value = Answer::Value { data: b"a\r\nb".to_vec(), flags: 8, cas: 12 };
        assert_eq!(answer(GET, "VA 4 f8 c12 kkey\r\na\r\nb\r\n").unwrap(), value);
        assert_eq!(answer(GET, "EN\r\n").unwrap(), Answer::Miss);
        assert_eq!(answer(store(When::Always), "HD kkey\r\n").unwrap(), Answer::Done);
        assert_eq!(answer(store(When::Absent), "NS kkey\r\n").unwrap(), Answer::NotDone);
        assert_eq!(answer(DELETE, "EX kkey\r\n").unwrap(), Answer::NotDone);
        assert_eq!(answer(DELETE, "NF kkey\r\n").unwrap(), Answer::Miss);
        let refused = answer(store(When::Always), "SERVER_ERROR object too large for cache\r\n").unwrap();
        assert_eq!(refused, Answer::Refused("object too large for cache".to_owned()));
    }

    #[test]
    fn what_does_not_answer_the_question_is_no_answer() {
        for sent in [
            "VA 1 f0 c1 kother\r\nx\r\n",
            "VA 1 f0 c1\r\nx\r\n",
            "VA 9999999999999999999999 kkey\r\n",
            "VA 2000000000 kkey\r\n",
            "VA 1 f0 kkey\r\nxxx",
            "VA -1 kkey\r\n",
            "HD kkey\r\n",
            "ERROR\r\n",
            "CLIENT_ERROR bad data chunk\r\n",
            "\r\n",
            "VA",
        ] {
            assert!(answer(GET, sent).is_err(), "{sent:?}");
        }
        for sent in ["HD\r\n", "HD kother\r\n", "EN\r\n", "VA 1 kkey\r\nx\r\n"] {
            assert!(answer(DELETE, sent).is_err(), "{sent:?}");
        }
    }
}
