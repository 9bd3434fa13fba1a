//! The binary protocol, and SASL.

// Source: the memcached wiki, "BinaryProtocolRevamped" and "SASLAuthProtocol".

use super::frame::{Data, Frame, Head, Layout};
use super::invalid::{Invalid, LONGEST_LINE, Refusal};
use super::operation::{Operation, Reply, When};
use super::response::{Awaited, Response};
use crate::client::options::Login;

const REQUEST: u8 = 0x80;
const RESPONSE: u8 = 0x81;

const GET: u8 = 0x00;
const SET: u8 = 0x01;
const ADD: u8 = 0x02;
const DELETE: u8 = 0x04;
const AUTHENTICATE: u8 = 0x21;

const HEADER: usize = 24;

const MISSING: u16 = 1;
const PRESENT: u16 = 2;
const TOO_LARGE: u16 = 3;
const NOT_STORED: u16 = 5;
const UNAUTHORIZED: u16 = 0x20;
const UNKNOWN_COMMAND: u16 = 0x81;
const OUT_OF_MEMORY: u16 = 0x82;

/// A header and the extras, and then the value.
pub(super) const LAYOUT: Layout = Layout {
    head: Head::Sized(HEADER, |header| Header::parse(header).map(|header| HEADER + header.extras)),
    data: |head, limit| {
        let Header { status, extras, body, .. } = Header::parse(head)?;
        // The body of an error is a short text.
        let limit = if status == 0 { limit } else { LONGEST_LINE };
        let given = body.checked_sub(extras).ok_or(Invalid::End)?;
        if given > limit {
            return Err(Invalid::LongValue { given, limit });
        }
        Ok(Some(Data { length: given, end: b"" }))
    },
};

/// Appends a request. The server returns its `opaque` number with the reply.
pub(super) fn write(operation: &Operation<'_>, opaque: u32, out: &mut Vec<u8>) {
    match operation {
        Operation::Get { key } => request(out, Request { code: GET, opaque, cas: 0 }, &[], key, &[]),
        Operation::Store { key, value, flags, expiry, when } => {
            let (code, cas) = match when {
                When::Always => (SET, 0),
                When::Absent => (ADD, 0),
                When::Unchanged(cas) => (SET, *cas),
            };
            let extras = [flags.to_be_bytes(), expiry.to_be_bytes()].concat();
            request(out, Request { code, opaque, cas }, &extras, key, value);
        }
        Operation::Delete { key, cas } => {
            request(out, Request { code: DELETE, opaque, cas: cas.unwrap_or(0) }, &[], key, &[]);
        }
    }
}

#[derive(Clone, Copy)]
struct Request {
    code: u8,
    opaque: u32,
    cas: u64,
}

fn request(
    out: &mut Vec<u8>,
    Request { code, opaque, cas }: Request,
    extras: &[u8],
    key: &str,
    value: &[u8],
) {
    // These casts lose nothing: keys have at most 250 bytes, extras 8, and larger values are refused earlier.
    let body = extras.len() + key.len() + value.len();
    out.extend_from_slice(&[REQUEST, code]);
    out.extend_from_slice(&(key.len() as u16).to_be_bytes());
    out.extend_from_slice(&[extras.len() as u8, 0, 0, 0]);
    out.extend_from_slice(&(body as u32).to_be_bytes());
    out.extend_from_slice(&opaque.to_be_bytes());
    out.extend_from_slice(&cas.to_be_bytes());
    out.extend_from_slice(extras);
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(value);
}

/// The header of a reply.
struct Header {
    code: u8,
    status: u16,
    extras: usize,
    /// The length of the extras and the value.
    body: usize,
    opaque: u32,
    cas: u64,
}

impl Header {
    fn parse(head: &[u8]) -> Result<Self, Invalid> {
        let Some((&header, _)) = head.split_first_chunk::<HEADER>() else { return Err(Invalid::End) };
        let [magic, code, k0, k1, extras, _, s0, s1, b0, b1, b2, b3, n0, n1, n2, n3, cas @ ..] = header;
        if magic != RESPONSE {
            return Err(Invalid::Kind);
        }
        // No reply to our requests has a key.
        if [k0, k1] != [0, 0] {
            return Err(Invalid::Key);
        }
        Ok(Header {
            code,
            status: u16::from_be_bytes([s0, s1]),
            extras: usize::from(extras),
            body: u32::from_be_bytes([b0, b1, b2, b3]) as usize,
            opaque: u32::from_be_bytes([n0, n1, n2, n3]),
            cas: u64::from_be_bytes(cas),
        })
    }

    /// Returns an error if the reply is not to request `opaque` with `code`.
    fn check(&self, code: u8, opaque: u32) -> Result<(), Invalid> {
        match () {
            () if self.opaque != opaque => Err(Invalid::Opaque),
            () if self.code != code => Err(Invalid::Kind),
            () => Ok(()),
        }
    }
}

