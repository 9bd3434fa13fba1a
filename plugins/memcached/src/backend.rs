//! [`MemcachedBackend`]: the backend of the four memcached entry points.

// Source: dogpile.cache `backends/memcached.py`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dogpile_sdk::lease::Leases;
use dogpile_sdk::{
    BackendError, BytesBackend, BytesEntry, CacheMutex, Capabilities, ErrorKind, KeyBytes, StoreOptions,
    error_chain, register_backend,
};

use crate::client::{Client, Error, KEY_LIMIT, Operation, Outcome, Refusal, Reply, When, check_key};
use crate::compression::Unreadable;
use crate::config::{
    Failure, MEMCACHED_FOREIGN, MemcachedConfig, OTHER_FOREIGN, PYMEMCACHE_FOREIGN, Retries, Variant,
};
use crate::mutex::{MemcachedLocks, PREFIX};
use crate::values::{Values, bytes_flag};
use crate::{error, expiry};

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
    values: Values,
    expire_time: Option<Duration>,
    retries: Retries,
    locks: Option<Leases>,
    has_lock_timeout: bool,
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
        let leases = config.leases()?;
        let locks = config.distributed_lock.then(|| {
            let locks = MemcachedLocks::new(Arc::clone(&client), bytes_flag(variant));
            Leases::new(Arc::new(locks), leases)
        });
        Ok(MemcachedBackend {
            client,
            values: Values::new(config, variant)?,
            expire_time: config.memcached_expire_time,
            retries: config.retries(),
            has_lock_timeout: config.distributed_lock && config.lock_lifetime().is_some(),
            locks,
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
        for operation in operations {
            let key = operation.key();
            check_key(key).map_err(|why| BackendError::new(ErrorKind::InvalidKey, why).for_key(key))?;
        }
        let mut outcomes = self.client.run_until(operations, self.retries.share(deadline, 0));
        for attempt in 1..self.retries.attempts {
            let failed: Vec<usize> =
                (0..outcomes.len()).filter(|number| self.is_retried(&outcomes[*number])).collect();
            if failed.is_empty() {
                break;
            }
            if Instant::now() + self.retries.delay >= deadline {
                break;
            }
            thread::sleep(self.retries.delay);
            let again: Vec<_> = failed.iter().map(|number| operations[*number]).collect();
            let retried = self.client.run_again_until(&again, self.retries.share(deadline, attempt));
            for (number, outcome) in failed.into_iter().zip(retried) {
                outcomes[number] = outcome;
            }
        }
        Ok(outcomes)
    }

    /// Returns whether an operation with this outcome is retried.
    fn is_retried(&self, outcome: &Outcome) -> bool {
        match outcome {
            Ok(_) => false,
            Err(error) => match **error {
                Error::TimedOut { .. } | Error::Busy { .. } => self.retries.allow(Failure::Timeout),
                Error::Login { .. } | Error::Tls { .. } | Error::Refused { .. } | Error::TooLarge { .. } => {
                    false
                }
                _ => self.retries.allow(Failure::Unavailable),
            },
        }
    }

    /// Returns the operation that stores a value. Deletes what an oversized value would replace, so that it is not served.
    fn store<'o>(&self, entry: &BytesEntry<'o>, (value, flags): &'o (Cow<'_, [u8]>, u32)) -> Operation<'o> {
        let key = entry.key;
        if value.len() > self.values.largest() {
            return Operation::Delete { key, cas: None };
        }
        // The shorter one of the region's and the configured lifetime.
        let lifetime = entry.options.keep_for.into_iter().chain(self.expire_time).min();
        let expiry = lifetime.map_or(0, expiry::of);
        Operation::Store { key, value, flags: *flags, expiry, when: When::Always }
    }

    /// Deletes what the values would have replaced that a server rejected. A server usually has done it already.
    fn delete_rejected(&self, operations: &[Operation<'_>], outcomes: &[Outcome], deadline: Instant) {
        let is_rejected =
            |outcome: &Outcome| matches!(outcome, Err(error) if matches!(**error, Error::Refused { .. }));
        if !outcomes.iter().any(is_rejected) {
            return;
        }
        // The last value of a key counts.
        let last: BTreeMap<&str, &Outcome> = operations.iter().map(Operation::key).zip(outcomes).collect();
        let rejected = last.into_iter().filter(|(_, outcome)| is_rejected(outcome));
        let deletes: Vec<_> = rejected.map(|(key, _)| Operation::Delete { key, cas: None }).collect();
        for outcome in self.client.run_until(&deletes, deadline) {
            if let Err(error) = outcome {
                log::warn!("an old value may be served instead of a rejected one: {}", error_chain(&*error));
            }
        }
    }

    /// Returns an error if a value of `length` bytes was not stored. An outage is not an error here; it has been logged.
    fn stored(&self, operation: &Operation<'_>, length: usize, outcome: Outcome) -> Result<(), BackendError> {
        match outcome {
            Err(error) if matches!(*error, Error::Refused { why: Refusal::TooLarge, .. }) => {
                self.values.oversized(length)
            }
            Err(error) if error::is_outage(&error) => Ok(()),
            Err(error) => Err(error::of(error)),
            Ok(_) => Ok(()),
        }?;
        if matches!(operation, Operation::Delete { .. }) { self.values.oversized(length) } else { Ok(()) }
    }

    /// Returns the addresses of the servers, in one order.
    fn scope(&self) -> String {
        let mut servers: Vec<_> = self.client.addresses().map(ToString::to_string).collect();
        servers.sort();
        format!("memcached://{}", servers.join(","))
    }

    /// Returns the value of a reply. Unreadable compressed values and the keys of a server that is down are misses.
    ///
    /// `left` is how many bytes may still be decompressed in this call.
    fn found(&self, outcome: Outcome, left: &mut usize) -> Result<Option<Vec<u8>>, BackendError> {
        let decoded = match outcome {
            Ok(Reply::Value { data, flags, .. }) => self.values.decoded(data, flags, left),
            Ok(_) => return Ok(None),
            Err(error) if error::is_outage(&error) || matches!(*error, Error::Refused { .. }) => {
                return Ok(None);
            }
            Err(error) => return Err(error::of(error)),
        };
        match decoded {
            Ok(value) => Ok(Some(value)),
            Err(error @ Unreadable::Damaged(_)) => {
                log::warn!("ignored a value of {}: {}", self.scope(), error_chain(&error));
                Ok(None)
            }
            Err(Unreadable::TooLarge(limit)) => {
                let why = format!(
                    "cannot decompress the value: it has more than {limit} bytes; raise \"max_decompressed_bytes\""
                );
                Err(BackendError::new(ErrorKind::Other, why).at_server(self.scope()))
            }
        }
    }
}

