//! SQLite and LMDB as their Rust libraries provide them, with a kept connection and statements that are compiled
//! once.

use std::path::Path;

use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions};
use rusqlite::{Connection, OptionalExtension};

use crate::subject::Failure;

const GET: &str = "SELECT value FROM Dict WHERE key = ?1";
const SET: &str = "REPLACE INTO Dict (key, value) VALUES (?1, ?2)";

/// One connection to a SQLite file in WAL mode, flushed at checkpoints.
pub struct BareSqlite(Connection);

impl BareSqlite {
    /// Creates a file with `entries`.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new(path: &Path, entries: &[(&str, &[u8])]) -> Result<Self, Failure> {
        let sqlite = Connection::open(path)?;
        sqlite.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
        sqlite.pragma_update(None, "synchronous", "normal")?;
        sqlite.execute("CREATE TABLE Dict (key BLOB UNIQUE NOT NULL, value BLOB NOT NULL)", [])?;
        let bare = BareSqlite(sqlite);
        bare.set_multi(entries);
        Ok(bare)
    }

    /// Returns the value of `key`.
    ///
    /// # Panics
    /// If SQLite fails.
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        let mut statement = self.0.prepare_cached(GET).expect("it is SQL");
        statement.query_row([key.as_bytes()], |row| row.get(0)).optional().expect("it works")
    }

    /// Stores `value`.
    ///
    /// # Panics
    /// If SQLite fails.
    pub fn set(&self, key: &str, value: &[u8]) {
        let mut statement = self.0.prepare_cached(SET).expect("it is SQL");
        statement.execute([key.as_bytes(), value]).expect("it stores");
    }

    /// Reads `keys` in one transaction.
    ///
    /// # Panics
    /// If SQLite fails, or a key is missing.
    pub fn get_multi(&self, keys: &[&str]) {
        let transaction = self.0.unchecked_transaction().expect("it begins");
        assert!(keys.iter().all(|key| self.get(key).is_some()));
        transaction.commit().expect("it ends");
    }

    /// Stores `entries` in one transaction.
    ///
    /// # Panics
    /// If SQLite fails.
    pub fn set_multi(&self, entries: &[(&str, &[u8])]) {
        let transaction = self.0.unchecked_transaction().expect("it begins");
        entries.iter().for_each(|(key, value)| self.set(key, value));
        transaction.commit().expect("it stores");
    }
}

/// An LMDB file that is not flushed.
pub struct BareLmdb {
    env: Env,
    table: Database<'static, Bytes, Bytes>,
}

impl BareLmdb {
    /// Creates a file with `entries`.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new(path: &Path, entries: &[(&str, &[u8])]) -> Result<Self, Failure> {
        let env = open(path)?;
        let opened = env.open_databases_and_commit(env.read_txn()?, |opener, transaction| {
            let table = opener.open_database::<Bytes, Bytes>(transaction, None)?;
            Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(table))
        })?;
        let CommitOrAbort::Commit(Some(table)) = opened else { return Err("it has no table".into()) };
        let bare = BareLmdb { env, table };
        entries.iter().for_each(|(key, value)| bare.set(key, value));
        Ok(bare)
    }

    /// Returns the value of `key`.
    ///
    /// # Panics
    /// If LMDB fails.
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        let transaction = self.env.read_txn().expect("it begins");
        self.table.get(&transaction, key.as_bytes()).expect("it works").map(<[u8]>::to_vec)
    }

    /// Stores `value`.
    ///
    /// # Panics
    /// If LMDB fails.
    pub fn set(&self, key: &str, value: &[u8]) {
        let mut transaction = self.env.write_txn().expect("it begins");
        self.table.put(&mut transaction, key.as_bytes(), value).expect("it stores");
        transaction.commit().expect("it stores");
    }

    /// Reads `keys` in one transaction.
    ///
    /// # Panics
    /// If LMDB fails, or a key is missing.
    pub fn get_multi(&self, keys: &[&str]) {
        let transaction = self.env.read_txn().expect("it begins");
        let get = |key: &&str| self.table.get(&transaction, key.as_bytes()).expect("it works");
        let found: Vec<_> = keys.iter().map(|key| get(key).map(<[u8]>::to_vec)).collect();
        assert!(found.iter().all(Option::is_some));
    }
}

#[allow(unsafe_code, reason = "heed has no other way")]
fn open(path: &Path) -> heed::Result<Env> {
    let mut options = EnvOpenOptions::new();
    options.map_size(64 << 20);
    // SAFETY: the bench alone has this file, and opens it once.
    unsafe { options.flags(EnvFlags::NO_SUB_DIR | EnvFlags::NO_SYNC).open(path) }
}
