//! Stores of each kind: one never blocks, one blocks, and one has asynchronous calls.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use dogpile::{CacheRegion, RegionConfig};
use dogpile_sdk::{
    BackendError, CacheBackend, CacheMutex, CachedValue, Capabilities, Completion, Entry, ErrorKind,
    Operations, Running, StoreOptions,
};
use parking_lot::{Condvar, Mutex};

/// The time within which an expected event must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Makes its callers wait while it is closed.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    closed: Mutex<bool>,
    changed: Condvar,
    waiting: Mutex<usize>,
}

impl Gate {
    pub(crate) fn close(&self) {
        *self.closed.lock() = true;
    }

    pub(crate) fn open(&self) {
        *self.closed.lock() = false;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut closed = self.closed.lock();
        if *closed {
            *self.waiting.lock() += 1;
            self.changed.notify_all();
        }
        while *closed {
            assert!(!self.changed.wait_for(&mut closed, PATIENCE).timed_out(), "the gate stays closed");
        }
    }

    /// Waits until `count` callers, in all, have arrived while it was closed.
    pub(crate) fn await_callers(&self, count: usize) {
        let mut closed = self.closed.lock();
        while *self.waiting.lock() < count {
            assert!(!self.changed.wait_for(&mut closed, PATIENCE).timed_out(), "no caller comes");
        }
    }
}

/// A store whose reads, writes, and locks can be held up.
#[derive(Debug, Default)]
pub(crate) struct Store {
    values: Mutex<HashMap<String, CachedValue>>,
    pub(crate) reads: Gate,
    pub(crate) writes: Gate,
    held: Mutex<bool>,
    freed: Condvar,
    pub(crate) panics: Mutex<bool>,
}

impl Store {
    fn read(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        self.reads.pass();
        assert!(!*self.panics.lock(), "planted");
        Ok(self.values.lock().get(key).cloned())
    }

    fn write(&self, key: &str, value: Option<CachedValue>) -> Result<(), BackendError> {
        self.writes.pass();
        match value {
            Some(value) => self.values.lock().insert(key.to_owned(), value),
            None => self.values.lock().remove(key),
        };
        Ok(())
    }

    /// Returns whether the mutex of any key is held.
    pub(crate) fn is_locked(&self) -> bool {
        *self.held.lock()
    }

    /// Acquires the mutex as another process does.
    pub(crate) fn lock_elsewhere(&self) {
        *self.held.lock() = true;
    }

    pub(crate) fn unlock(&self) {
        *self.held.lock() = false;
        self.freed.notify_all();
    }

    /// Does `work` while no other caller can check whether the mutex is held.
    pub(crate) fn while_locked(&self, work: impl FnOnce()) {
        let _held = self.held.lock();
        work();
    }

    /// Waits until the mutex is free.
    pub(crate) fn await_unlocked(&self) {
        let mut held = self.held.lock();
        while *held {
            assert!(!self.freed.wait_for(&mut held, PATIENCE).timed_out(), "the mutex stays held");
        }
    }
}

/// A backend over a store, in one of three kinds.
#[derive(Debug, Clone)]
pub(crate) struct Backend {
    pub(crate) store: Arc<Store>,
    kind: Kind,
    has_mutex: bool,
    /// Performs asynchronous calls, one after another.
    worker: Option<Sender<Job>>,
}

type Job = Box<dyn FnOnce() + Send>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Immediate,
    Blocking,
    Operations,
}

pub(crate) const KINDS: [Kind; 3] = [Kind::Immediate, Kind::Blocking, Kind::Operations];

impl Backend {
    pub(crate) fn new(kind: Kind) -> Self {
        let worker = (kind == Kind::Operations).then(|| {
            let (sender, receiver): (_, Receiver<Job>) = channel();
            // It ends with the last sender.
            thread::spawn(move || receiver.into_iter().for_each(|job| job()));
            sender
        });
        Backend { store: Arc::default(), kind, has_mutex: false, worker }
    }

