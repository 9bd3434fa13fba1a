//! [`LmdbBackend`]: `dogpile.cache.lmdb`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use dogpile_sdk::{
    BackendError, BytesBackend, BytesEntry, CacheMutex, Capabilities, StoreOptions, register_backend,
};

use super::environment::Environment;
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
pub struct LmdbBackend {
    config: LmdbConfig,
    environment: Arc<Environment>,
    locks: Option<Arc<CreatorLocks>>,
}

impl LmdbBackend {
    /// The length of the longest key that is stored unchanged, in bytes.
    pub const LONGEST_KEY: usize = 511;

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
        Ok(LmdbBackend { config, environment, locks })
    }

    fn write(
        &self,
        mut call: impl FnMut(&mut heed::RwTxn<'_>, &super::environment::Table) -> heed::Result<()>,
    ) -> Result<(), BackendError> {
        self.environment.write(|env, table| {
            let mut transaction = env.write_txn()?;
            call(&mut transaction, table)?;
            transaction.commit()
        })
    }
}

/// Returns the stored form of `key`. A long key becomes 0xFF, which no UTF-8 text contains, and a hash.
fn stored(key: &str) -> Cow<'_, [u8]> {
    if (1..=LmdbBackend::LONGEST_KEY).contains(&key.len()) {
        return Cow::Borrowed(key.as_bytes());
    }
    let mut name = vec![0xff];
    name.extend_from_slice(&hmac_sha256::Hash::hash(key.as_bytes()));
    Cow::Owned(name)
}

impl BytesBackend for LmdbBackend {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BackendError> {
        let found = self.environment.read(|env, table| {
            let transaction = env.read_txn()?;
            Ok(table.get(&transaction, &stored(key))?.map(<[u8]>::to_vec))
        });
        found.map_err(|error| error.during("get").for_key(key))
    }

    fn set(&self, key: &str, value: &[u8], _options: &StoreOptions) -> Result<(), BackendError> {
        self.write(|transaction, table| table.put(transaction, &stored(key), value))
            .map_err(|error| error.during("set").for_key(key))
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.write(|transaction, table| table.delete(transaction, &stored(key)).map(drop))
            .map_err(|error| error.during("delete").for_key(key))
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, BackendError> {
        let found = self.environment.read(|env, table| {
            let transaction = env.read_txn()?;
            let read = |key: &&str| Ok(table.get(&transaction, &stored(key))?.map(<[u8]>::to_vec));
            keys.iter().map(read).collect()
        });
        found.map_err(|error| error.during("get_multi"))
    }

    fn set_multi(&self, entries: &[BytesEntry<'_>]) -> Result<(), BackendError> {
        let set = |transaction: &mut heed::RwTxn<'_>, table: &super::environment::Table| {
            entries.iter().try_for_each(|entry| table.put(transaction, &stored(entry.key), entry.value))
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

    fn capabilities(&self) -> Capabilities {
        let mut capabilities =
            Capabilities::default().with_value_limit(Self::LARGEST_VALUE).with_native_batch();
        capabilities.scope = scope_of(self.environment.path());
        capabilities
    }
}

impl fmt::Debug for LmdbBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LmdbBackend").field("config", &self.config).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stored form is part of the file's format.
    #[test]
    fn stored_form_of_keys_is_pinned() {
        assert_eq!(&*stored("key"), b"key");
        assert_eq!(&*stored(&"k".repeat(511)), "k".repeat(511).as_bytes());
        let hashed = |key: &str| stored(key).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let empty = "ffe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hashed(""), empty);
        let long = "ff789a49fcfe20dccddb0f9266345989ae51c3333847df3bc45400d1b04033a565";
        assert_eq!(hashed(&"k".repeat(512)), long);
    }

    #[test]
    fn no_key_has_the_stored_form_of_another() {
        for key in ["", &"k".repeat(512)] {
            assert!(std::str::from_utf8(&stored(key)).is_err());
        }
    }
}
