//! One connection to the file, with its own hold on the readers' and writers' lock.

use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, ErrorKind};
use rusqlite::{Connection, ErrorCode};

use crate::config::DbmConfig;
use crate::file_lock::FileLock;

/// Python 3.13's `dbm.sqlite3` makes this table.
const CREATE: &str = "CREATE TABLE IF NOT EXISTS Dict (key BLOB UNIQUE NOT NULL, value BLOB NOT NULL)";

pub(crate) struct Opened {
    sqlite: Connection,
    lock: Option<FileLock>,
    wait: Duration,
}

/// What a call does to the file.
#[derive(Clone, Copy)]
pub(crate) enum Access {
    Read,
    Write,
}

impl Opened {
    pub(crate) fn new(config: &DbmConfig) -> Result<Self, BackendError> {
        let wait = config.wait()?;
        let lock = config.rw_path().map(|path| FileLock::open(&path)).transpose()?;
        let start = Instant::now();
        loop {
            // SQLite does not wait for another that switches the file to WAL at the same moment.
            match connect(config, wait) {
                Err(error) if is_busy(&error) && start.elapsed() < wait => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(error) => return Err(failed(config, error)),
                Ok(sqlite) => return Ok(Opened { sqlite, lock, wait }),
            }
        }
    }

    /// Runs `call` under the lock.
    pub(crate) fn run<T>(
        &mut self,
        config: &DbmConfig,
        access: Access,
        call: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, BackendError> {
        if let Some(lock) = &self.lock {
            let taken = match access {
                Access::Read => lock.acquire_shared(self.wait)?,
                Access::Write => lock.acquire_exclusive(self.wait)?,
            };
            if !taken {
                let message = format!(
                    "the lock file of {} was held by others for {:?}, the busy_timeout",
                    config.filename.display(),
                    self.wait
                );
                return Err(BackendError::new(ErrorKind::Timeout, message));
            }
        }
        let done = call(&mut self.sqlite).map_err(|error| failed(config, error));
        if let Some(lock) = &self.lock {
            lock.release()?;
        }
        done
    }
}

fn connect(config: &DbmConfig, wait: Duration) -> rusqlite::Result<Connection> {
    let sqlite = Connection::open(&config.filename)?;
    sqlite.busy_timeout(wait)?;
    sqlite.pragma_update(None, "journal_mode", "wal")?;
    sqlite.pragma_update(None, "synchronous", config.synchronous.name())?;
    sqlite.execute(CREATE, [])?;
    sqlite.prepare_cached("SELECT value FROM Dict WHERE key = ?1")?;
    Ok(sqlite)
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn failed(config: &DbmConfig, error: rusqlite::Error) -> BackendError {
    let (kind, hint) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (ErrorKind::Timeout, "another process held it for the whole busy_timeout")
        }
        Some(ErrorCode::NotADatabase) => {
            (ErrorKind::Configuration, "it is no SQLite database; name another file, or remove it")
        }
        Some(ErrorCode::DiskFull) => (ErrorKind::Unavailable, "the disk is full; make room"),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
            (ErrorKind::Unavailable, "its folder must exist, and both must be writable")
        }
        Some(ErrorCode::TooBig) => (ErrorKind::InvalidValue, "the value is larger than SQLite takes"),
        // What SQLite says of a statement that does not fit the table.
        _ if matches!(error, rusqlite::Error::SqlInputError { .. }) => {
            (ErrorKind::Configuration, "its table Dict has another shape; name another file, or remove it")
        }
        _ => (ErrorKind::Unavailable, "SQLite refused"),
    };
    let message = format!("cache file {}: {hint} ({error})", config.filename.display());
    BackendError::new(kind, message).with_source(error)
}
