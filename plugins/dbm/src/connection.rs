//! [`Opened`]: one connection to the file, with a holder of the writers' lock.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, ErrorKind};
use rusqlite::{Connection, OpenFlags};

use crate::config::DbmConfig;
use crate::disk::{self, Companions, Identity, Open, Watch};
use crate::error::{failed, is_harmless, is_misfit, unusable};
use crate::lock::AbstractFileLock;
use crate::lock_factory::LockFactory;

/// The table of Python 3.13's `dbm.sqlite3`.
const CREATE: &str = "CREATE TABLE IF NOT EXISTS Dict (key BLOB UNIQUE NOT NULL, value BLOB NOT NULL)";

/// Counts everything in the file.
const ALL: &str = "SELECT count(*) FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
const HAS_TABLE: &str = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND lower(name) = 'dict'";

/// Statements that SQLite compiles only if the table has these columns, unique keys, and row IDs.
const SHAPE: [&str; 2] = [
    "INSERT INTO Dict (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING",
    "SELECT rowid, key, value FROM Dict",
];

/// The endings of the files beside a database in WAL mode.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// Whether a call reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// The lock that writers hold exclusively, as in Python.
///
/// Readers do not acquire it: SQLite shows them the state before a write in progress. If they shared the lock,
/// overlapping readers could keep writers out forever.
#[derive(Debug)]
struct WritersLock {
    filename: PathBuf,
    lock: Option<Box<dyn AbstractFileLock>>,
    wait: Duration,
}

impl WritersLock {
    fn new(config: &DbmConfig, factory: &LockFactory) -> Result<Self, BackendError> {
        let lock = config.rw_path()?.map(|path| factory.make(&path)).transpose()?;
        Ok(WritersLock { filename: config.filename.clone(), lock, wait: config.busy_timeout })
    }

    /// Runs `call` while holding the lock.
    fn hold<T>(&self, call: impl FnOnce() -> Result<T, BackendError>) -> Result<T, BackendError> {
        let Some(lock) = &self.lock else { return call() };
        if !lock.acquire_write_lock(self.wait)? {
            let why = "its \"rw_lockfile\" was held elsewhere for the whole \"busy_timeout\"; retry later";
            return Err(unusable(&self.filename, ErrorKind::Timeout, why));
        }
        let done = call();
        let released = lock.release_write_lock();
        done.and_then(|done| released.map(|()| done))
    }
}

/// A connection to the file.
pub(crate) struct Opened {
    sqlite: Connection,
    lock: WritersLock,
    watch: Watch,
    companions: Companions,
    /// Whether the connection must be closed, because a call failed.
    broken: bool,
    /// Declared after the connection, which must be closed first.
    _open: Open,
}

impl Opened {
    /// Opens the file, creating it if needed.
    pub(crate) fn new(config: &DbmConfig, factory: &LockFactory) -> Result<Self, BackendError> {
        let lock = WritersLock::new(config, factory)?;
        let (sqlite, open) = match Identity::of(&config.filename) {
            Some(_) => connect_in_time(config)?,
            None => lock.hold(|| {
                if Identity::of(&config.filename).is_none() {
                    // Remove the files beside a database that was deleted while it was open. SQLite would take them
                    // for those of the new one.
                    Companions::of(&config.filename, &COMPANIONS).remove();
                }
                connect_in_time(config)
            })?,
        };
        sqlite.busy_timeout(lock.wait).map_err(|error| failed(&config.filename, error))?;
        let watch = Watch::new(&config.filename);
        let companions = Companions::of(&config.filename, &COMPANIONS);
        Ok(Opened { sqlite, lock, watch, companions, broken: false, _open: open })
    }

    /// Returns whether the file was deleted or replaced. Writers check each time, readers from time to time.
    pub(crate) fn is_outdated(&self, access: Access) -> bool {
        self.watch.is_outdated(access == Access::Write)
    }

    /// Closes the connection, and removes the files that its database left behind.
    pub(crate) fn abandon(self) -> Result<(), BackendError> {
        let Opened { sqlite, lock, companions, .. } = self;
        drop(sqlite);
        lock.hold(|| {
            companions.remove();
            Ok(())
        })
    }

