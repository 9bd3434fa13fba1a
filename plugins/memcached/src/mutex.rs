//! [`MemcachedLocks`]: locks on a server, each an item that expires.

// Source: dogpile.cache `backends/memcached.py`, `MemcachedLock`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dogpile_sdk::lease::LeaseStore;
use dogpile_sdk::{BackendError, ErrorKind, error_chain};

use crate::client::{Client, Operation, Outcome, Reply, When, check_key};
use crate::{error, expiry};

/// The prefix of the name of a lock. The key follows.
pub(crate) const PREFIX: &str = "_lock";

/// The lease store of memcached servers.
#[derive(Debug)]
pub(crate) struct MemcachedLocks {
    client: Arc<Client>,
    /// The flags that mark a value as bytes.
    flags: u32,
    /// The tokens of locks whose server was down or full when they were acquired. Such a lock excludes nobody. In this
    /// process, the region's gate still does.
    without_server: Mutex<HashSet<String>>,
}

/// The state of a lock on its server.
enum Found {
    Ours(u64),
    Others,
    Nothing,
}

impl MemcachedLocks {
    pub(crate) fn new(client: Arc<Client>, flags: u32) -> Self {
        MemcachedLocks { client, flags, without_server: Mutex::default() }
    }

    fn one(&self, operation: Operation<'_>, deadline: Instant) -> Outcome {
        self.client.run_until(&[operation], deadline).pop().unwrap_or(Ok(Reply::Miss))
    }

    fn look(&self, name: &str, token: &str, deadline: Instant) -> Result<Found, BackendError> {
        match self.one(Operation::Get { key: name }, deadline).map_err(error::of)? {
            Reply::Value { data, cas, .. } if data == token.as_bytes() => Ok(Found::Ours(cas)),
            Reply::Value { .. } => Ok(Found::Others),
            _ => Ok(Found::Nothing),
        }
    }

    fn without_server(&self) -> MutexGuard<'_, HashSet<String>> {
        // No holder panics, so poison carries no meaning.
        self.without_server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the name of the lock of `key`, or an error if it is not a valid key.
fn name(key: &str) -> Result<String, BackendError> {
    let name = format!("{PREFIX}{key}");
    match check_key(&name) {
        Ok(()) => Ok(name),
        Err(why) => Err(BackendError::new(ErrorKind::InvalidKey, why).for_key(key)),
    }
}

impl LeaseStore for MemcachedLocks {
    fn acquire(
        &self,
        key: &str,
        token: &str,
        lease: Duration,
        deadline: Instant,
    ) -> Result<bool, BackendError> {
        let name = name(key)?;
        let (value, expiry) = (token.as_bytes(), expiry::of(lease));
        let (flags, when) = (self.flags, When::Absent);
        // Read the item in the same round trip: it may be our own lock, if the reply to an earlier attempt was lost.
        let add = Operation::Store { key: &name, value, flags, expiry, when };
        let deadline = deadline.min(self.client.deadline());
        let outcomes = self.client.run_until(&[add, Operation::Get { key: &name }], deadline);
        match outcomes.into_iter().collect::<Result<Vec<_>, _>>() {
            Ok(replies) => Ok(matches!(&replies[..], [Reply::Done, _])
                || matches!(&replies[..], [_, Reply::Value { data, .. }] if data == value)),
            Err(error) if error::is_outage(&error) || error::is_full(&error) => {
                log::warn!("creating the value of key {key:?} without a lock: {}", error_chain(&*error));
                self.without_server().insert(token.to_owned());
                Ok(true)
            }
            Err(error) => Err(error::of(error)),
        }
    }

    fn renew(&self, key: &str, token: &str, lease: Duration) -> Result<bool, BackendError> {
        if self.without_server().contains(token) {
            return Ok(true);
        }
        let (name, deadline) = (name(key)?, self.client.deadline());
        let Found::Ours(cas) = self.look(&name, token, deadline)? else { return Ok(false) };
        let (value, expiry, when) = (token.as_bytes(), expiry::of(lease), When::Unchanged(cas));
        let renewal = Operation::Store { key: &name, value, flags: self.flags, expiry, when };
        Ok(self.one(renewal, deadline).map_err(error::of)? == Reply::Done)
    }

    fn release(&self, key: &str, token: &str) -> Result<bool, BackendError> {
        let was_without_server = self.without_server().remove(token);
        let (name, deadline) = (name(key)?, self.client.deadline());
        // Do this even if the server was down: it may have stored the lock, and only its reply was lost.
        let Found::Ours(cas) = self.look(&name, token, deadline)? else { return Ok(was_without_server) };
        let removal = Operation::Delete { key: &name, cas: Some(cas) };
        Ok(self.one(removal, deadline).map_err(error::of)? == Reply::Done)
    }

    fn locked(&self, key: &str) -> Result<bool, BackendError> {
        let found = self.look(&name(key)?, "", self.client.deadline())?;
        Ok(!matches!(found, Found::Nothing))
    }

    fn server<'k>(&self, key: &'k str) -> Cow<'k, str> {
        let address = self.client.server_of(&format!("{PREFIX}{key}"));
        address.map_or(Cow::Borrowed(""), |address| Cow::Owned(address.to_string()))
    }
}
