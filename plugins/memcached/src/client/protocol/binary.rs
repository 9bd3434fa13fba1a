//! The binary protocol, and SASL.

// Source: the memcached wiki, "BinaryProtocolRevamped" and "SASLAuthProtocol".

use std::io;

use super::operation::{Operation, Reply, When};
use super::parse::{LARGEST, confused};
use crate::client::options::Login;
use crate::client::stream::Input;

const REQUEST: u8 = 0x80;
const RESPONSE: u8 = 0x81;

const GET: u8 = 0x00;
const SET: u8 = 0x01;
const ADD: u8 = 0x02;
const DELETE: u8 = 0x04;
const AUTHENTICATE: u8 = 0x21;

const HEADER: usize = 24;

/// Appends a request. The server returns its `number` with the reply.
pub(super) fn write(operation: &Operation<'_>, number: u32, out: &mut Vec<u8>) {
    match operation {
        Operation::Get { key } => request(out, Request { code: GET, number, cas: 0 }, &[], key, &[]),
        Operation::Store { key, value, flags, expiry, when } => {
            let (code, cas) = match when {
                When::Always => (SET, 0),
                When::Absent => (ADD, 0),
                When::Unchanged(cas) => (SET, *cas),
            };
            let extras = [flags.to_be_bytes(), expiry.to_be_bytes()].concat();
            request(out, Request { code, number, cas }, &extras, key, value);
        }
        Operation::Delete { key, cas } => {
            request(out, Request { code: DELETE, number, cas: cas.unwrap_or(0) }, &[], key, &[]);
        }
    }
}

#[derive(Clone, Copy)]
struct Request {
    code: u8,
    number: u32,
    cas: u64,
}

fn request(
    out: &mut Vec<u8>,
    Request { code, number, cas }: Request,
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
    out.extend_from_slice(&number.to_be_bytes());
    out.extend_from_slice(&cas.to_be_bytes());
    out.extend_from_slice(extras);
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(value);
}

struct Response {
    status: u16,
    cas: u64,
    extras: Vec<u8>,
    value: Vec<u8>,
}

pub(super) fn read(operation: &Operation<'_>, number: u32, input: &mut impl Input) -> io::Result<Reply> {
    let code = match operation {
        Operation::Get { .. } => GET,
        Operation::Store { when: When::Absent, .. } => ADD,
        Operation::Store { .. } => SET,
        Operation::Delete { .. } => DELETE,
    };
    let Response { status, cas, extras, value } = response(code, number, input)?;
    match (status, operation) {
        (0, Operation::Get { .. }) => {
            let flags =
                extras.try_into().map(u32::from_be_bytes).map_err(|_| confused("an item without flags"))?;
            Ok(Reply::Value { data: value, flags, cas })
        }
        (0, _) => Ok(Reply::Done),
        (1, _) => Ok(Reply::Miss),
        (2 | 5, _) => Ok(Reply::NotDone),
        (0x20, _) => Err(io::ErrorKind::PermissionDenied.into()),
        (3, _) => Ok(Reply::Refused("object too large for cache".to_owned())),
        _ => Ok(Reply::Refused(format!("{} (status {status})", String::from_utf8_lossy(&value)))),
    }
}

fn response(code: u8, number: u32, input: &mut impl Input) -> io::Result<Response> {
    let header: [u8; HEADER] = input.bytes(HEADER)?.try_into().map_err(|_| confused("a truncated header"))?;
    let [magic, replied, k0, k1, extras, _, s0, s1, b0, b1, b2, b3, n0, n1, n2, n3, ref cas @ ..] = header;
    if magic != RESPONSE || replied != code || u32::from_be_bytes([n0, n1, n2, n3]) != number {
        return Err(confused(format!("a header {header:02x?}")));
    }
    let (key, body) = (u16::from_be_bytes([k0, k1]), u32::from_be_bytes([b0, b1, b2, b3]) as usize);
    let before = usize::from(extras) + usize::from(key);
    if body < before || body > LARGEST {
        return Err(confused(format!("a body of {body} bytes")));
    }
    let body = input.bytes(body)?;
    // No reply to our requests has a key.
    if key > 0 {
        return Err(confused("a reply with a key"));
    }
    Ok(Response {
        status: u16::from_be_bytes([s0, s1]),
        cas: u64::from_be_bytes(*cas),
        extras: body[..usize::from(extras)].to_vec(),
        value: body[before..].to_vec(),
    })
}

/// Returns the request that logs in. A server without users accepts every login.
pub(in super::super) fn log_in(login: &Login) -> Vec<u8> {
    let Login { username, password } = login;
    let mut out = Vec::new();
    let secret = format!("\0{username}\0{password}");
    request(&mut out, Request { code: AUTHENTICATE, number: 0, cas: 0 }, &[], "PLAIN", secret.as_bytes());
    out
}

/// Reads the reply to [`log_in`], and returns whether the login was accepted.
pub(in super::super) fn is_logged_in(input: &mut impl Input) -> io::Result<bool> {
    const UNKNOWN_COMMAND: u16 = 0x81;
    let Response { status, .. } = response(AUTHENTICATE, 0, input)?;
    Ok(matches!(status, 0 | UNKNOWN_COMMAND))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use super::super::tests::Sent;
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

    fn reply(operation: Operation<'_>, number: u32, sent: &[u8]) -> io::Result<Reply> {
        read(&operation, number, &mut Sent(sent))
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
    fn login_is_accepted_or_rejected() {
        let taken = |status| is_logged_in(&mut Sent(&sent(AUTHENTICATE, status, 0, &[], b""))).unwrap();
        assert_eq!([0, 0x81, 0x20].map(taken), [true, true, false]);
    }
}
