//! [`RedisBackend`]: `dogpile.cache.redis`, `dogpile.cache.valkey`, and their variants for Sentinel and Cluster.

// Source: dogpile.cache `backends/redis.py` and `backends/valkey.py`.

use std::sync::Arc;

#[cfg(feature = "tokio")]
use dogpile_sdk::Operations;
use dogpile_sdk::lease::Leases;
use dogpile_sdk::{
    BackendError, BytesBackend, BytesEntry, CacheMutex, Capabilities, StoreOptions, register_backend,
};

#[cfg(feature = "tokio")]
use crate::asynchronous::{Client, RedisOperations};
use crate::command::Repeat;
use crate::config::{Deployment, RedisConfig, SENTINEL_FOREIGN, SINGLE_FOREIGN};
use crate::exchange::{Exchange, Exchanges};
use crate::mutex::RedisLocks;
use crate::servers::{Servers, deploy};

register_backend! {
    name: "dogpile.cache.redis",
    config: RedisConfig,
    foreign: SINGLE_FOREIGN,
    build: |config: RedisConfig| RedisBackend::new(&config),
}

register_backend! {
    name: "dogpile.cache.redis_sentinel",
    config: RedisConfig,
    foreign: SENTINEL_FOREIGN,
    build: |config: RedisConfig| RedisBackend::sentinel(&config),
}

register_backend! {
    name: "dogpile.cache.redis_cluster",
    config: RedisConfig,
    foreign: SINGLE_FOREIGN,
    build: |config: RedisConfig| RedisBackend::cluster(&config),
}

register_backend! {
    name: "dogpile.cache.valkey",
    config: RedisConfig,
    foreign: SINGLE_FOREIGN,
    build: |config: RedisConfig| RedisBackend::new(&config),
}

register_backend! {
    name: "dogpile.cache.valkey_sentinel",
    config: RedisConfig,
    foreign: SENTINEL_FOREIGN,
    build: |config: RedisConfig| RedisBackend::sentinel(&config),
}

register_backend! {
    name: "dogpile.cache.valkey_cluster",
    config: RedisConfig,
    foreign: SINGLE_FOREIGN,
    build: |config: RedisConfig| RedisBackend::cluster(&config),
}

/// A backend over Redis or Valkey servers. It connects on first use.
// Source: dogpile.cache `backends/redis.py`, `RedisBackend`.
#[derive(Debug)]
pub struct RedisBackend {
    servers: Arc<dyn Servers>,
    exchanges: Exchanges,
    locks: Option<Leases>,
    /// How the names of locks begin.
    lock_prefix: String,
    has_lock_timeout: bool,
    #[cfg(feature = "tokio")]
    client: Arc<Client>,
}

impl RedisBackend {
    /// Creates a backend over the one server that `config` names.
    ///
    /// # Errors
    /// If `config` is invalid. This call does not connect.
    pub fn new(config: &RedisConfig) -> Result<Self, BackendError> {
        RedisBackend::over(config, Deployment::Single)
    }

    /// Creates a backend over a master and its replicas, which the sentinels of `config` know.
    ///
    /// Reads go to the replicas, and may lag. Keys that this process just wrote or locked are read from the master.
    ///
    /// # Errors
    /// If `config` is invalid. This call does not connect.
    // Source: dogpile.cache `backends/redis.py`, `RedisSentinelBackend`.
    pub fn sentinel(config: &RedisConfig) -> Result<Self, BackendError> {
        RedisBackend::over(config, Deployment::Sentinel)
    }

    /// Creates a backend over the cluster to which the `startup_nodes` of `config` belong.
    ///
    /// # Errors
    /// If `config` is invalid. This call does not connect.
    // Source: dogpile.cache `backends/redis.py`, `RedisClusterBackend`.
    pub fn cluster(config: &RedisConfig) -> Result<Self, BackendError> {
        RedisBackend::over(config, Deployment::Cluster)
    }

    fn over(config: &RedisConfig, deployment: Deployment) -> Result<Self, BackendError> {
        let deployed = deploy(config, deployment)?;
        let servers = deployed.servers();
        let options = config.leases()?;
        #[cfg(feature = "tokio")]
        let client = Arc::new(Client::new(deployed));
        let is_locking = config.distributed_lock.unwrap_or(deployment == Deployment::Sentinel);
        let locks = is_locking.then(|| {
            let (servers, prefix) = (Arc::clone(&servers), config.lock_prefix.clone());
            let locks = RedisLocks::new(
                servers,
                prefix,
                config.lock_wakeup,
                #[cfg(feature = "tokio")]
                Arc::clone(&client),
            );
            Leases::new(Arc::new(locks), options)
        });
        let has_lock_timeout = is_locking && config.lock_timeout.is_some();
        let exchanges = Exchanges {
            expiration_time: config.redis_expiration_time,
            value_limit: config.max_value_bytes,
            is_spread: servers.is_spread(),
            is_fencing: is_locking && !servers.is_sharded(),
        };
        Ok(RedisBackend {
            servers,
            exchanges,
            locks,
            lock_prefix: config.lock_prefix.clone(),
            has_lock_timeout,
            #[cfg(feature = "tokio")]
            client,
        })
    }

