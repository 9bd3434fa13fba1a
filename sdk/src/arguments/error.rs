//! [`ArgumentError`]: why the arguments of an entry point cannot be read.

use std::fmt;

use serde::de;

use crate::error::{BackendError, ErrorKind};

/// Why the arguments of an entry point cannot be read.
#[derive(Debug)]
pub(super) struct ArgumentError {
    problem: Problem,
    /// The argument that contains the problem.
    argument: Option<String>,
    /// Whether the value may contain a password.
    is_secret: bool,
}

#[derive(Debug)]
enum Problem {
    Missing(&'static str),
    /// A value of another type or out of range.
    Unexpected {
        found: String,
        expected: String,
    },
    Other(String),
}

/// Creates the error for invalid arguments.
pub(super) fn refused(message: String) -> BackendError {
    BackendError::new(ErrorKind::Configuration, message)
}

impl ArgumentError {
    /// Sets the argument that contains the problem.
    pub(super) fn in_argument(mut self, argument: String) -> Self {
        // An argument can be a table, with the password in it.
        self.is_secret |= is_secret(&argument);
        self.argument = Some(argument);
        self
    }

    /// Returns the invalid or missing argument, if it is known.
    pub(super) fn argument(&self) -> Option<&str> {
        match (&self.argument, &self.problem) {
            (None, Problem::Missing(name)) => Some(name),
            (argument, _) => argument.as_deref(),
        }
    }
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.argument, &self.problem) {
            (None, Problem::Missing(name)) => {
                write!(f, "missing argument {name:?}; add it, such as arguments = {{ {name} = ... }}")
            }
            (None, problem) => write!(f, "invalid arguments: {problem}"),
            (Some(argument), Problem::Unexpected { found, expected })
                if self.is_secret || is_secret(found) =>
            {
                write!(f, "invalid argument {argument:?}: expected {expected}")
            }
            (Some(argument), problem) => write!(f, "invalid argument {argument:?}: {problem}"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Missing(name) => write!(f, "missing entry {name:?}; write it as {{ {name} = ... }}"),
            Problem::Unexpected { found, expected } => write!(f, "found {found}; expected {expected}"),
            Problem::Other(problem) => f.write_str(problem),
        }
    }
}

impl std::error::Error for ArgumentError {}

/// Returns whether a name or a value speaks of a password.
fn is_secret(text: &str) -> bool {
    text.contains("password")
}

impl de::Error for ArgumentError {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        ArgumentError { problem: Problem::Other(problem.to_string()), argument: None, is_secret: false }
    }

    fn missing_field(field: &'static str) -> Self {
        ArgumentError { problem: Problem::Missing(field), argument: None, is_secret: false }
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let problem = Problem::Unexpected { found: shown(found), expected: plain(&expected.to_string()) };
        ArgumentError { problem, argument: None, is_secret: false }
    }

    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(found, expected)
    }
}

/// Returns a value as a configuration would contain it. Lists and tables may be long, and are only named.
fn shown(found: de::Unexpected<'_>) -> String {
    use de::Unexpected::{Bool, Float, Map, Option, Seq, Signed, Str, Unit, Unsigned};
    match found {
        Bool(given) => given.to_string(),
        Unsigned(given) => given.to_string(),
        Signed(given) => given.to_string(),
        Float(given) => given.to_string(),
        Str(given) => format!("{given:?}"),
        Seq => "a list".to_owned(),
        Map => "a table".to_owned(),
        Unit | Option => "an empty value".to_owned(),
        other => other.to_string(),
    }
}

/// Returns what serde expects, without types of Rust.
fn plain(expected: &str) -> String {
    let text = match expected.trim_start_matches("a nonzero ") {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "u128" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a sequence" => "a list",
        "a map" => "a table",
        _ if expected.starts_with("struct ") => "a table",
        _ => expected,
    };
    if expected.starts_with("a nonzero ") { format!("{text}, and not 0") } else { text.to_owned() }
}

impl From<serde_json::Error> for ArgumentError {
    fn from(error: serde_json::Error) -> Self {
        de::Error::custom(error)
    }
}
