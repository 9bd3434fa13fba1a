//! Converts the errors of SQLite to a [`BackendError`].

use std::fs;
use std::io;
use std::path::Path;

use dogpile_sdk::{BackendError, ErrorKind};
use rusqlite::ErrorCode;

/// Stands for the reason why a file cannot be opened. A message has what [`inaccessible`] finds out instead.
pub(crate) const NOT_ACCESSIBLE: &str = "it is not accessible";

/// Returns `error`, which SQLite reported for the file `path`, as the error of a backend.
pub(crate) fn failed(path: &Path, error: rusqlite::Error) -> BackendError {
    let (kind, why) = meaning(&error);
    unusable(path, kind, why).with_source(error)
}

/// Returns the error for the cache file `path`. `why` is the reason, and may include what to do.
pub(crate) fn unusable(path: &Path, kind: ErrorKind, why: &str) -> BackendError {
    let (verb, why) =
        if why == NOT_ACCESSIBLE { ("open", inaccessible(path)) } else { ("use", why.to_owned()) };
    BackendError::new(kind, format!("cannot {verb} cache file {path:?}: {why}"))
}

/// Returns why the file `path` cannot be opened, and what to do.
pub(crate) fn inaccessible(path: &Path) -> String {
    let folder = folder_of(path);
    match fs::metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            format!("the directory {folder:?} does not exist; create it")
        }
        Ok(found) if !found.is_dir() => format!("{folder:?} is not a directory; name another file"),
        _ if path.exists() => {
            "the file or its directory is not writable for this user; check their permissions".to_owned()
        }
        _ => format!("the directory {folder:?} is not writable for this user; check its permissions"),
    }
}

/// Returns the directory of the file `path`.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Returns whether a connection that returned `error` can still be used.
pub(crate) fn is_harmless(error: &rusqlite::Error) -> bool {
    use ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull, OperationInterrupted, TooBig};
    matches!(
        error.sqlite_error_code(),
        Some(DatabaseBusy | DatabaseLocked | DiskFull | OperationInterrupted | TooBig)
    )
}

/// Returns whether a statement does not fit the table.
fn is_misfit(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqlInputError { .. })
        || error.sqlite_error_code() == Some(ErrorCode::Unknown)
}

fn meaning(error: &rusqlite::Error) -> (ErrorKind, &'static str) {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (ErrorKind::Timeout, "another process held it for the whole \"busy_timeout\"; retry later")
        }
        Some(ErrorCode::OperationInterrupted) => (
            ErrorKind::Timeout,
            "the call took longer than its \"busy_timeout\"; raise it, or use fewer keys at a time",
        ),
        Some(ErrorCode::NotADatabase) => {
            (ErrorKind::Configuration, "it is not a SQLite database; name another file")
        }
        Some(ErrorCode::DatabaseCorrupt) => (
            ErrorKind::Unavailable,
            "it is damaged; stop its users, and remove it with its -wal and -shm files",
        ),
        Some(ErrorCode::DiskFull) => (ErrorKind::Unavailable, "the disk is full; free some space"),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            (ErrorKind::Unavailable, NOT_ACCESSIBLE)
        }
        Some(ErrorCode::SystemIoFailure) => {
            (ErrorKind::Unavailable, "the system reported an error; check the disk")
        }
        Some(ErrorCode::TooBig) => (ErrorKind::InvalidValue, "the value is larger than SQLite accepts"),
        _ if is_misfit(error) => {
            (ErrorKind::Configuration, "its table Dict is missing or has other columns; name another file")
        }
        _ => (ErrorKind::Unavailable, "SQLite reported an error"),
    }
}
