//! The meta commands: `mg`, `ms`, `md`.

// Source: memcached `doc/protocol.txt`, "Meta Commands".

use std::io::Write;

use super::frame::{Data, Frame, Head, Layout};
use super::invalid::Invalid;
use super::operation::{Operation, Reply, When};
use super::parse::{check_key, length, number, refusal};
use super::response::{Awaited, Response};

/// A line, and after `VA` a value of the length that follows.
pub(super) const LAYOUT: Layout = Layout {
    head: Head::Line,
    data: |line, limit| {
        let mut words = line.split(|byte| *byte == b' ');
        if words.next() != Some(b"VA") {
            return Ok(None);
        }
        let length = length(words.next().unwrap_or_default(), limit)?;
        Ok(Some(Data { length, end: b"\r\n" }))
    },
};

/// Appends a command. Each one requests the key (`k`) and the number (`O`) with the reply, so that the reply can be
/// matched to its request.
pub(super) fn write(operation: &Operation<'_>, opaque: u32, is_noreply: bool, out: &mut Vec<u8>) {
    // Writing to a vector cannot fail.
    let _ = match operation {
        Operation::Get { key } => write!(out, "mg {key} v f c k O{opaque}\r\n"),
        Operation::Store { key, value, flags, expiry, when } => {
            let _ = write!(out, "ms {key} {} T{expiry} F{flags} k O{opaque}", value.len());
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
        Operation::Delete { key, cas: None } => write!(out, "md {key} k O{opaque}\r\n"),
        Operation::Delete { key, cas: Some(cas) } => write!(out, "md {key} k O{opaque} C{cas}\r\n"),
    };
}

/// The flags of a reply that matter here.
#[derive(Default)]
struct Flags<'l> {
    key: Option<&'l [u8]>,
    opaque: Option<u32>,
    flags: u32,
    cas: u64,
}

impl<'l> Flags<'l> {
    fn parse(words: impl Iterator<Item = &'l [u8]>) -> Result<Self, Invalid> {
        let mut parsed = Flags::default();
        for word in words {
            match word.split_first() {
                Some((b'k', key)) => parsed.key = Some(key),
                Some((b'O', digits)) => parsed.opaque = Some(number(digits)?),
                Some((b'f', digits)) => parsed.flags = number(digits)?,
                Some((b'c', digits)) => parsed.cas = number(digits)?,
                _ => {}
            }
        }
        Ok(parsed)
    }

    /// Returns an error if the reply is for another request. `echoes` is set by the first number that was repeated.
    fn check(&self, awaited: Awaited<'_>, echoes: &mut bool) -> Result<(), Invalid> {
        check_key(self.key.unwrap_or_default(), awaited.operation.key())?;
        match self.opaque {
            Some(opaque) if opaque == awaited.opaque => *echoes = true,
            None if !*echoes => {}
            _ => return Err(Invalid::Opaque),
        }
        Ok(())
    }
}