    /// Runs `call`, while holding the lock if it writes.
    pub(crate) fn run<T>(
        &mut self,
        access: Access,
        call: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, BackendError> {
        let Opened { sqlite, lock, broken, .. } = self;
        let call = || {
            call(sqlite).map_err(|error| {
                *broken = !is_harmless(&error) || !sqlite.is_autocommit();
                failed(&lock.filename, error)
            })
        };
        match access {
            Access::Read => call(),
            Access::Write => lock.hold(call),
        }
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }
}

/// Connects, and retries for at most `busy_timeout`.
///
/// SQLite itself does not wait while another process switches the file to WAL or creates the table.
fn connect_in_time(config: &DbmConfig) -> Result<(Connection, Open), BackendError> {
    let (start, wait) = (Instant::now(), config.busy_timeout);
    loop {
        match disk::open_alone(&config.filename, || connect(config), |error| error) {
            Err(error) if error.kind() == ErrorKind::Timeout && start.elapsed() < wait => {
                thread::sleep(Duration::from_millis(1));
            }
            connected => return connected,
        }
    }
}

fn connect(config: &DbmConfig) -> Result<Connection, BackendError> {
    let failed = |error| failed(&config.filename, error);
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sqlite = Connection::open_with_flags(&config.filename, flags).map_err(failed)?;
    sqlite.busy_timeout(Duration::ZERO).map_err(failed)?;
    if !is_ours(&sqlite).map_err(failed)? {
        let why = "it is the database of another application, or its table Dict has other columns; name another file, \
                   or remove it";
        return Err(unusable(&config.filename, ErrorKind::Configuration, why));
    }
    set_up(&sqlite, config).map_err(failed)?;
    Ok(sqlite)
}

/// Returns whether the file is empty or has the table.
fn is_ours(sqlite: &Connection) -> rusqlite::Result<bool> {
    let count = |query| sqlite.query_row(query, [], |row| row.get::<_, i64>(0));
    if count(HAS_TABLE)? == 0 {
        return Ok(count(ALL)? == 0);
    }
    for statement in SHAPE {
        match sqlite.prepare(statement) {
            Err(error) if is_misfit(&error) => return Ok(false),
            compiled => drop(compiled?),
        }
    }
    Ok(count("SELECT count(*) FROM pragma_table_info('Dict')")? == 2)
}

fn set_up(sqlite: &Connection, config: &DbmConfig) -> rusqlite::Result<()> {
    // If the file system does not support it, SQLite keeps another mode.
    sqlite.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0))?;
    sqlite.pragma_update(None, "synchronous", config.synchronous.name())?;
    sqlite.execute(CREATE, [])?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use super::*;

    #[test]
    fn full_disk_is_reported_and_reads_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let config = DbmConfig::new(folder.path().join("cache.db"));
        let mut opened = Opened::new(&config, &LockFactory::file()).unwrap();
        // The limit of SQLite simulates a full disk.
        opened.sqlite.pragma_update(None, "max_page_count", 8).unwrap();
        let mut set = |key: &str| {
            let insert = |sqlite: &mut Connection| {
                sqlite.execute("INSERT INTO Dict VALUES (?1, zeroblob(3000))", [key.as_bytes()])
            };
            opened.run(Access::Write, insert)
        };
        set("first").unwrap();
        let error = (0..9).find_map(|number| set(&number.to_string()).err()).unwrap();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().ends_with("cache.db\": the disk is full; free some space"), "{error}");
        let count = opened.run(Access::Read, |sqlite| {
            sqlite
                .query_row("SELECT count(*) FROM Dict WHERE key = ?1", [b"first"], |row| row.get::<_, i64>(0))
        });
        assert_eq!(count.unwrap(), 1);
    }

    #[test]
    fn lock_is_released_after_a_failed_call() {
        let folder = tempfile::tempdir().unwrap();
        let config = DbmConfig::new(folder.path().join("cache.db"));
        let mut opened = Opened::new(&config, &LockFactory::file()).unwrap();
        for access in [Access::Read, Access::Write] {
            assert!(opened.run(access, |sqlite| sqlite.execute("nonsense", [])).is_err());
        }
        let other = LockFactory::file().make(&config.rw_path().unwrap().unwrap()).unwrap();
        assert!(other.acquire_write_lock(Duration::ZERO).unwrap());
    }
}
