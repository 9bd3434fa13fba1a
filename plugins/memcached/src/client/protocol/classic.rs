//! The text protocol of servers older than 1.6: `gets`, `set`, `add`, `cas`, `delete`.
//!
//! Its requests have no numbers. Only the replies to reads name their keys.

// Source: memcached `doc/protocol.txt`, "Storage commands" and "Retrieval command".

use std::io::Write;

use super::frame::{Data, Frame, Head, Layout};
use super::invalid::Invalid;
use super::operation::{Operation, Reply, When};
use super::parse::{check_key, length, number, refusal};
use super::response::Response;

/// A line, and after `VALUE` a value and the line `END`. We request one value at a time.
pub(super) const LAYOUT: Layout = Layout {
    head: Head::Line,
    data: |line, limit| match words(line) {
        Some([_, _, digits, _]) => Ok(Some(Data { length: length(digits, limit)?, end: b"\r\nEND\r\n" })),
        None if line.starts_with(b"VALUE") => Err(Invalid::Kind),
        None => Ok(None),
    },
};

/// Returns the key, the flags, the length, and the cas value of the line before a value.
fn words(line: &[u8]) -> Option<[&[u8]; 4]> {
    let mut words = line.strip_prefix(b"VALUE ")?.split(|byte| *byte == b' ');
    let first = [words.next()?, words.next()?, words.next()?, words.next()?];
    words.next().is_none().then_some(first)
}

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

/// Returns the response in `frame`.
pub(super) fn read(frame: Frame<'_>, operation: &Operation<'_>) -> Result<Response, Invalid> {
    let Frame { head, data } = frame;
    if let Some(refused) = refusal(head)? {
        return Ok(refused);
    }
    let reply = match (operation, data) {
        (Operation::Get { key }, Some(data)) => {
            let [replied, flags, _, cas] = words(head).ok_or(Invalid::Kind)?;
            check_key(replied, key)?;
            Reply::Value { data, flags: number(flags)?, cas: number(cas)? }
        }
        (Operation::Get { .. }, None) if head == b"END" => Reply::Miss,
        (Operation::Get { .. }, None) | (_, Some(_)) => return Err(Invalid::Kind),
        (_, None) => match (head, is_stored(operation)) {
            (b"STORED", true) | (b"DELETED", false) => Reply::Done,
            (b"NOT_STORED", true) | (b"EXISTS", _) => Reply::NotDone,
            (b"NOT_FOUND", _) => Reply::Miss,
            _ => return Err(Invalid::Kind),
        },
    };
    Ok(Response::Reply(reply))
}

/// Returns whether `operation` is sent as a command that stores an item.
fn is_stored(operation: &Operation<'_>) -> bool {
    matches!(operation, Operation::Store { .. } | Operation::Delete { cas: Some(_), .. })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use super::super::Dialect;
    use super::super::tests::response;
    use super::*;

    const GET: Operation<'_> = Operation::Get { key: "key" };

    fn written(operation: Operation<'_>) -> String {
        let mut out = Vec::new();
        write(&operation, false, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn reply(operation: Operation<'_>, sent: &str) -> Result<Reply, Invalid> {
        response(Dialect::Classic, &operation, 5, sent.as_bytes()).map(|response| match response {
            Response::Reply(reply) => reply,
            other => panic!("{other:?}"),
        })
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
        assert!(reply(Operation::Delete { key: "key", cas: None }, "STORED\r\n").is_err());
        assert!(reply(Operation::Delete { key: "key", cas: Some(1) }, "DELETED\r\n").is_err());
    }
}