/// Returns the response in `frame`.
///
/// Older servers send a miss without key and number, and some proxies drop numbers. `echoes` is whether the server has
/// repeated a number on this connection. From then on, it must repeat each.
pub(super) fn read(frame: Frame<'_>, awaited: Awaited<'_>, echoes: &mut bool) -> Result<Response, Invalid> {
    let Frame { head, data } = frame;
    if let Some(refused) = refusal(head)? {
        return Ok(refused);
    }
    let mut words = head.split(|byte| *byte == b' ');
    let code = words.next().unwrap_or_default();
    let is_get = matches!(awaited.operation, Operation::Get { .. });
    if is_get && head == b"EN" && !*echoes {
        return Ok(Response::Reply(Reply::Miss));
    }
    // The length of a value comes before its flags.
    let flags = Flags::parse(words.skip(usize::from(data.is_some())))?;
    let reply = match (code, data) {
        (b"VA", Some(data)) if is_get => Reply::Value { data, flags: flags.flags, cas: flags.cas },
        (b"EN", None) if is_get => Reply::Miss,
        (b"HD", None) if !is_get => Reply::Done,
        (b"NS" | b"EX", None) if !is_get => Reply::NotDone,
        (b"NF", None) if !is_get => Reply::Miss,
        _ => return Err(Invalid::Kind),
    };
    flags.check(awaited, echoes)?;
    Ok(Response::Reply(reply))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use super::super::invalid::Refusal;
    use super::super::tests::response;
    use super::super::{Codec, Dialect};
    use super::*;

    const GET: Operation<'_> = Operation::Get { key: "key" };
    const DELETE: Operation<'_> = Operation::Delete { key: "key", cas: Some(7) };

    fn store(when: When) -> Operation<'static> {
        Operation::Store { key: "key", value: b"v", flags: 8, expiry: 60, when }
    }

    fn written(operation: Operation<'_>) -> String {
        let mut out = Vec::new();
        write(&operation, 5, false, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn reply(operation: Operation<'_>, sent: &str) -> Result<Reply, Invalid> {
        response(Dialect::Meta, &operation, 5, sent.as_bytes()).map(|response| match response {
            Response::Reply(reply) => reply,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn operations_are_written_as_commands() {
        assert_eq!(written(GET), "mg key v f c k O5\r\n");
        assert_eq!(written(store(When::Always)), "ms key 1 T60 F8 k O5\r\nv\r\n");
        assert_eq!(written(store(When::Absent)), "ms key 1 T60 F8 k O5 ME\r\nv\r\n");
        assert_eq!(written(store(When::Unchanged(9))), "ms key 1 T60 F8 k O5 C9\r\nv\r\n");
        assert_eq!(written(DELETE), "md key k O5 C7\r\n");
    }

    #[test]
    fn replies_are_parsed() {
        let value = Reply::Value { data: b"a\r\nb".to_vec(), flags: 8, cas: 12 };
        assert_eq!(reply(GET, "VA 4 f8 c12 kkey O5\r\na\r\nb\r\n").unwrap(), value);
        assert_eq!(reply(GET, "EN kkey O5\r\n").unwrap(), Reply::Miss);
        assert_eq!(reply(GET, "EN\r\n").unwrap(), Reply::Miss);
        assert_eq!(reply(store(When::Always), "HD kkey O5\r\n").unwrap(), Reply::Done);
        assert_eq!(reply(store(When::Absent), "NS kkey O5\r\n").unwrap(), Reply::NotDone);
        assert_eq!(reply(DELETE, "EX kkey O5\r\n").unwrap(), Reply::NotDone);
        assert_eq!(reply(DELETE, "NF kkey O5\r\n").unwrap(), Reply::Miss);
    }

    #[test]
    fn refusals_are_distinguished() {
        for (sent, refusal) in [
            ("SERVER_ERROR object too large for cache\r\n", Refusal::TooLarge),
            ("SERVER_ERROR out of memory storing object\r\n", Refusal::OutOfMemory),
            ("SERVER_ERROR\r\n", Refusal::Other),
        ] {
            let refused = response(Dialect::Meta, &store(When::Always), 5, sent.as_bytes());
            assert_eq!(refused, Ok(Response::Refused(refusal)), "{sent:?}");
        }
    }

    #[test]
    fn reply_that_does_not_match_is_refused() {
        for sent in [
            "VA 1 f0 c1 kother O5\r\nx\r\n",
            "VA 1 f0 c1 kkey O4\r\nx\r\n",
            "VA 1 f0 c1 O5\r\nx\r\n",
            "VA 9999999999999999999999 kkey O5\r\n",
            "VA 2000000000 kkey O5\r\n",
            "VA 1 f0 kkey O5\r\nxxx",
            "VA -1 kkey O5\r\n",
            "VA 1 f-1 kkey O5\r\nx\r\n",
            "EN kother O5\r\n",
            "EN kkey O4\r\n",
            "HD kkey O5\r\n",
            "ERROR\r\n",
            "CLIENT_ERROR bad data chunk\r\n",
            "\r\n",
            "VA\r\n",
        ] {
            assert!(reply(GET, sent).is_err(), "{sent:?}");
        }
        for sent in ["HD\r\n", "HD kother O5\r\n", "HD kkey O6\r\n", "EN\r\n", "VA 1 kkey O5\r\nx\r\n"] {
            assert!(reply(DELETE, sent).is_err(), "{sent:?}");
        }
    }

    #[test]
    fn reply_without_number_is_refused_once_the_server_repeated_one() {
        let value = Reply::Value { data: b"x".to_vec(), flags: 0, cas: 1 };
        let awaited = Awaited { operation: &GET, opaque: 5 };
        let mut codec = Codec::new(Dialect::Meta);
        let mut read = |mut sent: &[u8]| codec.read(&mut sent, awaited, 9);
        assert_eq!(read(b"VA 1 f0 c1 kkey\r\nx\r\n"), Ok(Some(Response::Reply(value))));
        assert_eq!(read(b"EN\r\n"), Ok(Some(Response::Reply(Reply::Miss))));
        assert_eq!(read(b"EN kkey O5\r\n"), Ok(Some(Response::Reply(Reply::Miss))));
        assert_eq!(read(b"VA 1 f0 c1 kkey\r\nx\r\n"), Err(Invalid::Opaque));
        assert_eq!(read(b"EN kkey\r\n"), Err(Invalid::Opaque));
        assert_eq!(read(b"EN\r\n"), Err(Invalid::Key));
    }
}