    /// Gives the store a mutex, one for all keys.
    pub(crate) fn with_mutex(self) -> Self {
        Backend { has_mutex: true, ..self }
    }

    /// Returns a region over this backend.
    pub(crate) fn region(&self) -> CacheRegion {
        self.configured(|config| config)
    }

    /// Returns a region over this backend with further settings.
    pub(crate) fn configured(&self, settings: impl FnOnce(RegionConfig) -> RegionConfig) -> CacheRegion {
        let region = CacheRegion::with_defaults("region", RegionConfig::default());
        let config = settings(RegionConfig::from_instance(Arc::new(self.clone())));
        region.configure(config).expect("nothing is wrong with it");
        region
    }

    fn perform<T: Send + 'static>(
        &self,
        completion: Completion<T>,
        call: impl FnOnce(&Store) -> Result<T, BackendError> + Send + 'static,
    ) -> Running {
        let store = Arc::clone(&self.store);
        let worker = self.worker.as_ref().expect("this kind has a worker");
        let sent = worker.send(Box::new(move || completion.complete(call(&store))));
        sent.expect("the worker runs");
        Running::done()
    }
}

impl CacheBackend for Backend {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        self.store.read(key)
    }

    fn set(&self, key: &str, value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
        self.store.write(key, Some(value))
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.store.write(key, None)
    }

    fn get_mutex(&self, _key: &str) -> Option<Arc<dyn CacheMutex>> {
        self.has_mutex.then(|| Arc::new(StoreMutex(Arc::clone(&self.store))) as Arc<dyn CacheMutex>)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_immediate(self.kind == Kind::Immediate)
    }

    fn operations(&self) -> Option<Arc<dyn Operations>> {
        (self.kind == Kind::Operations).then(|| Arc::new(self.clone()) as Arc<dyn Operations>)
    }
}

impl Operations for Backend {
    fn begin_get(&self, key: &str, completion: Completion<Option<CachedValue>>) -> Running {
        let key = key.to_owned();
        self.perform(completion, move |store| store.read(&key))
    }

    fn begin_get_multi(&self, keys: &[&str], completion: Completion<Vec<Option<CachedValue>>>) -> Running {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        self.perform(completion, move |store| keys.iter().map(|key| store.read(key)).collect())
    }

    fn begin_set(
        &self,
        key: &str,
        value: CachedValue,
        _options: &StoreOptions,
        completion: Completion<()>,
    ) -> Running {
        let key = key.to_owned();
        self.perform(completion, move |store| store.write(&key, Some(value)))
    }

    fn begin_set_multi(&self, entries: Vec<Entry>, completion: Completion<()>) -> Running {
        self.perform(completion, move |store| {
            entries.into_iter().try_for_each(|entry| store.write(&entry.key, Some(entry.value)))
        })
    }

    fn begin_delete(&self, key: &str, completion: Completion<()>) -> Running {
        let key = key.to_owned();
        self.perform(completion, move |store| store.write(&key, None))
    }

    fn begin_delete_multi(&self, keys: &[&str], completion: Completion<()>) -> Running {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        self.perform(completion, move |store| keys.iter().try_for_each(|key| store.write(key, None)))
    }
}

#[derive(Debug)]
struct StoreMutex(Arc<Store>);

impl CacheMutex for StoreMutex {
    fn try_acquire(&self) -> Result<bool, BackendError> {
        Ok(!std::mem::replace(&mut *self.0.held.lock(), true))
    }

    fn acquire_until(&self, deadline: Instant) -> Result<bool, BackendError> {
        let mut held = self.0.held.lock();
        while *held {
            if self.0.freed.wait_until(&mut held, deadline).timed_out() {
                return Ok(false);
            }
        }
        *held = true;
        Ok(true)
    }

    fn release(&self) -> Result<(), BackendError> {
        if !self.0.is_locked() {
            return Err(BackendError::new(ErrorKind::NotHeld, "the mutex is not held"));
        }
        self.0.unlock();
        Ok(())
    }

    fn locked(&self) -> Result<bool, BackendError> {
        Ok(self.0.is_locked())
    }
}
