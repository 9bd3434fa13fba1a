//! The parts of replies that several protocols have in common.

use std::io;

use super::operation::Reply;
use crate::client::stream::Input;

/// The largest item that any server can be configured to accept.
pub(super) const LARGEST: usize = 1 << 30;

/// The longest line of a reply: a key and some numbers, or an error message.
pub(crate) const LONGEST_LINE: usize = 2048;

/// Creates the error for an invalid reply.
pub(super) fn confused(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// Returns the refusal in `line`, if it is one.
///
/// # Errors
/// If `line` is another error message. It is then unknown how much of the request the server has read.
pub(super) fn refusal(line: &[u8]) -> io::Result<Option<Reply>> {
    let text = || String::from_utf8_lossy(line).into_owned();
    if let Some(why) = line.strip_prefix(b"SERVER_ERROR") {
        return Ok(Some(Reply::Refused(String::from_utf8_lossy(why).trim().to_owned())));
    }
    if line.starts_with(b"CLIENT_ERROR") || line.starts_with(b"ERROR") {
        return Err(confused(text()));
    }
    Ok(None)
}

/// Parses a number.
pub(super) fn number<N: std::str::FromStr>(digits: &[u8]) -> io::Result<N> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| confused(format!("{:?} is not a valid number", String::from_utf8_lossy(digits))))
}

/// Reads the data of an item of `length`, and the line end after it.
pub(super) fn data(length: usize, input: &mut impl Input) -> io::Result<Vec<u8>> {
    if length > LARGEST {
        return Err(confused(format!("an item of {length} bytes")));
    }
    let item = input.bytes(length + 2)?;
    match item.split_at(length) {
        (data, b"\r\n") => Ok(data.to_vec()),
        _ => Err(confused("an item without an end")),
    }
}

/// Returns an error if a reply names another key than the request.
pub(super) fn check_key(replied: &[u8], requested: &str) -> io::Result<()> {
    if replied == requested.as_bytes() {
        return Ok(());
    }
    Err(confused(format!("key {:?} instead of {requested:?}", String::from_utf8_lossy(replied))))
}
