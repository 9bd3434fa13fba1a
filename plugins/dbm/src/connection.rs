//! [`Opened`]: one connection to the file, with a holder of the writers' lock.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use dogpile_sdk::{BackendError, ErrorKind};
use rusqlite::{Connection, OpenFlags};

use crate::config::DbmConfig;
use crate::create;
use crate::deadline::Deadline;
use crate::disk::{self, Companions, Identity, Open, Watch};
use crate::error::{failed, is_harmless, unusable};
use crate::lock::AbstractFileLock;
use crate::lock_factory::LockFactory;
use crate::schema::{self, Interrupt};

/// The endings of the files beside a database in WAL mode.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// Whether a call reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// What has become of the file since a connection to it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Current,
    /// The path leads to another file or to none.
    Replaced,
    /// Its schema was changed, and must be checked again.
    Altered,
}

/// The lock that writers hold exclusively, as in Python.
///
/// Readers do not acquire it: SQLite shows them the state before a write in progress. If they shared the lock,
/// overlapping readers could keep writers out forever.
#[derive(Debug)]
struct WritersLock {
    filename: PathBuf,
    lock: Option<Box<dyn AbstractFileLock>>,
}

impl WritersLock {
    fn new(config: &DbmConfig, factory: &LockFactory) -> Result<Self, BackendError> {
        let lock = config.rw_path()?.map(|path| factory.make(&path)).transpose()?;
        Ok(WritersLock { filename: config.filename.clone(), lock })
    }

    /// Runs `call` while holding the lock.
    fn hold<T>(
        &self,
        deadline: Deadline,
        call: impl FnOnce() -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        let Some(lock) = &self.lock else { return call() };
        if !lock.acquire_write_lock(deadline.left())? {
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
    interrupt: Interrupt,
    /// The version of the schema that was checked.
    schema: i64,
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
    pub(crate) fn new(
        config: &DbmConfig,
        factory: &LockFactory,
        deadline: Deadline,
    ) -> Result<Self, BackendError> {
        let lock = WritersLock::new(config, factory)?;
        let ((sqlite, interrupt, schema), open) = match Identity::of(&config.filename) {
            Some(_) => connect_in_time(config, deadline)?,
            None => lock.hold(deadline, || {
                if Identity::of(&config.filename).is_none() {
                    // Remove the files beside a database that was deleted while it was open. SQLite would take them
                    // for those of the new one.
                    Companions::of(&config.filename, &COMPANIONS).remove();
                }
                connect_in_time(config, deadline)
            })?,
        };
        let watch = Watch::new(&config.filename);
        let companions = Companions::of(&config.filename, &COMPANIONS);
        Ok(Opened { sqlite, interrupt, schema, lock, watch, companions, broken: false, _open: open })
    }

    /// Returns what has become of the file. Writers check its identity each time, and everything else is checked from
    /// time to time.
    pub(crate) fn state(&self, access: Access) -> State {
        let due = self.watch.is_due();
        if (due || access == Access::Write) && self.watch.is_outdated() {
            return State::Replaced;
        }
        let same = || schema::version(&self.sqlite).is_ok_and(|version| version == self.schema);
        if due && !same() { State::Altered } else { State::Current }
    }

    /// Closes the connection, and removes the files that its database left behind.
    pub(crate) fn abandon(self, deadline: Deadline) -> Result<(), BackendError> {
        let Opened { sqlite, lock, companions, .. } = self;
        drop(sqlite);
        lock.hold(deadline, || {
            companions.remove();
            Ok(())
        })
    }

    /// Runs `call`, while holding the lock if it writes. Interrupts it at the end of `deadline`.
    pub(crate) fn run<T>(
        &mut self,
        access: Access,
        deadline: Deadline,
        call: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, BackendError> {
        let Opened { sqlite, interrupt, lock, broken, .. } = self;
        interrupt.set(Some(deadline));
        let call = || {
            let done = sqlite.busy_timeout(deadline.left()).and_then(|()| call(sqlite));
            done.map_err(|error| {
                *broken = !is_harmless(&error) || !sqlite.is_autocommit();
                failed(&lock.filename, error)
            })
        };
        let done = match access {
            Access::Read => call(),
            Access::Write => lock.hold(deadline, call),
        };
        interrupt.set(None);
        done
    }

    /// Runs `call`, which writes, however long it takes.
    pub(crate) fn run_unlimited<T>(
        &mut self,
        call: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, BackendError> {
        self.run(Access::Write, Deadline::of_maintenance(), call)
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }
}

/// Connects, and retries until `deadline`.
///
/// SQLite itself does not wait while another process switches the file to WAL or creates the table.
fn connect_in_time(
    config: &DbmConfig,
    deadline: Deadline,
) -> Result<((Connection, Interrupt, i64), Open), BackendError> {
    loop {
        match disk::open_alone(&config.filename, || connect(config, deadline)) {
            Err(error) if error.kind() == ErrorKind::Timeout && !deadline.left().is_zero() => {
                thread::sleep(Duration::from_millis(1));
            }
            connected => return connected,
        }
    }
}

fn connect(config: &DbmConfig, deadline: Deadline) -> Result<(Connection, Interrupt, i64), BackendError> {
    let failed = |error| failed(&config.filename, error);
    create::cache_file(&config.filename, config.file_mode)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut sqlite = Connection::open_with_flags(&config.filename, flags).map_err(failed)?;
    let interrupt = Interrupt::install(&mut sqlite).map_err(failed)?;
    interrupt.set(Some(deadline));
    schema::harden(&sqlite).map_err(failed)?;
    sqlite.busy_timeout(Duration::ZERO).map_err(failed)?;
    if !schema::is_ours(&sqlite).map_err(failed)? {
        let why = "it is the database of another application, or its table Dict is not exactly that of Python's dbm; \
                   name another file";
        return Err(unusable(&config.filename, ErrorKind::Configuration, why));
    }
    set_up(&sqlite, config).map_err(failed)?;
    let version = schema::version(&sqlite).map_err(failed)?;
    interrupt.set(None);
    Ok((sqlite, interrupt, version))
}

fn set_up(sqlite: &Connection, config: &DbmConfig) -> rusqlite::Result<()> {
    // If the file system does not support it, SQLite keeps another mode.
    sqlite.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0))?;
    sqlite.pragma_update(None, "synchronous", config.synchronous.name())?;
    sqlite.execute(schema::CREATE, [])?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use super::*;

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(5))
    }