    /// Carries an exchange to the servers and back.
    fn run<T>(&self, exchange: Exchange<'_, T>) -> Result<T, BackendError> {
        let Exchange { commands, access, more_keys, read } = exchange;
        let replies = self.servers.run(&commands, access, Repeat::Harmless);
        more_keys.into_iter().for_each(|key| self.servers.catch_up(key));
        read(replies?)
    }
}

impl BytesBackend for RedisBackend {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BackendError> {
        self.run(Exchanges::get(key)).map_err(|error| error.during("get").for_key(key))
    }

    fn set(&self, key: &str, value: &[u8], options: &StoreOptions) -> Result<(), BackendError> {
        let exchange = self.exchanges.set_multi(&[BytesEntry::new(key, value, options)]);
        let stored = exchange.and_then(|exchange| self.run(exchange));
        stored.map_err(|error| error.during("set").for_key(key))
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        let deleted = self.run(self.exchanges.delete_multi(&[key]));
        deleted.map_err(|error| error.during("delete").for_key(key))
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, BackendError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.run(self.exchanges.get_multi(keys)).map_err(|error| error.during("get_multi"))
    }

    fn set_multi(&self, entries: &[BytesEntry<'_>]) -> Result<(), BackendError> {
        if entries.is_empty() {
            return Ok(());
        }
        let stored = self.exchanges.set_multi(entries).and_then(|exchange| self.run(exchange));
        stored.map_err(|error| error.during("set_multi"))
    }

    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        if keys.is_empty() {
            return Ok(());
        }
        self.run(self.exchanges.delete_multi(keys)).map_err(|error| error.during("delete_multi"))
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        self.locks.as_ref().map(|locks| locks.mutex(key))
    }

    #[cfg(feature = "tokio")]
    fn operations(&self) -> Option<Arc<dyn Operations>> {
        Some(Arc::new(RedisOperations::new(self.exchanges, Arc::clone(&self.client))))
    }

    fn capabilities(&self) -> Capabilities {
        let able = Capabilities::default()
            .with_scope(self.servers.scope())
            .with_lock_timeout(self.has_lock_timeout)
            .with_value_limit(self.exchanges.value_limit as u64)
            .with_native_batch();
        // A configured lifetime replaces those of the values.
        let able = if self.exchanges.expiration_time.is_none() { able.with_native_expiry() } else { able };
        let able = if self.exchanges.is_fencing { able.with_fencing() } else { able };
        // A lock and a value may not have the same name.
        if self.locks.is_some() { able.with_reserved_prefix(&*self.lock_prefix) } else { able }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use super::*;

    fn config(written: &str) -> RedisConfig {
        serde_json::from_str(written).unwrap()
    }

    #[test]
    fn scope_names_server_and_database_without_password() {
        let scope = |written| RedisBackend::new(&config(written)).unwrap().capabilities().scope.unwrap();
        assert_eq!(scope("{}"), "redis://localhost:6379/0");
        assert_eq!(scope(r#"{"url": "redis://user:hunter2@there:5/2"}"#), "redis://there:5/2");
        let by_parts = r#"{"host": "there", "port": 5, "db": 2, "username": "user", "password": "hunter2"}"#;
        assert_eq!(scope(by_parts), "redis://there:5/2");
    }

    #[test]
    fn prefix_of_locks_in_use_is_reserved() {
        let reserved =
            |written| RedisBackend::new(&config(written)).unwrap().capabilities().reserved_prefixes;
        assert_eq!(reserved(r#"{"distributed_lock": true}"#), ["_lock"]);
        assert_eq!(reserved(r#"{"distributed_lock": true, "lock_prefix": "lk"}"#), ["lk"]);
        assert!(reserved(r#"{"lock_prefix": "lk"}"#).is_empty());
    }

    #[test]
    fn lock_prefix_of_replaced_keys_is_refused() {
        for prefix in ["_d", "_dogpile:", "_dogpile:s"] {
            let error = RedisBackend::new(&config(&format!(r#"{{"lock_prefix": "{prefix}"}}"#))).unwrap_err();
            assert!(error.to_string().contains("how keys begin that replace others"), "{error}");
        }
        assert!(RedisBackend::new(&config(r#"{"lock_prefix": "_dogs"}"#)).is_ok());
    }

    #[test]
    fn scope_of_sentinel_names_service_and_database() {
        let scope = |written| RedisBackend::sentinel(&config(written)).unwrap().capabilities().scope.unwrap();
        let expected = "redis-sentinel://a:1,b:2/mymaster/3";
        assert_eq!(scope(r#"{"sentinels": ["b:2", "a:1"], "db": 3, "password": "hunter2"}"#), expected);
    }

    #[test]
    fn scope_of_cluster_names_its_startup_nodes() {
        let scope = |written| RedisBackend::cluster(&config(written)).unwrap().capabilities().scope.unwrap();
        assert_eq!(scope(r#"{"startup_nodes": ["b:2", "a:1"]}"#), "redis-cluster://a:1,b:2");
    }
}
