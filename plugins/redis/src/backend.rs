//! [`RedisBackend`]: `dogpile.cache.redis`, `dogpile.cache.valkey`, and their variants for Sentinel and Cluster.

// Source: dogpile.cache `backends/redis.py` and `backends/valkey.py`.

use std::sync::Arc;
use std::time::Duration;

use dogpile_sdk::lease::Leases;
use dogpile_sdk::{
    BackendError, BytesBackend, BytesEntry, CacheMutex, Capabilities, ErrorKind, StoreOptions,
    register_backend,
};

use crate::command::{Access, Command, Repeat, Reply};
use crate::config::{Deployment, LONGEST, RedisConfig, SENTINEL_FOREIGN, SINGLE_FOREIGN};
use crate::fence;
use crate::mutex::RedisLocks;
use crate::resp::Expected;
use crate::servers::{Servers, run_one, servers};

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
    expiration_time: Option<Duration>,
    locks: Option<Leases>,
    /// How the names of locks begin.
    lock_prefix: String,
    has_lock_timeout: bool,
    value_limit: usize,
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
        let servers = servers(config, deployment)?;
        let options = config.leases()?;
        let is_locking = config.distributed_lock.unwrap_or(deployment == Deployment::Sentinel);
        let locks = is_locking.then(|| {
            let (servers, prefix) = (Arc::clone(&servers), config.lock_prefix.clone());
            Leases::new(Arc::new(RedisLocks::new(servers, prefix, config.lock_wakeup)), options)
        });
        let has_lock_timeout = is_locking && config.lock_timeout.is_some();
        let (expiration_time, value_limit) = (config.redis_expiration_time, config.max_value_bytes);
        let lock_prefix = config.lock_prefix.clone();
        Ok(RedisBackend { servers, expiration_time, locks, lock_prefix, has_lock_timeout, value_limit })
    }

    /// Returns the time after which the server drops a value: the shorter one of the region's and the configured one.
    fn lifetime(&self, options: &StoreOptions) -> Option<Duration> {
        // The server rejects a time beyond the end of its calendar.
        options.keep_for.into_iter().chain(self.expiration_time).map(|lifetime| lifetime.min(LONGEST)).min()
    }

    fn set_command<'k>(&self, key: &'k str, value: &'k [u8], options: &StoreOptions) -> Command<'k> {
        let set = |name| Command::new(name, key, Expected::Done);
        match self.lifetime(options) {
            None => set("SET").arg(value),
            Some(lifetime) if lifetime.subsec_nanos() == 0 && lifetime.as_secs() > 0 => {
                set("SETEX").arg(lifetime.as_secs()).arg(value)
            }
            Some(lifetime) => set("PSETEX").arg(fence::milliseconds(lifetime)).arg(value),
        }
    }

    /// Stores values in one round trip per server: those with a fence in one script, the others in as few commands as
    /// possible.
    fn store(&self, entries: &[BytesEntry<'_>]) -> Result<(), BackendError> {
        if entries.is_empty() {
            return Ok(());
        }
        entries.iter().try_for_each(|entry| self.check_size(entry))?;
        let is_fenced = |entry: &&BytesEntry<'_>| self.is_fencing() && entry.options.fence.is_some();
        let (fenced, plain): (Vec<&BytesEntry<'_>>, Vec<_>) = entries.iter().partition(is_fenced);
        let fenced: Vec<_> = fenced.into_iter().map(|entry| (entry, self.lifetime(entry.options))).collect();
        let mut commands = self.set_commands(&plain);
        let plain = commands.len();
        commands.extend(fence::store(&fenced));
        let replies = self.servers.run(&commands, Access::Write, Repeat::Harmless);
        // The script has many keys, of which the servers know only the first.
        fenced.iter().for_each(|(entry, _)| self.servers.catch_up(entry.key));
        let replies = replies?;
        let mut replies = replies.into_iter();
        replies.by_ref().take(plain).try_for_each(|reply| reply.accepted().map(drop))?;
        replies.try_for_each(|reply| stored_all(reply.integer()?, fenced.len()))
    }

    fn check_size(&self, entry: &BytesEntry<'_>) -> Result<(), BackendError> {
        let (size, limit) = (entry.value.len(), self.value_limit);
        if size <= limit {
            return Ok(());
        }
        let message = format!(
            "the value is too large: it has {size} bytes, more than {limit}; raise \"max_value_bytes\""
        );
        Err(BackendError::new(ErrorKind::InvalidValue, message).for_key(entry.key))
    }

    fn set_commands<'k>(&self, entries: &[&BytesEntry<'k>]) -> Vec<Command<'k>> {
        let Some((first, rest)) = entries.split_first() else { return Vec::new() };
        let expires = entries.iter().any(|entry| self.lifetime(entry.options).is_some());
        if rest.is_empty() || expires || self.servers.is_spread() {
            let set = |entry: &&BytesEntry<'k>| self.set_command(entry.key, entry.value, entry.options);
            return entries.iter().map(set).collect();
        }
        let set = Command::new("MSET", first.key, Expected::Done).arg(first.value);
        vec![rest.iter().fold(set, |set, entry| set.arg(entry.key).arg(entry.value))]
    }

    /// Returns whether a lock and its value are on one server, so that a script can check one and store the other.
    fn is_fencing(&self) -> bool {
        self.locks.is_some() && !self.servers.is_sharded()
    }

    /// Runs commands with one reply each. An error reply to any of them is an error.
    fn write_all(&self, commands: &[Command<'_>]) -> Result<(), BackendError> {
        let replies = self.servers.run(commands, Access::Write, Repeat::Harmless)?;
        replies.into_iter().try_for_each(|reply| reply.accepted().map(drop))
    }

    fn get_each(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, BackendError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let gets: Vec<_> = keys.iter().map(|key| get_command(key)).collect();
        let replies = self.servers.run(&gets, Access::Read, Repeat::Harmless)?;
        replies.into_iter().map(value).collect()
    }

    fn get_all(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, BackendError> {
        let Some((first, rest)) = keys.split_first() else { return Ok(Vec::new()) };
        let get = Command::new("MGET", first, Expected::Values(keys.len())).args(rest.iter().copied());
        run_one(&*self.servers, get, Access::Read, Repeat::Harmless)?.strings()
    }
}

fn get_command(key: &str) -> Command<'_> {
    Command::new("GET", key, Expected::Value)
}

