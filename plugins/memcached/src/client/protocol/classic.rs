//! The text protocol of servers older than 1.6: `gets`, `set`, `add`, `cas`, `delete`.

// Source: memcached `doc/protocol.txt`, "Storage commands" and "Retrieval command".

use std::io::{self, Write};

use super::operation::{Operation, Reply, When};
use super::parse::{LONGEST_LINE, check_key, confused, data, number, refusal};
use crate::client::stream::Input;

pub(super) fn write(operation: &Operation<'_>, is_noreply: bool, out: &mut Vec<u8>) {
    // Writing to a vector cannot fail.
    let _ = match operation {
        Operation::Get { key } => write!(out, "gets {key}\r\n"),
        Operation::Store { key, value, flags, expiry, when } => {
            let length = value.len();
            let _ = match when {
                When::Always if is_noreply => {
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
        // The protocol has no such command. Replace the item with one that expires at once.
        Operation::Delete { key, cas: Some(cas) } => write!(out, "cas {key} 0 -1 0 {cas}\r\n\r\n"),
    };
}

pub(super) fn read(operation: &Operation<'_>, input: &mut impl Input) -> io::Result<Reply> {
    let line = input.line(LONGEST_LINE)?;
    if let Some(refused) = refusal(line)? {
        return Ok(refused);
    }
    match (operation, line) {
        (Operation::Get { .. }, b"END") => Ok(Reply::Miss),
        (Operation::Get { key }, line) => {
            let words: Vec<_> = line.split(|byte| *byte == b' ').collect();
            let [b"VALUE", replied, flags, length, cas] = words[..] else {
                return Err(confused(String::from_utf8_lossy(line)));
            };
            check_key(replied, key)?;
            let (flags, length, cas) = (number(flags)?, number(length)?, number(cas)?);
            let data = data(length, input)?;
            match input.line(LONGEST_LINE)? {
                b"END" => Ok(Reply::Value { data, flags, cas }),
                other => Err(confused(String::from_utf8_lossy(other))),
            }
        }
        (_, b"STORED" | b"DELETED") => Ok(Reply::Done),
        (_, b"NOT_STORED" | b"EXISTS") => Ok(Reply::NotDone),
        (_, b"NOT_FOUND") => Ok(Reply::Miss),
        _ => Err(confused(String::from_utf8_lossy(line))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use super::super::tests::Sent;
    use super::*;

    const GET: Operation<'_> = Operation::Get { key: "key" };

    fn written(operation: Operation<'_>) -> String {
        let mut out = Vec::new();
        write(&operation, false, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn reply(operation: Operation<'_>, sent: &str) -> io::Result<Reply> {
        read(&operation, &mut Sent(sent.as_bytes()))
    }

    #[test]
    fn operations_are_written_as_commands() {
        let store = |when| Operation::Store { key: "key", value: b"v", flags: 8, expiry: 60, when };
        assert_eq!(written(GET), "gets key\r\n");
        assert_eq!(written(store(When::Always)), "set key 8 60 1\r\nv\r\n");
        assert_eq!(written(store(When::Absent)), "add key 8 60 1\r\nv\r\n");
        assert_eq!(written(store(When::Unchanged(9))), "cas key 8 60 1 9\r\nv\r\n");
        assert_eq!(written(Operation::Delete { key: "key", cas: None }), "delete key\r\n");
        assert_eq!(written(Operation::Delete { key: "key", cas: Some(9) }), "cas key 0 -1 0 9\r\n\r\n");
    }

    #[test]
    fn replies_are_parsed() {
        let value = Reply::Value { data: b"ab".to_vec(), flags: 0, cas: 12 };
        assert_eq!(reply(GET, "VALUE key 0 2 12\r\nab\r\nEND\r\n").unwrap(), value);
        assert_eq!(reply(GET, "END\r\n").unwrap(), Reply::Miss);
        let delete = Operation::Delete { key: "key", cas: None };
        assert_eq!(reply(delete, "DELETED\r\n").unwrap(), Reply::Done);
        assert_eq!(reply(delete, "NOT_FOUND\r\n").unwrap(), Reply::Miss);
        assert_eq!(reply(delete, "EXISTS\r\n").unwrap(), Reply::NotDone);
    }

    #[test]
    fn reply_that_does_not_match_is_refused() {
        for sent in [
            "VALUE other 0 1 1\r\nx\r\nEND\r\n",
            "VALUE key 0 1\r\nx\r\nEND\r\n",
            "VALUE key 0 1 1\r\nx\r\nVALUE key 0 1 1\r\nx\r\nEND\r\n",
            "STORED\r\n",
            "ERROR\r\n",
            "VALUE key 0 99 1\r\nx\r\nEND\r\n",
        ] {
            assert!(reply(GET, sent).is_err(), "{sent:?}");
        }
    }
}