/// Returns an error if a value may remain. A server that is down may still have the value when it comes back.
fn deleted(outcome: Outcome) -> Result<(), BackendError> {
    outcome.map(drop).map_err(error::of)
}

impl BytesBackend for MemcachedBackend {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BackendError> {
        let outcome = self.run(&[Operation::Get { key }]).map(|mut outcomes| outcomes.pop());
        let value = outcome.and_then(|outcome| {
            outcome.map_or(Ok(None), |outcome| self.found(outcome, &mut self.values.total()))
        });
        value.map_err(|error| error.during("get").for_key(key))
    }

    fn set(&self, key: &str, value: &[u8], options: &StoreOptions) -> Result<(), BackendError> {
        self.set_multi(&[BytesEntry::new(key, value, options)])
            .map_err(|error| error.during("set").for_key(key))
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        let outcome = self.run(&[Operation::Delete { key, cas: None }]).map(|mut outcomes| outcomes.pop());
        let gone = outcome.and_then(|outcome| outcome.map_or(Ok(()), deleted));
        gone.map_err(|error| error.during("delete").for_key(key))
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, BackendError> {
        let gets: Vec<_> = keys.iter().map(|key| Operation::Get { key }).collect();
        let outcomes = self.run(&gets).map_err(|error| error.during("get_multi"))?;
        let mut left = self.values.total();
        let found: Result<_, _> =
            outcomes.into_iter().map(|outcome| self.found(outcome, &mut left)).collect();
        found.map_err(|error: BackendError| error.during("get_multi"))
    }

    fn set_multi(&self, entries: &[BytesEntry<'_>]) -> Result<(), BackendError> {
        let encoded: Vec<_> = entries.iter().map(|entry| self.values.encoded(entry.value)).collect();
        let operations: Vec<_> =
            entries.iter().zip(&encoded).map(|(entry, encoded)| self.store(entry, encoded)).collect();
        let deadline = self.client.deadline();
        let outcomes = self.run_until(&operations, deadline).map_err(|error| error.during("set_multi"))?;
        self.delete_rejected(&operations, &outcomes, deadline);
        let mut stored = operations.iter().zip(&encoded).zip(outcomes);
        stored.try_for_each(|((operation, (value, _)), outcome)| {
            let stored = self.stored(operation, value.len(), outcome);
            stored.map_err(|error| error.during("set_multi").for_key(operation.key()))
        })
    }

    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        let deletes: Vec<_> = keys.iter().map(|key| Operation::Delete { key, cas: None }).collect();
        let outcomes = self.run(&deletes).map_err(|error| error.during("delete_multi"))?;
        outcomes.into_iter().try_for_each(deleted).map_err(|error| error.during("delete_multi"))
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        self.locks.as_ref().map(|locks| locks.mutex(key))
    }

    fn capabilities(&self) -> Capabilities {
        // The name of a lock must be a valid key, too.
        let longest = if self.locks.is_some() { KEY_LIMIT - PREFIX.len() } else { KEY_LIMIT };
        let able = Capabilities::default().with_key_limit(longest).with_key_bytes(KeyBytes::NoWhitespace);
        // A lock and a value may not have the same name.
        let able = if self.locks.is_some() { able.with_reserved_prefix(PREFIX) } else { able };
        able.with_native_batch()
            .with_native_expiry()
            .with_value_limit(self.values.largest() as u64)
            .with_scope(self.scope())
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

    /// Behaviour: `memcached-lock-timeout-declared`
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
        let scope = |written| backend(written).scope();
        assert_eq!(scope(r#"{"url": ["a:1", "b:2"]}"#), "memcached://a:1,b:2");
        assert_eq!(scope(r#"{"url": ["b:2", "a:1"], "memcached_expire_time": 9}"#), "memcached://a:1,b:2");
        assert_eq!(scope(r#"{"url": ["a:1"]}"#), "memcached://a:1");
    }
}
