//! [`MemcachedBackend`]: the backend of the four memcached entry points.

// Source: dogpile.cache `backends/memcached.py`.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

#[cfg(feature = "tokio")]
use dogpile_sdk::Operations;
use dogpile_sdk::lease::Leases;
use dogpile_sdk::{
    BackendError, BytesBackend, BytesEntry, CacheMutex, Capabilities, KeyBytes, StoreOptions,
    register_backend,
};

#[cfg(feature = "tokio")]
use crate::asynchronous::{AsyncClient, MemcachedOperations};
use crate::calls::Calls;
use crate::client::{Client, KEY_LIMIT, Operation, Outcome};
use crate::config::{MEMCACHED_FOREIGN, MemcachedConfig, OTHER_FOREIGN, PYMEMCACHE_FOREIGN, Variant};
use crate::lock_items::{LockItems, PREFIX};
use crate::mutex::MemcachedLocks;
use crate::values::bytes_flag;

register_backend! {
    name: "dogpile.cache.memcached",
    config: MemcachedConfig,
    foreign: MEMCACHED_FOREIGN,
    build: |config: MemcachedConfig| MemcachedBackend::new(&config),
}

register_backend! {
    name: "dogpile.cache.pymemcache",
    config: MemcachedConfig,
    foreign: PYMEMCACHE_FOREIGN,
    build: |config: MemcachedConfig| MemcachedBackend::pymemcache(&config),
}

register_backend! {
    name: "dogpile.cache.pylibmc",
    config: MemcachedConfig,
    foreign: OTHER_FOREIGN,
    build: |config: MemcachedConfig| MemcachedBackend::pylibmc(&config),
}

register_backend! {
    name: "dogpile.cache.bmemcached",
    config: MemcachedConfig,
    foreign: OTHER_FOREIGN,
    build: |config: MemcachedConfig| MemcachedBackend::bmemcached(&config),
}

/// A backend over memcached servers. It connects on first use.
///
/// While a server is down, reads of its keys are misses and writes to it are dropped.
#[derive(Debug)]
pub struct MemcachedBackend {
    client: Arc<Client>,
    calls: Arc<Calls>,
    locks: Option<Leases>,
    has_lock_timeout: bool,
    #[cfg(feature = "tokio")]
    asynchronous: Arc<AsyncClient>,
}

impl MemcachedBackend {
    /// Creates a backend that distributes keys as python-memcached does.
    ///
    /// # Errors
    /// If `config` is invalid. This call does not connect.
    pub fn new(config: &MemcachedConfig) -> Result<Self, BackendError> {
        MemcachedBackend::of(config, Variant::PythonMemcached)
    }

    /// Creates a backend that distributes keys as pymemcache's `HashClient` does.
    ///
    /// # Errors
    /// See [`new`](Self::new).
    pub fn pymemcache(config: &MemcachedConfig) -> Result<Self, BackendError> {
        MemcachedBackend::of(config, Variant::Pymemcache)
    }

    /// Creates a backend that distributes keys as libmemcached does.
    ///
    /// # Errors
    /// See [`new`](Self::new).
    pub fn pylibmc(config: &MemcachedConfig) -> Result<Self, BackendError> {
        MemcachedBackend::of(config, Variant::Pylibmc)
    }

    /// Creates a backend that stores each key on every server, as python-binary-memcached does.
    ///
    /// # Errors
    /// See [`new`](Self::new).
    pub fn bmemcached(config: &MemcachedConfig) -> Result<Self, BackendError> {
        MemcachedBackend::of(config, Variant::Bmemcached)
    }

