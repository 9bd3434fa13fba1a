//! How a case ends, and what it says when a backend does not do what it owes.

use std::any::Any;
use std::fmt;
use std::thread;

use dogpile_sdk::{BackendError, CacheBackend, CachedValue, Payload};

/// How a case ends.
pub type Outcome = Result<(), Stop>;

/// Why a case ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The backend does not have what the case is about; the text says what.
    Skipped(String),
    /// The backend did not do what it owes; the text says what was expected.
    Failed(String),
}

impl Stop {
    /// The case fails: `expected` was not the case.
    pub fn failed(expected: impl Into<String>) -> Self {
        Stop::Failed(expected.into())
    }

    /// The case does not apply, for the reason given.
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

/// An error of the backend where none was expected.
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

/// Fails unless `found`, which is what `asked` answered, is `expected`.
pub(crate) fn ensure_value(
    asked: &str,
    found: Option<&CachedValue>,
    expected: Option<&CachedValue>,
) -> Outcome {
    ensure(found == expected, || {
        format!("expected {asked} to answer {}, got {}", described(expected), described(found))
    })
}

/// Fails unless `backend` has `expected` under `key`.
pub(crate) fn ensure_stored(backend: &dyn CacheBackend, key: &str, expected: &CachedValue) -> Outcome {
    ensure_value(&format!("get of key {}", shortened(key)), backend.get(key)?.as_ref(), Some(expected))
}

/// Fails unless `backend` has nothing under `key`.
pub(crate) fn ensure_absent(backend: &dyn CacheBackend, key: &str) -> Outcome {
    ensure_value(&format!("get of key {}", shortened(key)), backend.get(key)?.as_ref(), None)
}

/// What a thread answered; a panic becomes a failure.
pub(crate) fn joined<R>(result: thread::Result<Result<R, Stop>>) -> Result<R, Stop> {
    result.unwrap_or_else(|_| Err(Stop::failed("expected no panic on any thread, got one")))
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text")
}

/// `value` for an error text.
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

/// `text` in quotes, its middle left out if it is long.
pub(crate) fn shortened(text: &str) -> String {
    if text.len() <= 80 {
        return format!("{text:?}");
    }
    let head: String = text.chars().take(60).collect();
    format!("{head:?}... ({} bytes)", text.len())
}
