//! [`Client`]: a backend of a [`Server`], and [`Locks`]: the lease store of its mutexes.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dogpile_sdk::lease::{LeaseOptions, LeaseStore, Leases};
use dogpile_sdk::{
    BackendError, CacheBackend, CacheMutex, CachedValue, Completion, Entry, ErrorKind, Operations, Running,
    StoreOptions,
};

use super::Bug::*;
use super::server::Server;
use super::{Bug, TIMEOUT};

/// A wait that no case awaits.
const FOREVER: Duration = Duration::from_secs(60);

/// A backend of a server.
#[derive(Debug)]
pub(crate) struct Client {
    bug: Bug,
    values: Arc<Values>,
    leases: Leases,
    reading: Mutex<()>,
    is_broken: AtomicBool,
    /// The keys of the requests whose replies come too late.
    late: Mutex<Vec<String>>,
}

impl Client {
    pub(crate) fn new(bug: Bug, server: Arc<Server>) -> Self {
        let leases =
            Leases::new(Arc::new(Locks { bug, server: Arc::clone(&server) }), LeaseOptions::default());
        let values = Arc::new(Values { bug, server });
        let (reading, is_broken, late) = (Mutex::default(), AtomicBool::new(false), Mutex::default());
        Client { bug, values, leases, reading, is_broken, late }
    }

    /// Returns the key whose value the next reply has: a late one, if the client mixes them up.
    fn replied<'k>(&self, key: &'k str) -> std::borrow::Cow<'k, str> {
        let mut late = self.late.lock().unwrap();
        match late.iter().position(|late| late != key) {
            Some(place) if self.bug == TakesLateReplies => late.remove(place).into(),
            _ => key.into(),
        }
    }
}

impl CacheBackend for Client {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        if self.bug == FailsOnceMore && self.is_broken.swap(false, SeqCst) {
            return Err(BackendError::new(ErrorKind::Unavailable, "the connection is broken"));
        }
        let _turn = (self.bug == ReadsOneAfterAnother)
            .then(|| self.reading.lock().unwrap_or_else(PoisonError::into_inner));
        let outcome = self.values.get(TIMEOUT, &[key]);
        if outcome.is_err() {
            self.is_broken.store(true, SeqCst);
            self.late.lock().unwrap().push(key.to_owned());
            return outcome.map(|_| None);
        }
        let found = self.values.get(TIMEOUT, &[&self.replied(key)])?;
        Ok(found.into_iter().next().flatten())
    }

    fn set(&self, key: &str, value: CachedValue, _: &StoreOptions) -> Result<(), BackendError> {
        self.values.set(TIMEOUT, vec![Entry::new(key, value)])
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        let limit = if self.bug == WaitsForeverToDelete { FOREVER } else { TIMEOUT };
        self.values.delete(limit, &[key])
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        let outcome = self.values.get(TIMEOUT, keys);
        if self.bug == TriesTwice { outcome.or_else(|_| self.values.get(TIMEOUT, keys)) } else { outcome }
    }

    fn set_multi(&self, entries: Vec<Entry>) -> Result<(), BackendError> {
        self.values.set(TIMEOUT, entries)
    }

    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        self.values.delete(TIMEOUT, keys)
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        Some(self.leases.mutex(key))
    }

    fn operations(&self) -> Option<Arc<dyn Operations>> {
        Some(Arc::clone(&self.values) as Arc<dyn Operations>)
    }
}

/// The exchanges for values.
#[derive(Debug)]
struct Values {
    bug: Bug,
    server: Arc<Server>,
}

impl Values {
    fn get(&self, limit: Duration, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        let state = self.server.reply(limit)?;
        Ok(keys.iter().map(|key| state.values.get(*key).cloned()).collect())
    }

    fn set(&self, limit: Duration, entries: Vec<Entry>) -> Result<(), BackendError> {
        self.server.reply(limit)?.values.extend(entries.into_iter().map(|entry| (entry.key, entry.value)));
        Ok(())
    }