    fn of(config: &MemcachedConfig, variant: Variant) -> Result<Self, BackendError> {
        config.check(variant)?;
        let client = Arc::new(Client::new(config.addresses(variant)?, &config.options(variant)?));
        #[cfg(feature = "tokio")]
        let asynchronous = Arc::new(AsyncClient::new(Arc::clone(&client)));
        let leases = config.leases()?;
        let locks = config.distributed_lock.then(|| {
            let locks = MemcachedLocks::new(
                Arc::clone(&client),
                LockItems::new(bytes_flag(variant)),
                #[cfg(feature = "tokio")]
                Arc::clone(&asynchronous),
            );
            Leases::new(Arc::new(locks), leases)
        });
        Ok(MemcachedBackend {
            calls: Arc::new(Calls::new(config, variant, &client)?),
            client,
            has_lock_timeout: config.distributed_lock && config.lock_lifetime().is_some(),
            locks,
            #[cfg(feature = "tokio")]
            asynchronous,
        })
    }

    /// Runs `operations` like [`run_until`](Self::run_until), with a deadline of their own.
    fn run(&self, operations: &[Operation<'_>]) -> Result<Vec<Outcome>, BackendError> {
        self.run_until(operations, self.client.deadline())
    }

    /// Checks the keys and runs `operations`. Failed operations are retried if the configuration says so.
    fn run_until(
        &self,
        operations: &[Operation<'_>],
        deadline: Instant,
    ) -> Result<Vec<Outcome>, BackendError> {
        Calls::check(operations.iter().map(Operation::key))?;
        let retries = self.calls.retries();
        let mut outcomes = self.client.run_until(operations, retries.share(deadline, 0));
        for attempt in 1..retries.attempts {
            let failed = self.calls.retried(&outcomes);
            if failed.is_empty() || Instant::now() + retries.delay >= deadline {
                break;
            }
            thread::sleep(retries.delay);
            let again: Vec<_> = failed.iter().map(|number| operations[*number]).collect();
            let retried = self.client.run_again_until(&again, retries.share(deadline, attempt));
            for (number, outcome) in failed.into_iter().zip(retried) {
                outcomes[number] = outcome;
            }
        }
        Ok(outcomes)
    }

    /// Deletes what the values would have replaced that a server rejected.
    fn delete_rejected(&self, operations: &[Operation<'_>], outcomes: &[Outcome], deadline: Instant) {
        let rejected = Calls::rejected(operations.iter().map(Operation::key), outcomes);
        let deletes: Vec<_> = rejected.into_iter().map(|key| Operation::Delete { key, cas: None }).collect();
        if !deletes.is_empty() {
            self.calls.log_remaining(self.client.run_until(&deletes, deadline));
        }
    }
}

impl BytesBackend for MemcachedBackend {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BackendError> {
        let outcome = self.run(&[Operation::Get { key }]).map(|mut outcomes| outcomes.pop());
        let value = outcome.and_then(|outcome| {
            outcome.map_or(Ok(None), |outcome| self.calls.found(outcome, &mut self.calls.values().total()))
        });
        value.map_err(|error| error.during("get").for_key(key))
    }

    fn set(&self, key: &str, value: &[u8], options: &StoreOptions) -> Result<(), BackendError> {
        self.set_multi(&[BytesEntry::new(key, value, options)])
            .map_err(|error| error.during("set").for_key(key))
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        let outcome = self.run(&[Operation::Delete { key, cas: None }]).map(|mut outcomes| outcomes.pop());
        let gone = outcome.and_then(|outcome| outcome.map_or(Ok(()), Calls::deleted));
        gone.map_err(|error| error.during("delete").for_key(key))
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, BackendError> {
        let gets: Vec<_> = keys.iter().map(|key| Operation::Get { key }).collect();
        let outcomes = self.run(&gets).map_err(|error| error.during("get_multi"))?;
        let mut left = self.calls.values().total();
        let found: Result<_, _> =
            outcomes.into_iter().map(|outcome| self.calls.found(outcome, &mut left)).collect();
        found.map_err(|error: BackendError| error.during("get_multi"))
    }

    fn set_multi(&self, entries: &[BytesEntry<'_>]) -> Result<(), BackendError> {
        let encoded: Vec<_> = entries.iter().map(|entry| self.calls.values().encoded(entry.value)).collect();
        let operations: Vec<_> =
            entries.iter().zip(&encoded).map(|(entry, encoded)| self.calls.store(entry, encoded)).collect();
        let deadline = self.client.deadline();
        let outcomes = self.run_until(&operations, deadline).map_err(|error| error.during("set_multi"))?;
        self.delete_rejected(&operations, &outcomes, deadline);
        let mut stored = operations.iter().zip(&encoded).zip(outcomes);
        stored.try_for_each(|((operation, (value, _)), outcome)| {
            let stored = self.calls.stored(operation, value.len(), outcome);
            stored.map_err(|error| error.during("set_multi").for_key(operation.key()))
        })
    }

    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        let deletes: Vec<_> = keys.iter().map(|key| Operation::Delete { key, cas: None }).collect();
        let outcomes = self.run(&deletes).map_err(|error| error.during("delete_multi"))?;
        outcomes.into_iter().try_for_each(Calls::deleted).map_err(|error| error.during("delete_multi"))
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        self.locks.as_ref().map(|locks| locks.mutex(key))
    }

    #[cfg(feature = "tokio")]
    fn operations(&self) -> Option<Arc<dyn Operations>> {
        Some(Arc::new(MemcachedOperations::new(Arc::clone(&self.calls), Arc::clone(&self.asynchronous))))
    }

    fn capabilities(&self) -> Capabilities {
        // The name of a lock must be a valid key, too.
        let longest = if self.locks.is_some() { KEY_LIMIT - PREFIX.len() } else { KEY_LIMIT };
        let able = Capabilities::default().with_key_limit(longest).with_key_bytes(KeyBytes::NoWhitespace);
        // A lock and a value may not have the same name.
        let able = if self.locks.is_some() { able.with_reserved_prefix(PREFIX) } else { able };
        // A configured lifetime replaces those of the values.
        let able = if self.calls.has_expire_time() { able } else { able.with_native_expiry() };
        able.with_native_batch()
            .with_value_limit(self.calls.values().largest() as u64)
            .with_scope(self.calls.scope())
            .with_lock_timeout(self.has_lock_timeout)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use super::*;

    fn backend(written: &str) -> MemcachedBackend {
        MemcachedBackend::pymemcache(&serde_json::from_str(written).unwrap()).unwrap()
    }

    /// Behavior: `memcached-lock-timeout-declared`
    #[test]
    fn lock_timeout_is_reported() {
        let declares = |written| backend(written).capabilities().lock_timeout;
        assert!(declares(r#"{"url": "h", "distributed_lock": true, "lock_timeout": 5}"#));
        assert!(!declares(r#"{"url": "h", "distributed_lock": true}"#));
        assert!(!declares(r#"{"url": "h", "lock_timeout": 5}"#));
    }

    #[test]
    fn key_limit_leaves_room_for_the_lock_prefix() {
        let longest = |written| backend(written).capabilities().max_key_bytes;
        assert_eq!(longest(r#"{"url": "h"}"#), Some(250));
        assert_eq!(longest(r#"{"url": "h", "distributed_lock": true}"#), Some(245));
    }

    #[test]
    fn prefix_of_locks_in_use_is_reserved() {
        let reserved = |written| backend(written).capabilities().reserved_prefixes;
        assert_eq!(reserved(r#"{"url": "h", "distributed_lock": true}"#), ["_lock"]);
        assert!(reserved(r#"{"url": "h"}"#).is_empty());
    }

    #[test]
    fn scope_names_the_servers_in_one_order() {
        let scope = |written| backend(written).calls.scope().to_owned();
        assert_eq!(scope(r#"{"url": ["a:1", "b:2"]}"#), "memcached://a:1,b:2");
        assert_eq!(scope(r#"{"url": ["b:2", "a:1"], "memcached_expire_time": 9}"#), "memcached://a:1,b:2");
        assert_eq!(scope(r#"{"url": ["a:1"]}"#), "memcached://a:1");
    }
}
