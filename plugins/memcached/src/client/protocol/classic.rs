//! The text protocol of servers older than 1.6: `gets`, `set`, `add`, `cas`, `delete`.
//!
//! Source: memcached `doc/protocol.txt`, "Storage commands" and "Retrieval command".

use std::io::{self, Write};

use super::super::stream::Input;
use super::{Answer, LONGEST_LINE, Operation, When, check_key, confused, data, number, refusal};

pub(super) fn write(operation: &Operation<'_>, is_unanswered: bool, out: &mut Vec<u8>) {
    // Writing to a vector does not fail.
    let _ = match operation {
        Operation::Get { key } => write!(out, "gets {key}\r\n"),
        Operation::Store { key, value, flags, expiry, when } => {
            let length = value.len();
            let _ = match when {
                When::Always if is_unanswered => {
                    write!(out, "set {key} {flags} {expiry} {length} noreply\r\n")
                }
                When::Always => write!(out, "set {key} {flags} {expiry} {length}\r\n"),
                When::Absent => write!(out, "add {key} {flags} {expiry} {length}\r\n"),
                When::Unchanged(cas) => write!(out, "cas {key} {flags} {expiry} {length} {cas}\r\n"),
            };
            out.extend_from_slice(value);
            write!(out, "\r\n")
        }
        Operation::Delete { key, cas: None } => write!(out, "delete {key}\r\n"),
        // There is no such command: an item of no time takes its place.
        Operation::Delete { key, cas: Some(cas) } => write!(out, "cas {key} 0 -1 0 {cas}\r\n\r\n"),
    };
}

pub(super) fn read(operation: &Operation<'_>, input: &mut impl Input) -> io::Result<Answer> {
    let line = input.line(LONGEST_LINE)?;
    if let Some(refused) = refusal(line)? {
        return Ok(refused);
    }
    match (operation, line) {
        (Operation::Get { .. }, b"END") => Ok(Answer::Miss),
        (Operation::Get { key }, line) => {
            let words: Vec<_> = line.split(|byte| *byte == b' ').collect();
            let [b"VALUE", answered, flags, length, cas] = words[..] else {
                return Err(confused(String::from_utf8_lossy(line)));
            };
            check_key(answered, key)?;
            let (flags, length, cas) = (number(flags)?, number(length)?, number(cas)?);
            let data = data(length, input)?;
            match input.line(LONGEST_LINE)? {
                b"END" => Ok(Answer::Value { data, flags, cas }),
                other => Err(confused(String::from_utf8_lossy(other))),
            }
        }
        (_, b"STORED" | b"DELETED") => Ok(Answer::Done),
        (_, b"NOT_STORED" | b"EXISTS") => Ok(Answer::NotDone),
        (_, b"NOT_FOUND") => Ok(Answer::Miss),
        _ => Err(confused(String::from_utf8_lossy(line))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::super::tests::Sent;
    use super::*;

    const GET: Operation<'_> = Operation::Get { key: "key" };

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
        let store = |when| Operation::Store { key: "key", value: b"v", flags: 8, expiry: 60, when };
        assert_eq!(written(GET), "gets key\r\n");
        assert_eq!(written(store(When::Always)), "set key 8 60 1\r\nv\r\n");
        assert_eq!(written(store(When::Absent)), "add key 8 60 1\r\nv\r\n");
        assert_eq!(written(store(When::Unchanged(9))), "cas key 8 60 1 9\r\nv\r\n");
        assert_eq!(written(Operation::Delete { key: "key", cas: None }), "delete key\r\n");
        assert_eq!(written(Operation::Delete { key: "key", cas: Some(9) }), "cas key 0 -1 0 9\r\n\r\n");
    }

    #[test]
    fn answers_are_read() {
        let value = Answer::Value { data: b"ab".to_vec(), flags: 0, cas: 12 };
        assert_eq!(answer(GET, "VALUE key 0 2 12\r\nab\r\nEND\r\n").unwrap(), value);
        assert_eq!(answer(GET, "END\r\n").unwrap(), Answer::Miss);
        let delete = Operation::Delete { key: "key", cas: None };
        assert_eq!(answer(delete, "DELETED\r\n").unwrap(), Answer::Done);
        assert_eq!(answer(delete, "NOT_FOUND\r\n").unwrap(), Answer::Miss);
        assert_eq!(answer(delete, "EXISTS\r\n").unwrap(), Answer::NotDone);
    }

    #[test]
    fn what_does_not_answer_the_question_is_no_answer() {
        for sent in [
            "VALUE other 0 1 1\r\nx\r\nEND\r\n",
            "VALUE key 0 1\r\nx\r\nEND\r\n",
            "VALUE key 0 1 1\r\nx\r\nVALUE key 0 1 1\r\nx\r\nEND\r\n",
            "STORED\r\n",
            "ERROR\r\n",
            "VALUE key 0 99 1\r\nx\r\nEND\r\n",
        ] {
            assert!(answer(GET, sent).is_err(), "{sent:?}");
        }
    }
}
