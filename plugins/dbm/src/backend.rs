//! [`DbmBackend`]: `dogpile.cache.dbm`.

// Source: dogpile.cache `backends/file.py`.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use dogpile_sdk::{
    BackendError, BytesBackend, BytesEntry, CacheMutex, Capabilities, StoreOptions, error_chain,
    register_backend,
};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use crate::config::{DbmConfig, FOREIGN};
use crate::connection::Access;
use crate::create;
use crate::disk;
use crate::limits::{Limits, vacuum};
use crate::lock_factory::LockFactory;
use crate::mutex::CreatorLocks;
use crate::pool::Pool;

/// Compares the key in the row itself as well. In a damaged file, the index may lead to the row of another key.
///
/// As a join, SQLite would compile the statement again for each key.
const GET: &str = "SELECT (SELECT value FROM Dict AS stored WHERE stored.rowid = found.rowid AND stored.key = ?1) \
                   FROM Dict AS found WHERE key = ?1";
const SET: &str = "REPLACE INTO Dict (key, value) VALUES (?1, ?2)";
const DELETE: &str = "DELETE FROM Dict WHERE key = ?1";

register_backend! {
    name: "dogpile.cache.dbm",
    config: DbmConfig,
    foreign: FOREIGN,
    build: DbmBackend::new,
}

/// A backend over one SQLite file, which threads and processes share, including Python's dogpile.cache.
///
/// If the file is deleted or replaced while it is open, it is reopened: by a writer at once, and by a reader within a
/// tenth of a second.
///
/// Dropping or closing the backend closes its connections. The last connection of all processes writes the values back
/// from the `-wal` file and removes it.
// Source: dogpile.cache `backends/file.py`, `DBMBackend`.
pub struct DbmBackend {
    pool: Arc<Pool>,
    limits: Option<Limits>,
    locks: Option<Arc<CreatorLocks>>,
}

impl DbmBackend {
    /// The size of the largest value in bytes. SQLite limits a value together with its key.
    const LARGEST_VALUE: u64 = 999_000_000;

    /// Opens the file, creating it if needed.
    ///
    /// # Errors
    /// If an argument is invalid, if the file cannot be opened, or if it is not such a table.
    pub fn new(config: DbmConfig) -> Result<Self, BackendError> {
        let config = config.checked()?;
        let (kind, stripes, mode) = (config.lock_factory, config.lock_stripes, config.file_mode);
        let locks = config.dogpile_path()?.map(|path| CreatorLocks::shared(&path, stripes, kind, mode));
        Self::open(config, kind.factory(mode), locks)
    }

    /// Opens the file with locks from `factory`, which overrides the argument `lock_factory`.
    ///
    /// # Errors
    /// See [`new`](Self::new). `factory` may fail too.
    pub fn with_lock_factory(config: DbmConfig, factory: LockFactory) -> Result<Self, BackendError> {
        let config = config.checked()?;
        let stripes = config.lock_stripes;
        let locks = config.dogpile_path()?.map(|path| CreatorLocks::new(path, stripes, factory.clone()));
        Self::open(config, factory, locks.map(Arc::new))
    }

    fn open(
        config: DbmConfig,
        factory: LockFactory,
        locks: Option<Arc<CreatorLocks>>,
    ) -> Result<Self, BackendError> {
        create::check_folder(&config.filename)?;
        let limits = Limits::of(&config);
        let shrink = config.vacuum;
        let pool = Pool::open(config, factory, |first| {
            if shrink && let Err(error) = first.run_unlimited(|sqlite| vacuum(sqlite)) {
                log::warn!("cannot vacuum a cache file: {}", error_chain(&error));
            }
        })?;
        disk::warn_of_network(&pool.config().filename);
        Ok(DbmBackend { pool, limits, locks })
    }

    /// Writes in one transaction, which also enforces the limits.
    fn write(&self, call: impl FnOnce(&Connection) -> rusqlite::Result<()>) -> Result<(), BackendError> {
        let written = self.pool.run(Access::Write, |sqlite| {
            let transaction = sqlite.transaction_with_behavior(TransactionBehavior::Immediate)?;
            call(&transaction)?;
            if let Some(limits) = &self.limits {
                limits.keep(&transaction)?;
            }
            transaction.commit()
        });
        if let (Err(_), Some(limits)) = (&written, &self.limits) {
            limits.forget();
        }
        written
    }

    fn path(&self) -> &Path {
        &self.pool.config().filename
    }
}

/// Returns the value of `key`. A value that is not a BLOB was not written by a cache, and counts as missing.
fn get(sqlite: &Connection, key: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    let read = |row: &rusqlite::Row<'_>| match row.get_ref(0)? {
        ValueRef::Blob(value) => Ok(Some(value.to_vec())),
        _ => Ok(None),
    };
    let found = sqlite.prepare_cached(GET)?.query_row([key.as_bytes()], read).optional()?;
    Ok(found.flatten())
}

fn set(sqlite: &Connection, key: &str, value: &[u8]) -> rusqlite::Result<()> {
    sqlite.prepare_cached(SET)?.execute([key.as_bytes(), value]).map(drop)
}

fn delete(sqlite: &Connection, key: &str) -> rusqlite::Result<()> {
    sqlite.prepare_cached(DELETE)?.execute([key.as_bytes()]).map(drop)
}

/// Returns the scope that all backends over the file `path` share, however the path is written.
pub(crate) fn scope_of(path: &Path) -> Option<String> {
    let path = std::fs::canonicalize(path).ok()?;
    Some(format!("file:{}", path.display()))
}

impl BytesBackend for DbmBackend {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BackendError> {
        self.pool
            .run(Access::Read, |sqlite| get(sqlite, key))
            .map_err(|error| error.during("get").for_key(key))
    }

    fn set(&self, key: &str, value: &[u8], _options: &StoreOptions) -> Result<(), BackendError> {
        let stored = match self.limits {
            // A single statement is a transaction of its own.
            None => self.pool.run(Access::Write, |sqlite| set(sqlite, key, value)),
            Some(_) => self.write(|sqlite| set(sqlite, key, value)),
        };
        stored.map_err(|error| error.during("set").for_key(key))
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.pool
            .run(Access::Write, |sqlite| delete(sqlite, key))
            .map_err(|error| error.during("delete").for_key(key))
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, BackendError> {
        let found = self.pool.run(Access::Read, |sqlite| {
            let transaction = sqlite.transaction()?;
            keys.iter().map(|key| get(&transaction, key)).collect()
        });
        found.map_err(|error| error.during("get_multi"))
    }

    fn set_multi(&self, entries: &[BytesEntry<'_>]) -> Result<(), BackendError> {
        let store =
            |sqlite: &Connection| entries.iter().try_for_each(|entry| set(sqlite, entry.key, entry.value));
        let stored = self.write(store);
        stored.map_err(|error| error.during("set_multi"))
    }

    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        let removed = self.write(|sqlite| keys.iter().try_for_each(|key| delete(sqlite, key)));
        removed.map_err(|error| error.during("delete_multi"))
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        self.locks.as_ref().map(|locks| -> Arc<dyn CacheMutex> { Arc::new(locks.mutex(key)) })
    }

    fn close(&self) -> Result<(), BackendError> {
        self.pool.close_unused();
        Ok(())
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities =
            Capabilities::default().with_value_limit(Self::LARGEST_VALUE).with_native_batch();
        capabilities.scope = scope_of(self.path());
        capabilities
    }
}

impl fmt::Debug for DbmBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DbmBackend").field("config", self.pool.config()).finish_non_exhaustive()
    }
}