/// Returns the response in `frame`.
pub(super) fn read(
    frame: Frame<'_>,
    Awaited { operation, opaque }: Awaited<'_>,
) -> Result<Response, Invalid> {
    let header = Header::parse(frame.head)?;
    let code = match operation {
        Operation::Get { .. } => GET,
        Operation::Store { when: When::Absent, .. } => ADD,
        Operation::Store { .. } => SET,
        Operation::Delete { .. } => DELETE,
    };
    header.check(code, opaque)?;
    Ok(Response::Reply(match (header.status, operation) {
        (0, Operation::Get { .. }) => {
            let flags = frame.head[HEADER..].try_into().map_err(|_| Invalid::Kind)?;
            let (flags, data) = (u32::from_be_bytes(flags), frame.data.unwrap_or_default());
            Reply::Value { data, flags, cas: header.cas }
        }
        (0, _) => Reply::Done,
        (MISSING, _) => Reply::Miss,
        (PRESENT | NOT_STORED, _) => Reply::NotDone,
        (UNAUTHORIZED, _) => return Ok(Response::LoggedOut),
        (TOO_LARGE, _) => return Ok(Response::Refused(Refusal::TooLarge)),
        (OUT_OF_MEMORY, _) => return Ok(Response::Refused(Refusal::OutOfMemory)),
        _ => return Ok(Response::Refused(Refusal::Other)),
    }))
}

/// Appends the request that logs in. A server without users accepts every login.
pub(super) fn log_in(login: &Login, opaque: u32, out: &mut Vec<u8>) {
    let Login { username, password } = login;
    let secret = format!("\0{username}\0{password}");
    request(out, Request { code: AUTHENTICATE, opaque, cas: 0 }, &[], "PLAIN", secret.as_bytes());
}

/// Returns whether the reply to [`log_in`] in `frame` accepts the login.
pub(super) fn is_logged_in(frame: &Frame<'_>, opaque: u32) -> Result<bool, Invalid> {
    let header = Header::parse(frame.head)?;
    header.check(AUTHENTICATE, opaque)?;
    Ok(matches!(header.status, 0 | UNKNOWN_COMMAND))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use super::super::tests::response;
    use super::super::{Codec, Dialect};
    use super::*;

    const REQUESTED: Operation<'_> = Operation::Get { key: "key" };

    /// Returns a response with `code` and `number`.
    fn sent(code: u8, status: u16, number: u32, extras: &[u8], value: &[u8]) -> Vec<u8> {
        let mut out = vec![RESPONSE, code, 0, 0, extras.len() as u8, 0];
        out.extend_from_slice(&status.to_be_bytes());
        out.extend_from_slice(&((extras.len() + value.len()) as u32).to_be_bytes());
        out.extend_from_slice(&number.to_be_bytes());
        out.extend_from_slice(&9_u64.to_be_bytes());
        [&out, extras, value].concat()
    }

    fn reply(operation: Operation<'_>, opaque: u32, sent: &[u8]) -> Result<Reply, Invalid> {
        response(Dialect::Binary, &operation, opaque, sent).map(|response| match response {
            Response::Reply(reply) => reply,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn request_contains_lengths_and_number() {
        let mut out = Vec::new();
        write(
            &Operation::Store { key: "k", value: b"vv", flags: 8, expiry: 1, when: When::Unchanged(9) },
            3,
            &mut out,
        );
        let header = [0x80, 1, 0, 1, 8, 0, 0, 0, 0, 0, 0, 11, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 9];
        assert_eq!(out[..24], header);
        assert_eq!(out[24..], *b"\0\0\0\x08\0\0\0\x01kvv");
    }

    #[test]
    fn replies_are_parsed() {
        let value = Reply::Value { data: b"v".to_vec(), flags: 8, cas: 9 };
        assert_eq!(reply(REQUESTED, 3, &sent(GET, 0, 3, &[0, 0, 0, 8], b"v")).unwrap(), value);
        assert_eq!(reply(REQUESTED, 3, &sent(GET, 1, 3, &[], b"Not found")).unwrap(), Reply::Miss);
        let delete = Operation::Delete { key: "key", cas: None };
        assert_eq!(reply(delete, 0, &sent(DELETE, 2, 0, &[], b"")).unwrap(), Reply::NotDone);
    }

    #[test]
    fn reply_that_does_not_match_is_refused() {
        for (code, number) in [(GET, 4), (SET, 3)] {
            assert!(reply(REQUESTED, 3, &sent(code, 0, number, &[0, 0, 0, 8], b"v")).is_err());
        }
        let good = sent(GET, 0, 3, &[0, 0, 0, 8], b"v");
        for length in 0..good.len() {
            assert!(reply(REQUESTED, 3, &good[..length]).is_err(), "{length} bytes");
        }
        assert!(reply(REQUESTED, 3, &sent(GET, 0, 3, &[], b"no flags")).is_err());
    }

    #[test]
    fn refusals_are_distinguished() {
        for (status, refusal) in [
            (TOO_LARGE, Response::Refused(Refusal::TooLarge)),
            (OUT_OF_MEMORY, Response::Refused(Refusal::OutOfMemory)),
            (4, Response::Refused(Refusal::Other)),
            (UNAUTHORIZED, Response::LoggedOut),
        ] {
            let refused = response(Dialect::Binary, &REQUESTED, 3, &sent(GET, status, 3, &[], b"a reason"));
            assert_eq!(refused, Ok(refusal), "{status}");
        }
        let long = sent(GET, 4, 3, &[], &[b'x'; LONGEST_LINE + 1]);
        assert!(response(Dialect::Binary, &REQUESTED, 3, &long).is_err());
    }

    #[test]
    fn login_is_accepted_or_rejected() {
        let taken = |status| {
            let sent = sent(AUTHENTICATE, status, 7, &[], b"Authenticated");
            Codec::new(Dialect::Binary).read_login(&mut &sent[..], 7).unwrap()
        };
        assert_eq!([0, 0x81, 0x20].map(taken), [true, true, false].map(Some));
        let other = sent(AUTHENTICATE, 0, 6, &[], b"");
        assert_eq!(Codec::new(Dialect::Binary).read_login(&mut &other[..], 7), Err(Invalid::Opaque));
    }
}
