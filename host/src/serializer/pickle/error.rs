//! [`Error`]: the reason why a pickle was not read or written.

use std::borrow::Cow;
use std::fmt;

/// The reason why a pickle was not read or written.
#[derive(Debug)]
pub(super) enum Error {
    /// The bytes are not a pickle, or not one of plain data. `at` is the offset of the opcode.
    Pickle { at: usize, why: Cow<'static, str> },
    /// The value and the type do not fit each other, or the value cannot be pickled.
    Value(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Pickle { at, why } => write!(f, "byte {at}: {why}"),
            Error::Value(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Error {}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Error::Value(why.to_string())
    }
}

impl serde::ser::Error for Error {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Error::Value(why.to_string())
    }
}
