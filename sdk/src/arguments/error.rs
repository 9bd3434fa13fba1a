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
}

#[derive(Debug)]
enum Problem {
    Missing(&'static str),
    Other(String),
}

/// Creates the error for invalid arguments.
pub(super) fn refused(message: String) -> BackendError {
    BackendError::new(ErrorKind::Configuration, message)
}

impl ArgumentError {
    /// Sets the argument that contains the problem.
    pub(super) fn in_argument(mut self, argument: String) -> Self {
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
            (None, Problem::Missing(name)) => write!(f, "missing argument {name:?}"),
            (None, Problem::Other(problem)) => write!(f, "invalid arguments: {problem}"),
            (Some(argument), Problem::Missing(name)) => {
                write!(f, "invalid argument {argument:?}: missing field `{name}`")
            }
            (Some(argument), Problem::Other(problem)) => {
                write!(f, "invalid argument {argument:?}: {problem}")
            }
        }
    }
}

impl std::error::Error for ArgumentError {}

impl de::Error for ArgumentError {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        ArgumentError { problem: Problem::Other(problem.to_string()), argument: None }
    }

    fn missing_field(field: &'static str) -> Self {
        ArgumentError { problem: Problem::Missing(field), argument: None }
    }
}

impl From<serde_json::Error> for ArgumentError {
    fn from(error: serde_json::Error) -> Self {
        de::Error::custom(error)
    }
}