fn delete_command(key: &str) -> Command<'_> {
    Command::new("DEL", key, Expected::Integer)
}

/// Returns an error if a script stored fewer values than it was given.
fn stored_all(stored: i64, given: usize) -> Result<(), BackendError> {
    let stored = usize::try_from(stored).unwrap_or(0);
    if stored >= given {
        return Ok(());
    }
    let message = format!(
        "did not store {} of {given} values: the locks of their creators expired or were taken over",
        given - stored
    );
    Err(BackendError::new(ErrorKind::Fenced, message))
}

/// Returns the value in a reply to `GET`. A key of another type, such as a list, is a miss, as with `MGET`.
fn value(reply: Reply) -> Result<Option<Vec<u8>>, BackendError> {
    if reply.code() == Some("WRONGTYPE") { Ok(None) } else { reply.string() }
}

impl BytesBackend for RedisBackend {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BackendError> {
        let get = [get_command(key)];
        let replies = self.servers.run(&get, Access::Read, Repeat::Harmless);
        let found = replies.and_then(|replies| replies.into_iter().next().map_or(Ok(None), value));
        found.map_err(|error| error.during("get").for_key(key))
    }

    fn set(&self, key: &str, value: &[u8], options: &StoreOptions) -> Result<(), BackendError> {
        let stored = self.store(&[BytesEntry::new(key, value, options)]);
        stored.map_err(|error| error.during("set").for_key(key))
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        let delete = [delete_command(key)];
        self.write_all(&delete).map_err(|error| error.during("delete").for_key(key))
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, BackendError> {
        let found = if self.servers.is_spread() { self.get_each(keys) } else { self.get_all(keys) };
        found.map_err(|error| error.during("get_multi"))
    }

    fn set_multi(&self, entries: &[BytesEntry<'_>]) -> Result<(), BackendError> {
        self.store(entries).map_err(|error| error.during("set_multi"))
    }

    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        let Some((first, rest)) = keys.split_first() else { return Ok(()) };
        let deleted = if self.servers.is_spread() {
            let deletes: Vec<_> = keys.iter().map(|key| delete_command(key)).collect();
            self.write_all(&deletes)
        } else {
            self.write_all(&[delete_command(first).args(rest.iter().copied())])
        };
        deleted.map_err(|error| error.during("delete_multi"))
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        self.locks.as_ref().map(|locks| locks.mutex(key))
    }

    fn capabilities(&self) -> Capabilities {
        let able = Capabilities::default()
            .with_scope(self.servers.scope())
            .with_lock_timeout(self.has_lock_timeout)
            .with_value_limit(self.value_limit as u64)
            .with_native_batch()
            .with_native_expiry();
        let able = if self.is_fencing() { able.with_fencing() } else { able };
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
