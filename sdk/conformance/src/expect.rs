//! [`Outcome`]: how a case ends, and the texts of failures.

use std::any::Any;
use std::fmt;
use std::thread;

use dogpile_sdk::{BackendError, CacheBackend, CachedValue, Payload};

/// The result of a case.
pub type Outcome = Result<(), Stop>;

/// Why a case ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The case does not apply to the backend. The text is the reason.
    Skipped(String),
    /// The backend behaved wrongly. The text says what was expected.
    Failed(String),
}

impl Stop {
    /// Creates a failure. `expected` states what was expected, and what happened instead.
    pub fn failed(expected: impl Into<String>) -> Self {
        Stop::Failed(expected.into())
    }

    /// Creates the outcome of a case that does not apply to the backend.
    pub fn skipped(reason: impl Into<String>) -> Self {
        Stop::Skipped(reason.into())
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Skipped(reason) => f.write_str(reason),
            Stop::Failed(expected) => f.write_str(expected),
        }
    }
}

/// Converts an unexpected error of the backend to a failure.
impl From<BackendError> for Stop {
    fn from(error: BackendError) -> Self {
        let operation = error.operation().unwrap_or("a call");
        let key = error.key().map(|key| format!(" of key {key:?}")).unwrap_or_default();
        Stop::failed(format!(
            "expected {operation}{key} to succeed, got an error ({:?}): {error}",
            error.kind()
        ))
    }
}

/// Fails with `expected` unless `holds`.
pub(crate) fn ensure(holds: bool, expected: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(Stop::failed(expected())) }
}

/// Fails unless `found`, the result of the call `asked`, is `expected`.
pub(crate) fn ensure_value(
    asked: &str,
    found: Option<&CachedValue>,
    expected: Option<&CachedValue>,
) -> Outcome {
    ensure(found == expected, || {
        format!("expected {asked} to return {}, got {}", described(expected), described(found))
    })
}

/// Fails unless `backend` returns `expected` for `key`.
pub(crate) fn ensure_stored(backend: &dyn CacheBackend, key: &str, expected: &CachedValue) -> Outcome {
    ensure_value(&format!("get of key {}", shortened(key)), backend.get(key)?.as_ref(), Some(expected))
}

/// Fails unless `backend` has no value for `key`.
pub(crate) fn ensure_absent(backend: &dyn CacheBackend, key: &str) -> Outcome {
    ensure_value(&format!("get of key {}", shortened(key)), backend.get(key)?.as_ref(), None)
}

/// Returns the result of a thread. A panic is a failure.
pub(crate) fn joined<R>(result: thread::Result<Result<R, Stop>>) -> Result<R, Stop> {
    result.unwrap_or_else(|_| Err(Stop::failed("expected no panic on any thread, got one")))
}

/// Returns the message of a panic.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text")
}

/// Returns a description of `value` for an error text.
pub(crate) fn described(value: Option<&CachedValue>) -> String {
    let Some(CachedValue { payload, metadata }) = value else { return "no value".to_owned() };
    let payload = match payload {
        Payload::Object(object) => match object.downcast_ref::<Vec<u8>>() {
            Some(bytes) => format!("an object of {}", described_bytes(bytes)),
            None => format!("{object:?}"),
        },
        Payload::Bytes(bytes) => described_bytes(bytes),
    };
    format!("{payload} made at {:?}, version {}", metadata.creation_time, metadata.version)
}

fn described_bytes(bytes: &[u8]) -> String {
    format!("{} bytes {}", bytes.len(), shortened(&bytes.escape_ascii().to_string()))
}

/// Returns `text` in quotes, shortened if it is long.
pub(crate) fn shortened(text: &str) -> String {
    if text.len() <= 80 {
        return format!("{text:?}");
    }
    let head: String = text.chars().take(60).collect();
    format!("{head:?}... ({} bytes)", text.len())
}