    fn delete(&self, limit: Duration, keys: &[&str]) -> Result<(), BackendError> {
        self.server.reply(limit)?.values.retain(|key, _| !keys.contains(&key.as_str()));
        Ok(())
    }

    /// Completes a call on a thread of its own.
    fn begin<T: Send + 'static>(
        &self,
        completion: Completion<T>,
        exchange: impl FnOnce(&Values) -> Result<T, BackendError> + Send + 'static,
    ) -> Running {
        let values = Values { bug: self.bug, server: Arc::clone(&self.server) };
        thread::spawn(move || completion.complete(exchange(&values)));
        Running::done()
    }
}

impl Operations for Values {
    fn begin_get(&self, key: &str, completion: Completion<Option<CachedValue>>) -> Running {
        let key = key.to_owned();
        self.begin(completion, move |values| Ok(values.get(TIMEOUT, &[&key])?.into_iter().next().flatten()))
    }

    fn begin_get_multi(&self, keys: &[&str], completion: Completion<Vec<Option<CachedValue>>>) -> Running {
        let keys = owned(keys);
        self.begin(completion, move |values| values.get(TIMEOUT, &borrowed(&keys)))
    }

    fn begin_set(
        &self,
        key: &str,
        value: CachedValue,
        _: &StoreOptions,
        completion: Completion<()>,
    ) -> Running {
        if self.bug == KeepsItsCallerWaiting {
            completion.complete(self.set(TIMEOUT, vec![Entry::new(key, value)]));
            return Running::done();
        }
        self.begin_set_multi(vec![Entry::new(key, value)], completion)
    }

    fn begin_set_multi(&self, entries: Vec<Entry>, completion: Completion<()>) -> Running {
        self.begin(completion, move |values| values.set(TIMEOUT, entries))
    }

    fn begin_delete(&self, key: &str, completion: Completion<()>) -> Running {
        if self.bug == NeverCompletes {
            std::mem::forget(completion);
            return Running::done();
        }
        self.begin_delete_multi(&[key], completion)
    }

    fn begin_delete_multi(&self, keys: &[&str], completion: Completion<()>) -> Running {
        let keys = owned(keys);
        self.begin(completion, move |values| values.delete(TIMEOUT, &borrowed(&keys)))
    }
}

fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|&key| key.to_owned()).collect()
}

fn borrowed(keys: &[String]) -> Vec<&str> {
    keys.iter().map(String::as_str).collect()
}

/// The locks of the server.
#[derive(Debug)]
pub(crate) struct Locks {
    pub(crate) bug: Bug,
    pub(crate) server: Arc<Server>,
}

impl LeaseStore for Locks {
    fn acquire(
        &self,
        key: &str,
        token: &str,
        _lease: Duration,
        deadline: Instant,
    ) -> Result<bool, BackendError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let limit = if self.bug == AcquiresPastItsDeadline { TIMEOUT } else { left.min(TIMEOUT) };
        let mut state = self.server.reply(limit).inspect_err(|_| self.server.receive(key, token))?;
        Ok(state.locks.entry(key.to_owned()).or_insert_with(|| token.to_owned()) == token)
    }

    fn renew(&self, key: &str, token: &str, _lease: Duration) -> Result<bool, BackendError> {
        Ok(self.server.reply(TIMEOUT)?.locks.get(key).is_some_and(|owner| owner == token))
    }

    fn release(&self, key: &str, token: &str) -> Result<bool, BackendError> {
        let mut state = self.server.reply(TIMEOUT)?;
        let is_ours = state.locks.get(key).is_some_and(|owner| owner == token);
        if is_ours {
            state.locks.remove(key);
        }
        Ok(is_ours)
    }

    fn locked(&self, key: &str) -> Result<bool, BackendError> {
        let limit = if self.bug == WaitsForeverForLocked { FOREVER } else { TIMEOUT };
        Ok(self.server.reply(limit)?.locks.contains_key(key))
    }
}
