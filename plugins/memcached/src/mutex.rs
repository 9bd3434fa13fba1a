//! [`MemcachedLocks`]: locks on a server, each an item that vanishes by itself.
//!
//! Source: dogpile.cache `backends/memcached.py`, `MemcachedLock`.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dogpile_sdk::lease::LeaseStore;
use dogpile_sdk::{BackendError, ErrorKind};

use crate::client::{Client, Operation, Outcome, Reply, When, check_key};
use crate::{error, expiry};

/// What the name of a lock begins with; then comes the key.
pub(crate) const PREFIX: &str = "_lock";

#[derive(Debug)]
pub(crate) struct MemcachedLocks {
    client: Arc<Client>,
    /// What a value that is bytes is marked with.
    flags: u32,
    /// The tokens of locks whose server was down when they were taken. They keep nobody out but this process, which its
    /// own gate does.
    without_server: Mutex<HashSet<String>>,
}

/// What is there under the name of a lock.
enum Found {
    Ours(u64),
    Others,
    Nothing,
}

impl MemcachedLocks {
    pub(crate) fn new(client: Arc<Client>, flags: u32) -> Self {
        MemcachedLocks { client, flags, without_server: Mutex::default() }
    }

    fn one(&self, operation: Operation<'_>) -> Outcome {
        self.client.run(&[operation]).pop().unwrap_or(Ok(Reply::Miss))
    }

    fn look(&self, name: &str, token: &str) -> Result<Found, BackendError> {
        match self.one(Operation::Get { key: name }).map_err(error::of)? {
            Reply::Value { data, cas, .. } if data == token.as_bytes() => Ok(Found::Ours(cas)),
            Reply::Value { .. } => Ok(Found::Others),
            _ => Ok(Found::Nothing),
        }
    }

    fn without_server(&self) -> MutexGuard<'_, HashSet<String>> {
        // Nothing panics while it is locked.
        self.without_server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of the lock of `key`, refused if it would end a command or begin one.
fn name(key: &str) -> Result<String, BackendError> {
    let name = format!("{PREFIX}{key}");
    match check_key(&name) {
        Ok(()) => Ok(name),
        Err(why) => Err(BackendError::new(ErrorKind::InvalidKey, why).for_key(key)),
    }
}

impl LeaseStore for MemcachedLocks {
    fn acquire(&self, key: &str, token: &str, lease: Duration) -> Result<bool, BackendError> {
        let name = name(key)?;
        let (value, expiry) = (token.as_bytes(), expiry::of(lease));
        let (flags, when) = (self.flags, When::Absent);
        // The second, sent with the first, finds a lock of ours whose answer was lost.
        let add = Operation::Store { key: &name, value, flags, expiry, when };
        let outcomes = self.client.run(&[add, Operation::Get { key: &name }]);
        match outcomes.into_iter().collect::<Result<Vec<_>, _>>() {
            Ok(answers) => Ok(matches!(&answers[..], [Reply::Done, _])
                || matches!(&answers[..], [_, Reply::Value { data, .. }] if data == value)),
            Err(error) if error::is_outage(&error) => {
                log::warn!("the value of {key:?} is created without a lock: {error}");
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
        let name = name(key)?;
        let Found::Ours(cas) = self.look(&name, token)? else { return Ok(false) };
        let (value, expiry, when) = (token.as_bytes(), expiry::of(lease), When::Unchanged(cas));
        let renewal = Operation::Store { key: &name, value, flags: self.flags, expiry, when };
        Ok(self.one(renewal).map_err(error::of)? == Reply::Done)
    }

    fn release(&self, key: &str, token: &str) -> Result<bool, BackendError> {
        let was_without_server = self.without_server().remove(token);
        let name = name(key)?;
        // Also of a lock that was taken for one without a server: perhaps only the answer was lost.
        let Found::Ours(cas) = self.look(&name, token)? else { return Ok(was_without_server) };
        let removal = Operation::Delete { key: &name, cas: Some(cas) };
        Ok(self.one(removal).map_err(error::of)? == Reply::Done)
    }

    fn locked(&self, key: &str) -> Result<bool, BackendError> {
        let found = self.look(&name(key)?, "")?;
        Ok(!matches!(found, Found::Nothing))
    }
}
