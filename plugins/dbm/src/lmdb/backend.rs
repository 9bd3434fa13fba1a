//! [`LmdbBackend`]: `dogpile.cache.lmdb`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use dogpile_sdk::{BackendError, BytesBackend, CacheMutex, Capabilities, register_backend};
use sha2::{Digest, Sha256};

use super::environment::Environment;
use crate::backend::scope_of;
use crate::config::LmdbConfig;
use crate::disk;
use crate::file_lock::LockFactory;
use crate::mutex::CreatorLocks;

register_backend! {
    name: "dogpile.cache.lmdb",
    config: LmdbConfig,
    build: LmdbBackend::new,
}

/// Values in one LMDB file, shared by threads and processes. Readers take no lock and wait for nobody.
///
/// The file grows as it is filled. Keys that LMDB cannot take, of more than 511 bytes or of none, are stored under
/// their SHA-256. A file that is deleted or replaced while it is open is opened anew within a tenth of a second. The
/// backends of one process share what is open of a file, and the first says how.
pub struct LmdbBackend {
    config: LmdbConfig,
    environment: Arc<Environment>,
    locks: Option<Arc<CreatorLocks>>,
}

impl LmdbBackend {
    /// The longest key that is stored as it is, in bytes.
    pub const LONGEST_KEY: usize = 511;

    /// The largest value that LMDB takes.
    const LARGEST_VALUE: u64 = u32::MAX as u64;

    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// If an argument is wrong, or the file cannot be opened or is none of LMDB's.
    pub fn new(config: LmdbConfig) -> Result<Self, BackendError> {
        let config = config.checked()?;
        let (kind, stripes) = (config.lock_factory, config.lock_stripes);
        let locks = config.dogpile_path()?.map(|path| CreatorLocks::shared(&path, stripes, kind));
        Self::open(config, locks)
    }

    /// The same, with a lock that `factory` makes, whatever `lock_factory` names.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn with_lock_factory(config: LmdbConfig, factory: LockFactory) -> Result<Self, BackendError> {
        let config = config.checked()?;
        let stripes = config.lock_stripes;
        let locks = config.dogpile_path()?.map(|path| CreatorLocks::new(path, stripes, factory));
        Self::open(config, locks.map(Arc::new))
    }

    fn open(config: LmdbConfig, locks: Option<Arc<CreatorLocks>>) -> Result<Self, BackendError> {
        let environment = Environment::of(&config)?;
        disk::warn_of_network(&config.filename);
        Ok(LmdbBackend { config, environment, locks })
    }

    fn write(
        &self,
        mut call: impl FnMut(&mut heed::RwTxn<'_>, &super::environment::Table) -> heed::Result<()>,
    ) -> Result<(), BackendError> {
        self.environment.run(|env, table| {
            let mut transaction = env.write_txn()?;
            call(&mut transaction, table)?;
            transaction.commit()
        })
    }
}

/// What `key` is stored under. No text is a NUL and a hash.
fn stored(key: &str) -> Cow<'_, [u8]> {
    if (1..=LmdbBackend::LONGEST_KEY).contains(&key.len()) {
        return Cow::Borrowed(key.as_bytes());
    }
    let mut name = vec![0];
    name.extend_from_slice(&Sha256::digest(key));
    Cow::Owned(name)
}

impl BytesBackend for LmdbBackend {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BackendError> {
        let found = self.environment.run(|env, table| {
            let transaction = env.read_txn()?;
            Ok(table.get(&transaction, &stored(key))?.map(<[u8]>::to_vec))
        });
        found.map_err(|error| error.during("get").for_key(key))
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), BackendError> {
        self.write(|transaction, table| table.put(transaction, &stored(key), value))
            .map_err(|error| error.during("set").for_key(key))
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.write(|transaction, table| table.delete(transaction, &stored(key)).map(drop))
            .map_err(|error| error.during("delete").for_key(key))
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, BackendError> {
        let found = self.environment.run(|env, table| {
            let transaction = env.read_txn()?;
            let read = |key: &&str| Ok(table.get(&transaction, &stored(key))?.map(<[u8]>::to_vec));
            keys.iter().map(read).collect()
        });
        found.map_err(|error| error.during("get_multi"))
    }

    fn set_multi(&self, entries: &[(&str, &[u8])]) -> Result<(), BackendError> {
        let set = |transaction: &mut heed::RwTxn<'_>, table: &super::environment::Table| {
            entries.iter().try_for_each(|(key, value)| table.put(transaction, &stored(key), value))
        };
        self.write(set).map_err(|error| error.during("set_multi"))
    }

    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        let delete = |transaction: &mut heed::RwTxn<'_>, table: &super::environment::Table| {
            keys.iter().try_for_each(|key| table.delete(transaction, &stored(key)).map(drop))
        };
        self.write(delete).map_err(|error| error.during("delete_multi"))
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        self.locks.as_ref().map(|locks| -> Arc<dyn CacheMutex> { Arc::new(locks.mutex(key)) })
    }

    fn lock_scope(&self) -> Option<u64> {
        scope_of(self.environment.path())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_value_limit(Self::LARGEST_VALUE).with_native_batch()
    }
}

impl fmt::Debug for LmdbBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LmdbBackend").field("config", &self.config).finish_non_exhaustive()
    }
}