    #[test]
    fn full_disk_is_reported_and_reads_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let config = DbmConfig::new(folder.path().join("cache.db"));
        let mut opened = Opened::new(&config, &LockFactory::file(), soon()).unwrap();
        // The limit of SQLite simulates a full disk.
        opened.sqlite.pragma_update(None, "max_page_count", 8).unwrap();
        let mut set = |key: &str| {
            let insert = |sqlite: &mut Connection| {
                sqlite.execute("INSERT INTO Dict VALUES (?1, zeroblob(3000))", [key.as_bytes()])
            };
            opened.run(Access::Write, soon(), insert)
        };
        set("first").unwrap();
        let error = (0..9).find_map(|number| set(&number.to_string()).err()).unwrap();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().ends_with("cache.db\": the disk is full; free some space"), "{error}");
        let count = opened.run(Access::Read, soon(), |sqlite| {
            sqlite
                .query_row("SELECT count(*) FROM Dict WHERE key = ?1", [b"first"], |row| row.get::<_, i64>(0))
        });
        assert_eq!(count.unwrap(), 1);
    }

    #[test]
    fn lock_is_released_after_a_failed_call() {
        let folder = tempfile::tempdir().unwrap();
        let config = DbmConfig::new(folder.path().join("cache.db"));
        let mut opened = Opened::new(&config, &LockFactory::file(), soon()).unwrap();
        for access in [Access::Read, Access::Write] {
            assert!(opened.run(access, soon(), |sqlite| sqlite.execute("nonsense", [])).is_err());
        }
        let other = LockFactory::file().make(&config.rw_path().unwrap().unwrap()).unwrap();
        assert!(other.acquire_write_lock(Duration::ZERO).unwrap());
    }
}
