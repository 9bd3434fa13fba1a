//! [`Value`]: a reply, or a part of one.

use std::fmt;

/// A reply, or a part of one.
///
/// `Debug` shows no bytes of it, because they may be a secret.
#[derive(Clone, PartialEq)]
pub(crate) enum Value {
    Nil,
    Integer(i64),
    Double(f64),
    Boolean(bool),
    /// A status line, such as `OK`, or a number of any size.
    Simple(Vec<u8>),
    Bulk(Vec<u8>),
    /// An array or a set.
    Array(Vec<Value>),
    /// The keys and values of a map in turn.
    Map(Vec<Value>),
    /// A message that is not the reply to a command.
    Push(Vec<Value>),
    Error(ErrorReply),
}

impl Value {
    /// Returns the name of the value's type.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Nil => "nil",
            Value::Integer(_) => "an integer",
            Value::Double(_) => "a double",
            Value::Boolean(_) => "a boolean",
            Value::Simple(_) => "a status",
            Value::Bulk(_) => "a string",
            Value::Array(_) => "an array",
            Value::Map(_) => "a map",
            Value::Push(_) => "a push message",
            Value::Error(_) => "an error",
        }
    }

    pub(crate) fn into_integer(self) -> Option<i64> {
        match self {
            Value::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// Returns the bytes of a string, or `None` if it is nil or has another type.
    pub(crate) fn into_bytes(self) -> Option<Vec<u8>> {
        match self {
            Value::Bulk(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Returns a string or a status as text, or `None` if it is not UTF-8 or has another type.
    pub(crate) fn into_text(self) -> Option<String> {
        match self {
            Value::Bulk(bytes) | Value::Simple(bytes) => String::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// Returns the elements of an array or a map. Those of a map are its keys and values in turn.
    pub(crate) fn into_elements(self) -> Option<Vec<Value>> {
        match self {
            Value::Array(elements) | Value::Map(elements) => Some(elements),
            _ => None,
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Simple(bytes) | Value::Bulk(bytes) => {
                write!(f, "{} of {} bytes", self.kind(), bytes.len())
            }
            Value::Array(elements) | Value::Map(elements) | Value::Push(elements) => {
                f.debug_tuple(self.kind()).field(elements).finish()
            }
            Value::Error(error) => fmt::Debug::fmt(error, f),
            _ => f.write_str(self.kind()),
        }
    }
}

/// An error reply. Neither `Display` nor `Debug` shows more than its code.
///
/// A server may repeat the arguments of a command in the rest of the text, and they may contain a password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ErrorReply {
    text: Vec<u8>,
}

impl ErrorReply {
    pub(crate) fn new(text: impl Into<Vec<u8>>) -> Self {
        ErrorReply { text: text.into() }
    }

    /// Returns the code, such as `MOVED`, or an empty string if there is no valid one.
    pub(crate) fn code(&self) -> &str {
        const LONGEST: usize = 32;
        let code = self.text.split(|byte| *byte == b' ').next().unwrap_or_default();
        let is_code = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
        let is_valid = code.len() <= LONGEST && code.iter().all(is_code);
        std::str::from_utf8(code).ok().filter(|_| is_valid).unwrap_or_default()
    }

    /// Returns the word at `index` of the text; the code has index 0.
    pub(crate) fn word(&self, index: usize) -> Option<&str> {
        std::str::from_utf8(&self.text).ok()?.split(' ').nth(index)
    }
}

impl fmt::Display for ErrorReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.code().is_empty() { "an error without a code" } else { self.code() })
    }
}

impl fmt::Debug for ErrorReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ErrorReply({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_reply_shows_its_code_only() {
        let reply = ErrorReply::new("ERR unknown command, with args beginning with: 'hunter2'");
        assert_eq!(format!("{reply} {reply:?}"), "ERR ErrorReply(ERR)");
        assert_eq!(ErrorReply::new("MOVED 3999 127.0.0.1:6381").word(2), Some("127.0.0.1:6381"));
        for text in ["", "\x1b[31mEVIL", "hunter2", "A\rB", &"A".repeat(33)] {
            assert_eq!(ErrorReply::new(text).to_string(), "an error without a code", "{text:?}");
        }
    }

    #[test]
    fn debug_of_value_shows_no_bytes() {
        let secret = || Value::Bulk(b"hunter2".to_vec());
        let shown = format!("{:?}", Value::Array(vec![secret(), Value::Map(vec![secret(), Value::Nil])]));
        assert_eq!(shown, "an array([a string of 7 bytes, a map([a string of 7 bytes, nil])])");
    }
}
