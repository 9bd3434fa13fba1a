//! [`LmdbBackend`]: `dogpile.cache.lmdb`.

use std::fmt;
use std::sync::Arc;

use dogpile_sdk::{
    BackendError, BytesBackend, BytesEntry, CacheMutex, Capabilities, Operations, StoreOptions,
    register_backend,
};

use super::calls;
use super::environment::Environment;
use super::operations::LmdbOperations;
use crate::backend::scope_of;
use crate::config::{FOREIGN, LmdbConfig};
use crate::disk;
use crate::lock_factory::LockFactory;
use crate::mutex::CreatorLocks;

register_backend! {
    name: "dogpile.cache.lmdb",
    config: LmdbConfig,
    foreign: FOREIGN,
    build: LmdbBackend::new,
}

/// A backend over one LMDB file, which threads and processes share. Readers take no lock and never wait.
///
/// The file grows as needed. LMDB does not accept empty keys and keys of more than 511 bytes, so they are stored under
/// their SHA-256. If the file is deleted or replaced while it is open, it is reopened within a tenth of a second. All
/// backends of one process share one open file, with the options of the first backend.
///
/// A task reads without a thread for blocking calls: up to 64 keys and 256 KiB of values at a time. Its thread is blocked
/// while the system reads pages from the disk that are not in memory. All other calls of tasks are made on two threads of
/// the backend, one for reads and one for writes.
pub struct LmdbBackend {
    config: LmdbConfig,
    environment: Arc<Environment>,
    operations: Arc<dyn Operations>,
    locks: Option<Arc<CreatorLocks>>,
}

impl LmdbBackend {
    /// The length of the longest key that is stored unchanged, in bytes.
    pub const LONGEST_KEY: usize = calls::LONGEST_KEY;

    /// The size of the largest value that LMDB accepts, in bytes.
    const LARGEST_VALUE: u64 = u32::MAX as u64;

    /// Opens the file, creating it if needed.
    ///
    /// # Errors
    /// If an argument is invalid, if the file cannot be opened, or if it is not an LMDB file.
    pub fn new(config: LmdbConfig) -> Result<Self, BackendError> {
        let config = config.checked()?;
        let (kind, stripes, mode) = (config.lock_factory, config.lock_stripes, config.file_mode);
        let locks = config.dogpile_path()?.map(|path| CreatorLocks::shared(&path, stripes, kind, mode));
        Self::open(config, locks)
    }

    /// Opens the file with locks from `factory`, which overrides the argument `lock_factory`.
    ///
    /// # Errors
    /// See [`new`](Self::new).
    pub fn with_lock_factory(config: LmdbConfig, factory: LockFactory) -> Result<Self, BackendError> {
        let config = config.checked()?;
        let stripes = config.lock_stripes;
        let locks = config.dogpile_path()?.map(|path| CreatorLocks::new(path, stripes, factory));
        Self::open(config, locks.map(Arc::new))
    }

    fn open(config: LmdbConfig, locks: Option<Arc<CreatorLocks>>) -> Result<Self, BackendError> {
        let environment = Environment::of(&config)?;
        disk::warn_of_network(&config.filename);
        let operations = Arc::new(LmdbOperations::new(Arc::clone(&environment)));
        Ok(LmdbBackend { config, environment, operations, locks })
    }
}

impl BytesBackend for LmdbBackend {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BackendError> {
        self.environment.get(key)
    }

    fn set(&self, key: &str, value: &[u8], _options: &StoreOptions) -> Result<(), BackendError> {
        self.environment.set(key, value, self.environment.deadline())
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.environment.delete(key, self.environment.deadline())
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, BackendError> {
        self.environment.get_multi(keys)
    }

    fn set_multi(&self, entries: &[BytesEntry<'_>]) -> Result<(), BackendError> {
        let entries = entries.iter().map(|entry| (entry.key, entry.value));
        self.environment.set_multi(&entries, self.environment.deadline())
    }

    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        self.environment.delete_multi(keys, self.environment.deadline())
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        self.locks.as_ref().map(|locks| -> Arc<dyn CacheMutex> { Arc::new(locks.mutex(key)) })
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities =
            Capabilities::default().with_value_limit(Self::LARGEST_VALUE).with_native_batch();
        capabilities.scope = scope_of(self.environment.path());
        capabilities
    }

    fn operations(&self) -> Option<Arc<dyn Operations>> {
        Some(Arc::clone(&self.operations))
    }
}

impl fmt::Debug for LmdbBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LmdbBackend").field("config", &self.config).finish_non_exhaustive()
    }
}
