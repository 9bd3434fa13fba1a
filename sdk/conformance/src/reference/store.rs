//! [`Store`]: the values and locks of a [`Reference`](super::Reference).

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use dogpile_sdk::{BackendError, CachedValue, Capabilities, Entry, ErrorKind, Fence, Payload, StoreOptions};

/// The values and locks of a store.
#[derive(Debug)]
pub(super) struct Store {
    capabilities: Capabilities,
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Each value with the moment at which it expires.
    values: HashMap<String, (CachedValue, Option<Instant>)>,
    /// The token of each lock that is held.
    locks: HashMap<String, u64>,
    last_token: u64,
}

impl State {
    fn is_held(&self, key: &str, fence: &Fence) -> bool {
        self.locks.get(key).is_some_and(|token| token.to_be_bytes() == fence.as_bytes())
    }

    fn set(&mut self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        if options.fence.as_ref().is_some_and(|fence| !self.is_held(key, fence)) {
            let problem = "did not store the value: its mutex is no longer held";
            return Err(BackendError::new(ErrorKind::Fenced, problem).during("set").for_key(key));
        }
        let ends = options.keep_for.and_then(|lifetime| Instant::now().checked_add(lifetime));
        self.values.insert(key.to_owned(), (value, ends));
        Ok(())
    }
}

impl Store {
    pub(super) fn new(capabilities: Capabilities) -> Self {
        Store { capabilities, state: Mutex::default(), released: Condvar::new() }
    }

    pub(super) fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        self.admit("get", key)?;
        let state = self.state();
        let live = state.values.get(key).filter(|(_, ends)| ends.is_none_or(|ends| Instant::now() < ends));
        Ok(live.map(|(value, _)| value.clone()))
    }

    pub(super) fn set(
        &self,
        key: &str,
        value: CachedValue,
        options: &StoreOptions,
    ) -> Result<(), BackendError> {
        self.admit("set", key)?;
        self.admit_value(key, &value)?;
        self.state().set(key, value, options)
    }

    /// Stores all values in one step, or none if a key or a value is refused.
    pub(super) fn set_multi(&self, entries: Vec<Entry>) -> Result<(), BackendError> {
        for entry in &entries {
            self.admit("set_multi", &entry.key)?;
            self.admit_value(&entry.key, &entry.value)?;
        }
        let mut state = self.state();
        let mut fenced = Ok(());
        for Entry { key, value, options, .. } in entries {
            fenced = state.set(&key, value, &options).and(fenced);
        }
        fenced
    }

    pub(super) fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.admit("delete", key)?;
        self.state().values.remove(key);
        Ok(())
    }

    /// Acquires the lock of `key`, waiting until `deadline` or until `gives_up`. Returns its token.
    pub(super) fn acquire(
        &self,
        key: &str,
        deadline: Instant,
        gives_up: impl Fn() -> bool,
    ) -> Result<Option<u64>, BackendError> {
        self.admit("acquire", key)?;
        let mut state = self.state();
        while state.locks.contains_key(key) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || gives_up() {
                return Ok(None);
            }
            state = self.released.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.last_token += 1;
        let token = state.last_token;
        state.locks.insert(key.to_owned(), token);
        Ok(Some(token))
    }

    /// Releases the lock of `key`, and returns whether it had `token`.
    pub(super) fn release(&self, key: &str, token: u64) -> bool {
        let mut state = self.state();
        let is_ours = state.locks.get(key) == Some(&token);
        if is_ours {
            state.locks.remove(key);
            self.released.notify_all();
        }
        is_ours
    }

    pub(super) fn locked(&self, key: &str) -> bool {
        self.state().locks.contains_key(key)
    }

    /// Has the calls that wait for a lock ask again whether they give up.
    pub(super) fn wake(&self) {
        // A waiter asks while it has the state, so that it cannot miss this.
        drop(self.state());
        self.released.notify_all();
    }

    fn admit(&self, operation: &'static str, key: &str) -> Result<(), BackendError> {
        if self.capabilities.admits_key(key) {
            return Ok(());
        }
        let problem = "refused the key: it has more than 250 bytes, whitespace, or a control character";
        Err(BackendError::new(ErrorKind::InvalidKey, problem).during(operation).for_key(key))
    }

    fn admit_value(&self, key: &str, value: &CachedValue) -> Result<(), BackendError> {
        let limit = self.capabilities.max_value_bytes.unwrap_or(u64::MAX);
        let problem = match &value.payload {
            Payload::Bytes(bytes) if bytes.len() as u64 <= limit => return Ok(()),
            Payload::Bytes(_) => "refused the value: it has more than 4 MiB",
            Payload::Object(_) => "refused the value: it is an object, and this store keeps bytes",
        };
        Err(BackendError::new(ErrorKind::InvalidValue, problem).during("set").for_key(key))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Ignore poison: no code panics while it holds this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
