//! [`DbmBackend`]: `dogpile.cache.dbm`.
//!
//! Source: dogpile.cache `backends/file.py`.

use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use dogpile_sdk::{BackendError, BytesBackend, CacheMutex, Capabilities, register_backend};
use rusqlite::{Connection, OptionalExtension};

use crate::config::DbmConfig;
use crate::connection::{Access, Opened};
use crate::mutex::{DbmMutex, Stripes};

const GET: &str = "SELECT value FROM Dict WHERE key = ?1";
const SET: &str = "REPLACE INTO Dict (key, value) VALUES (?1, ?2)";
const DELETE: &str = "DELETE FROM Dict WHERE key = ?1";

register_backend! {
    name: "dogpile.cache.dbm",
    config: DbmConfig,
    build: DbmBackend::new,
}

/// Values in one SQLite file, shared by threads and processes, and with dogpile.cache in Python.
///
/// Source: dogpile.cache `backends/file.py`, `DBMBackend`.
pub struct DbmBackend {
    config: DbmConfig,
    /// Connections that no thread uses now; as many as there were threads at once.
    idle: Mutex<Vec<Opened>>,
    stripes: Option<Arc<Stripes>>,
}

impl DbmBackend {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// If an argument is wrong, or the file cannot be opened or is no such table.
    pub fn new(config: DbmConfig) -> Result<Self, BackendError> {
        config.check()?;
        let first = Opened::new(&config)?;
        let stripes = config.dogpile_path().map(|path| Arc::new(Stripes::new(path, config.lock_stripes)));
        Ok(DbmBackend { config, idle: Mutex::new(vec![first]), stripes })
    }

    /// Runs `call` on a connection of this thread's alone. One whose call failed is closed.
    fn run<T>(
        &self,
        access: Access,
        call: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, BackendError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut opened = idle.map_or_else(|| Opened::new(&self.config), Ok)?;
        let done = opened.run(&self.config, access, call)?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(opened);
        Ok(done)
    }
}

fn get(sqlite: &Connection, key: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    sqlite.prepare_cached(GET)?.query_row([key.as_bytes()], |row| row.get(0)).optional()
}

impl BytesBackend for DbmBackend {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BackendError> {
        self.run(Access::Read, |sqlite| get(sqlite, key)).map_err(|error| error.during("get").for_key(key))
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), BackendError> {
        self.run(Access::Write, |sqlite| sqlite.prepare_cached(SET)?.execute([key.as_bytes(), value]))
            .map_err(|error| error.during("set").for_key(key))?;
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.run(Access::Write, |sqlite| sqlite.prepare_cached(DELETE)?.execute([key.as_bytes()]))
            .map_err(|error| error.during("delete").for_key(key))?;
        Ok(())
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, BackendError> {
        let found = self.run(Access::Read, |sqlite| {
            let transaction = sqlite.transaction()?;
            keys.iter().map(|key| get(&transaction, key)).collect()
        });
        found.map_err(|error| error.during("get_multi"))
    }

    fn set_multi(&self, entries: &[(&str, &[u8])]) -> Result<(), BackendError> {
        let stored = self.run(Access::Write, |sqlite| {
            let transaction = sqlite.transaction()?;
            for (key, value) in entries {
                transaction.prepare_cached(SET)?.execute([key.as_bytes(), value])?;
            }
            transaction.commit()
        });
        stored.map_err(|error| error.during("set_multi"))
    }

    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        let removed = self.run(Access::Write, |sqlite| {
            let transaction = sqlite.transaction()?;
            for key in keys {
                transaction.prepare_cached(DELETE)?.execute([key.as_bytes()])?;
            }
            transaction.commit()
        });
        removed.map_err(|error| error.during("delete_multi"))
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        let stripes = self.stripes.as_ref()?;
        Some(Arc::new(DbmMutex::new(Arc::clone(stripes), key)))
    }

    fn lock_scope(&self) -> Option<u64> {
        let path = std::fs::canonicalize(&self.config.filename).ok()?;
        let mut hasher = DefaultHasher::new();
        path.hash(&mut hasher);
        Some(hasher.finish())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_native_batch()
    }
}

impl fmt::Debug for DbmBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DbmBackend").field("config", &self.config).finish_non_exhaustive()
    }
}
