//! [`RedisBackend`]: `dogpile.cache.redis` and `dogpile.cache.valkey`.
//!
//! Source: dogpile.cache `backends/redis.py` and `backends/valkey.py`.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use dogpile_sdk::lease::Leases;
use dogpile_sdk::{BackendError, BytesBackend, CacheMutex, Capabilities, ErrorKind, register_backend};
use redis::{Cmd, FromRedisValue};

use crate::config::RedisConfig;
use crate::mutex::RedisLocks;
use crate::pool::{Pool, Repeat};

register_backend! {
    name: "dogpile.cache.redis",
    config: RedisConfig,
    build: |config: RedisConfig| RedisBackend::new(&config),
}

register_backend! {
    name: "dogpile.cache.valkey",
    config: RedisConfig,
    build: |config: RedisConfig| RedisBackend::new(&config),
}

/// Values on one Redis or Valkey server. It connects when it is first used.
///
/// Source: dogpile.cache `backends/redis.py`, `RedisBackend`.
#[derive(Debug)]
pub struct RedisBackend {
    pool: Arc<Pool>,
    expiration_time: Option<u64>,
    locks: Option<Leases>,
    has_lock_timeout: bool,
}

impl RedisBackend {
    /// The largest value that a server takes, unless it is configured otherwise.
    const LARGEST_VALUE: u64 = 512 << 20;

    /// A backend over the server that `config` names.
    ///
    /// # Errors
    /// If `config` is wrong. The server is not asked.
    pub fn new(config: &RedisConfig) -> Result<Self, BackendError> {
        config.check()?;
        let pool = Arc::new(Pool::new(config)?);
        let options = config.leases()?;
        let locks = config.distributed_lock.then(|| {
            let locks = RedisLocks::new(Arc::clone(&pool), config.lock_prefix.clone());
            Leases::new(Arc::new(locks), options)
        });
        let has_lock_timeout = config.distributed_lock && config.lock_timeout.is_some();
        Ok(RedisBackend { pool, expiration_time: config.redis_expiration_time, locks, has_lock_timeout })
    }

    fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, BackendError> {
        self.pool.run(Repeat::Harmless, |connection| command.query(connection))
    }

    fn set_command(&self, key: &str, value: &[u8]) -> Cmd {
        let mut set = Cmd::new();
        match self.expiration_time {
            Some(seconds) => set.arg("SETEX").arg(key).arg(seconds).arg(value),
            None => set.arg("SET").arg(key).arg(value),
        };
        set
    }
}

impl BytesBackend for RedisBackend {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BackendError> {
        let get = redis::cmd("GET").arg(key).clone();
        let found = self.pool.run(Repeat::Harmless, |connection| match get.query(connection) {
            // A list or the like that a stranger keeps there: no value, as MGET has it.
            Err(error) if error.code() == Some("WRONGTYPE") => Ok(None),
            answer => answer,
        });
        found.map_err(|error| error.during("get").for_key(key))
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), BackendError> {
        self.ask(&self.set_command(key, value)).map_err(|error| error.during("set").for_key(key))
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.ask(redis::cmd("DEL").arg(key)).map_err(|error| error.during("delete").for_key(key))
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, BackendError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let found: Vec<Option<Vec<u8>>> =
            self.ask(redis::cmd("MGET").arg(keys)).map_err(|error| error.during("get_multi"))?;
        if found.len() == keys.len() {
            return Ok(found);
        }
        let message = format!("{} keys were asked for, and {} answered", keys.len(), found.len());
        Err(BackendError::new(ErrorKind::Other, message).during("get_multi"))
    }

    fn set_multi(&self, entries: &[(&str, &[u8])]) -> Result<(), BackendError> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut sets = redis::pipe();
        if self.expiration_time.is_none() {
            let mset = sets.cmd("MSET");
            for (key, value) in entries {
                mset.arg(*key).arg(*value);
            }
        } else {
            for (key, value) in entries {
                sets.add_command(self.set_command(key, value));
            }
        }
        let stored: Result<Vec<redis::Value>, _> =
            self.pool.run(Repeat::Harmless, |connection| sets.query(connection));
        stored.map(drop).map_err(|error| error.during("set_multi"))
    }

    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        if keys.is_empty() {
            return Ok(());
        }
        self.ask(redis::cmd("DEL").arg(keys)).map_err(|error| error.during("delete_multi"))
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        self.locks.as_ref().map(|locks| locks.mutex(key))
    }

    fn has_lock_timeout(&self) -> bool {
        self.has_lock_timeout
    }

    fn lock_scope(&self) -> Option<u64> {
        let mut scope = DefaultHasher::new();
        ("dogpile.cache.redis", self.pool.server()).hash(&mut scope);
        Some(scope.finish())
    }

    fn capabilities(&self) -> Capabilities {
        let able = Capabilities::default().with_value_limit(Self::LARGEST_VALUE).with_native_batch();
        if self.expiration_time.is_some() { able.with_native_expiry() } else { able }
    }
}
