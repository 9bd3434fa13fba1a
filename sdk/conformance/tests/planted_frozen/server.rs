//! [`Server`]: a store that can stop replying.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, CachedValue, ErrorKind};

use super::Bug::{self, ForgetsLateLocks};

/// A store in memory that can stop replying, and applies late what it received meanwhile.
#[derive(Debug)]
pub(crate) struct Server {
    bug: Bug,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    is_frozen: bool,
    pub(crate) values: BTreeMap<String, CachedValue>,
    /// The token of each lock. The leases are long, so that none expires.
    pub(crate) locks: BTreeMap<String, String>,
    /// The locks that were requested while the server was frozen, with their tokens.
    late: Vec<(String, String)>,
}

impl Server {
    pub(crate) fn new(bug: Bug) -> Self {
        Server { bug, state: Mutex::default(), changed: Condvar::new() }
    }

    pub(crate) fn freeze(&self) {
        self.state().is_frozen = true;
    }

    pub(crate) fn thaw(&self) {
        let mut state = self.state();
        state.is_frozen = false;
        for (key, token) in std::mem::take(&mut state.late) {
            state.locks.entry(key).or_insert(token);
        }
        self.changed.notify_all();
    }

    /// Waits until the server replies, until `limit` from now.
    pub(crate) fn reply(&self, limit: Duration) -> Result<MutexGuard<'_, State>, BackendError> {
        let begun = Instant::now();
        let mut state = self.state();
        while state.is_frozen {
            let left = limit.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Err(BackendError::new(ErrorKind::Timeout, "the server does not reply"));
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(state)
    }

    /// Receives the request for a lock to which no reply came in time.
    pub(crate) fn receive(&self, key: &str, token: &str) {
        // The lock of a token that is not known is never released.
        let token = if self.bug == ForgetsLateLocks { "forgotten" } else { token };
        self.state().late.push((key.to_owned(), token.to_owned()));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
