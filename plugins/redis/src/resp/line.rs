//! Parses the lines of replies.

use std::borrow::Cow;

use super::limits::Invalid;
use super::value::{ErrorReply, Value};

/// The meaning of a line.
pub(super) enum Head {
    Whole(Value),
    String { kind: u8, length: usize },
    List { kind: u8, count: usize },
}

/// Returns `line` without its end. A carriage return elsewhere is not valid.
pub(super) fn without_end(line: Cow<'_, [u8]>) -> Result<Cow<'_, [u8]>, Invalid> {
    let length = line.len().checked_sub(2).ok_or(Invalid::End)?;
    if line.iter().position(|byte| *byte == b'\r') != Some(length) {
        return Err(Invalid::End);
    }
    Ok(match line {
        Cow::Borrowed(line) => Cow::Borrowed(&line[..length]),
        Cow::Owned(mut line) => {
            line.truncate(length);
            Cow::Owned(line)
        }
    })
}

/// Parses a line, which has no end.
pub(super) fn parse(line: &[u8]) -> Result<Head, Invalid> {
    let (kind, rest) = line.split_first().ok_or(Invalid::End)?;
    let value = match (kind, rest) {
        (b'$' | b'*', b"-1") | (b'_', b"") => Value::Nil,
        (b'$' | b'!' | b'=', _) => return Ok(Head::String { kind: *kind, length: length(rest)? }),
        (b'*' | b'~' | b'%' | b'>' | b'|', _) => {
            return Ok(Head::List { kind: *kind, count: length(rest)? });
        }
        (b'+', _) => Value::Simple(rest.to_vec()),
        (b'-', _) => Value::Error(ErrorReply::new(rest)),
        (b':', _) => Value::Integer(parsed(rest)?),
        (b',', _) => Value::Double(parsed(rest)?),
        (b'#', b"t") => Value::Boolean(true),
        (b'#', b"f") => Value::Boolean(false),
        (b'(', _) if is_whole(rest) => Value::Simple(rest.to_vec()),
        (b'_' | b'#' | b'(', _) => return Err(Invalid::Number),
        (other, _) => return Err(Invalid::Type(*other)),
    };
    Ok(Head::Whole(value))
}

fn length(text: &[u8]) -> Result<usize, Invalid> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) { Err(Invalid::Number) } else { parsed(text) }
}

fn parsed<T: std::str::FromStr>(text: &[u8]) -> Result<T, Invalid> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(Invalid::Number)
}

/// Returns whether `text` is a whole number of any size.
fn is_whole(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}
