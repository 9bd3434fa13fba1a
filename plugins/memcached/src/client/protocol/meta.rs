//! The meta commands: `mg`, `ms`, `md`.

// Source: memcached `doc/protocol.txt`, "Meta Commands".

use std::io::{self, Write};

use super::operation::{Operation, Reply, When};
use super::parse::{LONGEST_LINE, check_key, confused, data, number, refusal};
use crate::client::stream::Input;

/// Appends a command. Each one requests the key (`k`), so that a reply can be matched to its request.
pub(super) fn write(operation: &Operation<'_>, is_noreply: bool, out: &mut Vec<u8>) {
    // Writing to a vector cannot fail.
    let _ = match operation {
        Operation::Get { key } => write!(out, "mg {key} v f c k\r\n"),
        Operation::Store { key, value, flags, expiry, when } => {
            let _ = write!(out, "ms {key} {} T{expiry} F{flags} k", value.len());
            let _ = match when {
                When::Always if is_noreply => write!(out, " q"),
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

pub(super) fn read(operation: &Operation<'_>, input: &mut impl Input) -> io::Result<Reply> {
    let line = input.line(LONGEST_LINE)?;
    if let Some(refused) = refusal(line)? {
        return Ok(refused);
    }
    let mut words = line.split(|byte| *byte == b' ');
    let code = words.next().unwrap_or_default();
    match (operation, code) {
        (Operation::Get { .. }, b"EN") => Ok(Reply::Miss),
        (Operation::Get { key }, b"VA") => {
            let length = number(words.next().unwrap_or_default())?;
            let (mut flags, mut cas, mut replied) = (0, 0, None);
            for word in words {
                match word.split_first() {
                    Some((b'f', digits)) => flags = number(digits)?,
                    Some((b'c', digits)) => cas = number(digits)?,
                    Some((b'k', key)) => replied = Some(key),
                    _ => {}
                }
            }
            check_key(replied.unwrap_or_default(), key)?;
            Ok(Reply::Value { data: data(length, input)?, flags, cas })
        }
        (Operation::Store { .. } | Operation::Delete { .. }, b"HD" | b"NS" | b"EX" | b"NF") => {
            let replied = words.find_map(|word| word.strip_prefix(b"k"));
            check_key(replied.unwrap_or_default(), operation.key())?;
            Ok(match code {
                b"HD" => Reply::Done,
                b"NF" => Reply::Miss,
                _ => Reply::NotDone,
            })
        }
        _ => Err(confused(String::from_utf8_lossy(line))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
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

    fn reply(operation: Operation<'_>, sent: &str) -> io::Result<Reply> {
        read(&operation, &mut Sent(sent.as_bytes()))
    }

    #[test]
    fn operations_are_written_as_commands() {
        assert_eq!(written(GET), "mg key v f c k\r\n");
        assert_eq!(written(store(When::Always)), "ms key 1 T60 F8 k\r\nv\r\n");
        assert_eq!(written(store(When::Absent)), "ms key 1 T60 F8 k ME\r\nv\r\n");
        assert_eq!(written(store(When::Unchanged(9))), "ms key 1 T60 F8 k C9\r\nv\r\n");
        assert_eq!(written(DELETE), "md key k C7\r\n");
    }

    #[test]
    fn replies_are_parsed() {
        let value = Reply::Value { data: b"a\r\nb".to_vec(), flags: 8, cas: 12 };
        assert_eq!(reply(GET, "VA 4 f8 c12 kkey\r\na\r\nb\r\n").unwrap(), value);
        assert_eq!(reply(GET, "EN\r\n").unwrap(), Reply::Miss);
        assert_eq!(reply(store(When::Always), "HD kkey\r\n").unwrap(), Reply::Done);
        assert_eq!(reply(store(When::Absent), "NS kkey\r\n").unwrap(), Reply::NotDone);
        assert_eq!(reply(DELETE, "EX kkey\r\n").unwrap(), Reply::NotDone);
        assert_eq!(reply(DELETE, "NF kkey\r\n").unwrap(), Reply::Miss);
        let refused = reply(store(When::Always), "SERVER_ERROR object too large for cache\r\n").unwrap();
        assert_eq!(refused, Reply::Refused("object too large for cache".to_owned()));
    }

    #[test]
    fn reply_that_does_not_match_is_refused() {
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
            assert!(reply(GET, sent).is_err(), "{sent:?}");
        }
        for sent in ["HD\r\n", "HD kother\r\n", "EN\r\n", "VA 1 kkey\r\nx\r\n"] {
            assert!(reply(DELETE, sent).is_err(), "{sent:?}");
        }
    }
}
