//! What SQLite's errors mean to whoever has a cache file.

use std::path::Path;

use dogpile_sdk::{BackendError, ErrorKind};
use rusqlite::ErrorCode;

/// `error`, which SQLite answered for the file `path`.
pub(crate) fn failed(path: &Path, error: rusqlite::Error) -> BackendError {
    let (kind, hint) = meaning(&error);
    let message = format!("cache file {}: {hint} ({error})", path.display());
    BackendError::new(kind, message).with_source(error)
}

/// Whether a connection that answered `error` is as good as before.
pub(crate) fn is_harmless(error: &rusqlite::Error) -> bool {
    use ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull, TooBig};
    matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked | DiskFull | TooBig))
}

/// Whether it is a statement that does not fit the table.
pub(crate) fn is_misfit(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqlInputError { .. })
        || error.sqlite_error_code() == Some(ErrorCode::Unknown)
}

fn meaning(error: &rusqlite::Error) -> (ErrorKind, &'static str) {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (ErrorKind::Timeout, "another process held it for the whole busy_timeout")
        }
        Some(ErrorCode::NotADatabase) => {
            (ErrorKind::Configuration, "it is no SQLite database; name another file, or remove it")
        }
        Some(ErrorCode::DatabaseCorrupt) => (
            ErrorKind::Unavailable,
            "it is damaged; stop its users and remove it, with its -wal and -shm, to begin anew",
        ),
        Some(ErrorCode::DiskFull) => (ErrorKind::Unavailable, "the disk is full; make room"),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            (ErrorKind::Unavailable, "its folder must exist, and both must be writable")
        }
        Some(ErrorCode::TooBig) => (ErrorKind::InvalidValue, "the value is larger than SQLite takes"),
        _ if is_misfit(error) => (
            ErrorKind::Configuration,
            "its table Dict is gone or has another shape; name another file, or remove it",
        ),
        _ => (ErrorKind::Unavailable, "SQLite refused"),
    }
}
