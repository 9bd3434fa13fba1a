//! The parts of replies that the text protocols have in common.

use super::invalid::{Invalid, Refusal};
use super::response::Response;

/// Returns the refusal in `line`, if it is one.
///
/// # Errors
/// If `line` is another error message. It is then unknown how much of the request the server has read.
pub(super) fn refusal(line: &[u8]) -> Result<Option<Response>, Invalid> {
    if let Some(why) = line.strip_prefix(b"SERVER_ERROR") {
        return Ok(Some(Response::Refused(Refusal::of(why))));
    }
    if line.starts_with(b"CLIENT_ERROR") || line.starts_with(b"ERROR") {
        return Err(Invalid::Protocol);
    }
    Ok(None)
}

/// Parses a number.
pub(super) fn number<N: std::str::FromStr>(digits: &[u8]) -> Result<N, Invalid> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    text.and_then(|text| text.parse().ok()).ok_or(Invalid::Number)
}

/// Returns the length of a value from its digits.
///
/// # Errors
/// If it is not a number, or more than `limit`.
pub(super) fn length(digits: &[u8], limit: usize) -> Result<usize, Invalid> {
    let given = number(digits)?;
    if given > limit { Err(Invalid::LongValue { given, limit }) } else { Ok(given) }
}

/// Returns an error if a reply names another key than the request.
pub(super) fn check_key(replied: &[u8], requested: &str) -> Result<(), Invalid> {
    if replied == requested.as_bytes() { Ok(()) } else { Err(Invalid::Key) }
}
