//! [`DbmBackend`]: `dogpile.cache.dbm`.

// Source: dogpile.cache `backends/file.py`.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dogpile_sdk::{
    BackendError, BytesBackend, BytesEntry, CacheMutex, Capabilities, StoreOptions, error_chain,
    register_backend,
};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use crate::config::DbmConfig;
use crate::connection::{Access, Opened};
use crate::disk;
use crate::limits::{Limits, vacuum};
use crate::lock_factory::LockFactory;
use crate::mutex::CreatorLocks;

const GET: &str = "SELECT value FROM Dict WHERE key = ?1";
const SET: &str = "REPLACE INTO Dict (key, value) VALUES (?1, ?2)";
const DELETE: &str = "DELETE FROM Dict WHERE key = ?1";

register_backend! {
    name: "dogpile.cache.dbm",
    config: DbmConfig,
    build: DbmBackend::new,
}

/// A backend over one SQLite file, which threads and processes share, including Python's dogpile.cache.
///
/// If the file is deleted or replaced while it is open, it is reopened: by a writer at once, and by a reader within a
/// tenth of a second.
// Source: dogpile.cache `backends/file.py`, `DBMBackend`.
pub struct DbmBackend {
    config: DbmConfig,
    factory: LockFactory,
    /// The connections that no thread uses, at most [`MOST_IDLE`](Self::MOST_IDLE).
    idle: Mutex<Vec<Opened>>,
    limits: Option<Limits>,
    locks: Option<Arc<CreatorLocks>>,
}

impl DbmBackend {
    /// The most unused connections that are kept. Each has about three descriptors.
    const MOST_IDLE: usize = 32;

    /// The size of the largest value in bytes. SQLite limits a value together with its key.
    const LARGEST_VALUE: u64 = 999_000_000;

    /// Opens the file, creating it if needed.
    ///
    /// # Errors
    /// If an argument is invalid, if the file cannot be opened, or if it is not such a table.
    pub fn new(config: DbmConfig) -> Result<Self, BackendError> {
        let config = config.checked()?;
        let (kind, stripes) = (config.lock_factory, config.lock_stripes);
        let locks = config.dogpile_path()?.map(|path| CreatorLocks::shared(&path, stripes, kind));
        Self::open(config, kind.factory(), locks)
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
        let mut first = Opened::new(&config, &factory)?;
        disk::warn_of_network(&config.filename);
        if config.vacuum
            && let Err(error) = first.run(Access::Write, |sqlite| vacuum(sqlite))
        {
            log::warn!("cannot vacuum cache file {:?}: {}", config.filename, error_chain(&error));
        }
        let limits = Limits::of(&config);
        Ok(DbmBackend { config, factory, idle: Mutex::new(vec![first]), limits, locks })
    }

    /// Runs `call` on a connection that no other thread uses.
    fn run<T>(
        &self,
        access: Access,
        call: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, BackendError> {
        let mut opened = self.connection(access)?;
        let done = opened.run(access, call);
        if !opened.is_broken() {
            self.keep(opened);
        }
        done
    }

    /// Keeps a connection for later calls, or closes it if enough are kept.
    fn keep(&self, opened: Opened) {
        let mut idle = self.idle();
        if idle.len() < Self::MOST_IDLE {
            idle.push(opened);
        } else {
            // Close the connection without the lock, because closing it takes a while.
            drop(idle);
            drop(opened);
        }
    }

    fn connection(&self, access: Access) -> Result<Opened, BackendError> {
        let idle = self.idle().pop();
        if let Some(opened) = idle {
            if !opened.is_outdated(access) {
                return Ok(opened);
            }
            log::warn!("cache file {:?} was deleted or replaced; reopening it", self.path());
            let outdated = std::mem::take(&mut *self.idle());
            drop(outdated);
            opened.abandon()?;
        }
        Opened::new(&self.config, &self.factory)
    }

    /// Writes in one transaction, which also enforces the limits.
    fn write(&self, call: impl FnOnce(&Connection) -> rusqlite::Result<()>) -> Result<(), BackendError> {
        let written = self.run(Access::Write, |sqlite| {
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
        &self.config.filename
    }

    /// Locks the idle connections. No holder panics, so poison carries no meaning.
    fn idle(&self) -> MutexGuard<'_, Vec<Opened>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn get(sqlite: &Connection, key: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    sqlite.prepare_cached(GET)?.query_row([key.as_bytes()], |row| row.get(0)).optional()
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
        self.run(Access::Read, |sqlite| get(sqlite, key)).map_err(|error| error.during("get").for_key(key))
    }

    fn set(&self, key: &str, value: &[u8], _options: &StoreOptions) -> Result<(), BackendError> {
        let stored = match self.limits {
            // A single statement is a transaction of its own.
            None => self.run(Access::Write, |sqlite| set(sqlite, key, value)),
            Some(_) => self.write(|sqlite| set(sqlite, key, value)),
        };
        stored.map_err(|error| error.during("set").for_key(key))
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.run(Access::Write, |sqlite| delete(sqlite, key))
            .map_err(|error| error.during("delete").for_key(key))
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, BackendError> {
        let found = self.run(Access::Read, |sqlite| {
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

    fn capabilities(&self) -> Capabilities {
        let mut capabilities =
            Capabilities::default().with_value_limit(Self::LARGEST_VALUE).with_native_batch();
        capabilities.scope = scope_of(self.path());
        capabilities
    }
}

impl fmt::Debug for DbmBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DbmBackend").field("config", &self.config).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn burst_of_threads_leaves_few_connections() {
        const THREADS: usize = 2 * DbmBackend::MOST_IDLE;

        let folder = tempfile::tempdir().unwrap();
        let backend = DbmBackend::new(DbmConfig::new(folder.path().join("burst"))).unwrap();
        let all_connected = Barrier::new(THREADS);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let call = |_: &mut Connection| {
                        all_connected.wait();
                        Ok(())
                    };
                    backend.run(Access::Read, call).unwrap();
                });
            }
        });
        assert_eq!(backend.idle().len(), DbmBackend::MOST_IDLE);
    }
}
