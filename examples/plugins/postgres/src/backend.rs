//! [`Postgres`]: `postgres.table`.

use std::sync::Arc;
use std::time::Duration;

use dogpile_sdk::lease::{LeaseOptions, LeaseStore, Leases};
use dogpile_sdk::{
    BackendError, CacheBackend, CacheMutex, CachedValue, Capabilities, Entry, OnTokio, Operations,
    StoreOptions, register_backend,
};

use crate::config::PostgresConfig;
use crate::locks::Locks;
use crate::server::Server;
use crate::values::Values;

register_backend! {
    name: "postgres.table",
    config: PostgresConfig,
    build: |config: PostgresConfig| Postgres::new(&config),
}

/// How much longer than its own limit a call may take before the SDK cancels it.
const GRACE: Duration = Duration::from_secs(1);

/// Values in a table of a PostgreSQL server, with leased mutexes in another table.
///
/// `OnTokio` serves the values. Its mutexes are not leases, so that [`get_mutex`](CacheBackend::get_mutex) is replaced.
/// All other methods are those of `OnTokio`.
#[derive(Debug)]
pub struct Postgres {
    values: OnTokio<Values>,
    locks: Option<(Locks, Leases)>,
}

impl Postgres {
    /// Creates the backend. It connects when it is first used, so that an application starts while the server is down.
    ///
    /// # Errors
    /// If an argument is invalid, or if the runtime cannot be started.
    pub fn new(config: &PostgresConfig) -> Result<Self, BackendError> {
        config.check()?;
        let server = Arc::new(Server::new(config)?);
        let locks = config.distributed_lock.then(|| {
            let locks = Locks::new(&server);
            let mut options = LeaseOptions::default();
            options.lease = config.lease;
            (locks.clone(), Leases::new(Arc::new(locks), options))
        });
        let (threads, limit, config) = (config.threads, config.timeout.saturating_add(GRACE), config.clone());
        let build = move || {
            let values = Values::new(&server, &config);
            async move { Ok(values) }
        };
        Ok(Postgres { values: OnTokio::start(threads, build)?.with_call_timeout(limit), locks })
    }

    /// Returns the store of the locks, which the conformance suite tests directly. `None` without `distributed_lock`.
    pub fn lease_store(&self) -> Option<Arc<dyn LeaseStore>> {
        self.locks.as_ref().map(|(locks, _)| Arc::new(locks.clone()) as Arc<dyn LeaseStore>)
    }
}

impl CacheBackend for Postgres {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        self.values.get(key)
    }

    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        self.values.set(key, value, options)
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.values.delete(key)
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        self.values.get_multi(keys)
    }

    fn set_multi(&self, entries: Vec<Entry>) -> Result<(), BackendError> {
        self.values.set_multi(entries)
    }

    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        self.values.delete_multi(keys)
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        self.locks.as_ref().map(|(_, leases)| leases.mutex(key))
    }

    fn capabilities(&self) -> Capabilities {
        self.values.capabilities()
    }

    fn health(&self) -> Result<(), BackendError> {
        self.values.health()
    }

    fn close(&self) -> Result<(), BackendError> {
        if let Some((locks, _)) = &self.locks {
            locks.close();
        }
        self.values.close()
    }

    fn operations(&self) -> Option<Arc<dyn Operations>> {
        self.values.operations()
    }
}
