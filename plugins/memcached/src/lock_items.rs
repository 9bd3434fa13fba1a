//! [`LockItems`]: the items that are locks, and what the replies to their operations mean.

// Source: dogpile.cache `backends/memcached.py`, `MemcachedLock`.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dogpile_sdk::{BackendError, ErrorKind, LogLimit, error_chain};

use crate::client::{Operation, Outcome, Reply, When, check_key};
use crate::{error, expiry};

/// The prefix of the name of a lock. The key follows.
pub(crate) const PREFIX: &str = "_lock";

/// The items that are locks, and what the replies to their operations mean. It performs no I/O.
#[derive(Debug)]
pub(crate) struct LockItems {
    /// The flags that mark a value as bytes.
    flags: u32,
    /// The tokens of locks whose server was down or full when they were acquired. Such a lock excludes no
    /// other process. In this process, the region's gate still does.
    without_server: Mutex<HashSet<String>>,
    /// The limit of warnings about creations without a lock.
    unlocked: LogLimit,
}

/// The state of a lock on its server.
pub(crate) enum Found {
    /// It has the token, and this cas value.
    Ours(u64),
    Others,
    Nothing,
}

impl LockItems {
    pub(crate) fn new(flags: u32) -> Self {
        LockItems { flags, without_server: Mutex::default(), unlocked: LogLimit::new() }
    }

    /// Returns the name of the lock of `key`, or an error if it is not a valid key.
    pub(crate) fn name(key: &str) -> Result<String, BackendError> {
        let name = format!("{PREFIX}{key}");
        match check_key(&name) {
            Ok(()) => Ok(name),
            Err(why) => Err(BackendError::new(ErrorKind::InvalidKey, why).for_key(key)),
        }
    }

    /// Returns the operations that acquire the lock with this name.
    pub(crate) fn acquisition<'o>(
        &self,
        name: &'o str,
        token: &'o str,
        lease: Duration,
    ) -> [Operation<'o>; 2] {
        // Read the item in the same round trip: it may be our own lock, if the reply to an earlier attempt was lost.
        [self.stored(name, token, lease, When::Absent), Operation::Get { key: name }]
    }

    /// Returns whether the lock of `key` was acquired, from the outcomes of its acquisition.
    pub(crate) fn acquired(
        &self,
        key: &str,
        token: &str,
        outcomes: Vec<Outcome>,
    ) -> Result<bool, BackendError> {
        match outcomes.into_iter().collect::<Result<Vec<_>, _>>() {
            Ok(replies) => Ok(matches!(&replies[..], [Reply::Done, _])
                || matches!(&replies[..], [_, Reply::Value { data, .. }] if data == token.as_bytes())),
            Err(error) if error::is_outage(&error) || error::is_full(&error) => {
                if let Some(suppressed) = self.unlocked.pass() {
                    let error = error_chain(&*error);
                    log::warn!("creating the value of key {key:?} without a lock: {error}{suppressed}");
                }
                self.without_server().insert(token.to_owned());
                Ok(true)
            }
            Err(error) => Err(error::of(error)),
        }
    }

    /// Returns the operation that renews a lock that has this cas value.
    pub(crate) fn renewal<'o>(
        &self,
        name: &'o str,
        token: &'o str,
        lease: Duration,
        cas: u64,
    ) -> Operation<'o> {
        self.stored(name, token, lease, When::Unchanged(cas))
    }

    /// Returns the state of a lock, from the outcome of reading it.
    pub(crate) fn found(token: &str, outcome: Outcome) -> Result<Found, BackendError> {
        match outcome.map_err(error::of)? {
            Reply::Value { data, cas, .. } if data == token.as_bytes() => Ok(Found::Ours(cas)),
            Reply::Value { .. } => Ok(Found::Others),
            _ => Ok(Found::Nothing),
        }
    }

    /// Returns whether a renewal or a removal took effect.
    pub(crate) fn is_done(outcome: Outcome) -> Result<bool, BackendError> {
        Ok(outcome.map_err(error::of)? == Reply::Done)
    }

    /// Returns whether the lock was acquired without its server.
    pub(crate) fn is_without_server(&self, token: &str) -> bool {
        self.without_server().contains(token)
    }

    /// Forgets a lock that is released. Returns whether it was acquired without its server.
    pub(crate) fn forget(&self, token: &str) -> bool {
        self.without_server().remove(token)
    }

    fn stored<'o>(&self, key: &'o str, token: &'o str, lease: Duration, when: When) -> Operation<'o> {
        let (value, expiry) = (token.as_bytes(), expiry::no_earlier_than(lease));
        Operation::Store { key, value, flags: self.flags, expiry, when }
    }

    fn without_server(&self) -> MutexGuard<'_, HashSet<String>> {
        // No holder panics, so poison carries no meaning.
        self.without_server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
