//! Backends whose multi calls have one planted bug each, and backends that run badly inside an asynchronous program.
//!
//! Exactly the case that tests the behavior fails.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use dogpile_conformance::{Setup, report};
use dogpile_sdk::{BackendError, CacheBackend, CachedValue, Entry, ErrorKind, Object, Payload, StoreOptions};

use super::search::{Found, Search};

/// The bug of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    Nothing,
    FailsToStoreAKeyTwice,
    StoresTheFirstOfARepeatedKey,
    FailsToDeleteAKeyTwice,
    CutsLargeValuesOfSetMulti,
    LocksKeysInTheOrderOfTheCall,
    RefusesKeysOfAnotherSetMulti,
    RefusesDeletionsDuringASetMulti,
    StartsARuntimeForEachCall,
    DropsItsRuntimeInside,
}

use Bug::*;

/// Each bug with the name of the case that finds it, and a part of its message.
const FOUND: &[Found<Bug>] = &[
    (FailsToStoreAKeyTwice, &["last_value_of_a_repeated_key_is_stored"], "cannot affect a row twice"),
    (StoresTheFirstOfARepeatedKey, &["last_value_of_a_repeated_key_is_stored"], "at index 0"),
    (FailsToDeleteAKeyTwice, &["repeated_keys_are_deleted"], "cannot affect a row twice"),
    (
        CutsLargeValuesOfSetMulti,
        &["large_values_pass_between_single_and_multi_calls"],
        "an object of 60000 bytes",
    ),
    (
        LocksKeysInTheOrderOfTheCall,
        &["overlapping_set_multi_calls_leave_one_value_per_key"],
        "expected the case to end within",
    ),
    (
        RefusesKeysOfAnotherSetMulti,
        &["overlapping_set_multi_calls_leave_one_value_per_key"],
        "deadlock detected",
    ),
    (RefusesDeletionsDuringASetMulti, &["overlapping_multi_calls_do_not_fail"], "database is busy"),
    (
        StartsARuntimeForEachCall,
        &["calls_work_inside_an_async_runtime"],
        "Cannot start a runtime from within a runtime",
    ),
    (
        DropsItsRuntimeInside,
        &["calls_work_inside_an_async_runtime"],
        "Cannot drop a runtime in a context where blocking is not allowed",
    ),
];

/// A backend in memory.
#[derive(Debug)]
struct Planted {
    bug: Bug,
    kept: Mutex<BTreeMap<String, CachedValue>>,
    /// The keys that calls of `set_multi` are storing.
    storing: Mutex<BTreeSet<String>>,
    stored: Condvar,
    _runtime: Option<tokio::runtime::Runtime>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

fn failure(why: &str) -> BackendError {
    BackendError::new(ErrorKind::Other, why)
}

impl Planted {
    fn new(bug: Bug) -> Self {
        let runtime = (bug == DropsItsRuntimeInside).then(runtime);
        Planted {
            bug,
            kept: Mutex::default(),
            storing: Mutex::default(),
            stored: Condvar::new(),
            _runtime: runtime,
        }
    }

    /// Locks `key` for a `set_multi`, which then locks its other keys.
    fn begin(&self, key: &str, waits: bool) -> Result<(), BackendError> {
        let mut storing = lock(&self.storing);
        while !storing.insert(key.to_owned()) {
            if !waits {
                return Err(failure("deadlock detected"));
            }
            storing = self.stored.wait(storing).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    fn end(&self, keys: &[String]) {
        lock(&self.storing).retain(|key| !keys.contains(key));
        self.stored.notify_all();
    }

    /// Stores `entries` while all their keys are locked, each from its turn on.
    fn store_locked(&self, entries: Vec<Entry>, waits: bool) -> Result<(), BackendError> {
        let mut locked = Vec::new();
        let mut outcome = Ok(());
        for Entry { key, value, options, .. } in entries {
            if !locked.contains(&key) {
                outcome = self.begin(&key, waits);
                if outcome.is_err() {
                    break;
                }
                locked.push(key.clone());
                // Another call begins meanwhile.
                thread::sleep(Duration::from_micros(100));
            }
            self.set(&key, value, &options)?;
        }
        self.end(&locked);
        outcome
    }
}

fn has_repeated<'k>(keys: impl Iterator<Item = &'k str>) -> bool {
    let mut seen = BTreeSet::new();
    keys.into_iter().any(|key| !seen.insert(key))
}

fn cut(value: &mut CachedValue) {
    let Payload::Object(object) = &value.payload else { return };
    if let Some(bytes) = object.downcast_ref::<Vec<u8>>().filter(|bytes| bytes.len() > 60_000) {
        value.payload = Payload::Object(Object::new(bytes[..60_000].to_vec()));
    }
}

impl CacheBackend for Planted {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        if self.bug == StartsARuntimeForEachCall {
            return Ok(runtime().block_on(async { lock(&self.kept).get(key).cloned() }));
        }
        Ok(lock(&self.kept).get(key).cloned())
    }

    fn set(&self, key: &str, value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
        lock(&self.kept).insert(key.to_owned(), value);
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        lock(&self.kept).remove(key);
        Ok(())
    }

    fn set_multi(&self, mut entries: Vec<Entry>) -> Result<(), BackendError> {
        match self.bug {
            FailsToStoreAKeyTwice if has_repeated(entries.iter().map(|entry| entry.key.as_str())) => {
                return Err(failure("cannot affect a row twice"));
            }
            StoresTheFirstOfARepeatedKey => entries.reverse(),
            CutsLargeValuesOfSetMulti => entries.iter_mut().for_each(|entry| cut(&mut entry.value)),
            LocksKeysInTheOrderOfTheCall => return self.store_locked(entries, true),
            RefusesKeysOfAnotherSetMulti => return self.store_locked(entries, false),
            RefusesDeletionsDuringASetMulti => {
                // Only the lock of the first key is held, so that no call waits for another forever.
                let Some(first) = entries.first().map(|entry| entry.key.clone()) else { return Ok(()) };
                self.begin(&first, true)?;
                thread::sleep(Duration::from_millis(5));
                let outcome = entries
                    .into_iter()
                    .try_for_each(|entry| self.set(&entry.key, entry.value, &entry.options));
                self.end(&[first]);
                return outcome;
            }
            _ => {}
        }
        entries.into_iter().try_for_each(|entry| self.set(&entry.key, entry.value, &entry.options))
    }

    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        match self.bug {
            FailsToDeleteAKeyTwice if has_repeated(keys.iter().copied()) => {
                Err(failure("cannot affect a row twice"))
            }
            RefusesDeletionsDuringASetMulti => {
                // A call of `set_multi` begins meanwhile, also on a busy machine.
                thread::sleep(Duration::from_millis(1));
                if !lock(&self.storing).is_empty() {
                    return Err(failure("database is busy"));
                }
                keys.iter().try_for_each(|key| self.delete(key))
            }
            _ => keys.iter().try_for_each(|key| self.delete(key)),
        }
    }
}

fn setup(bug: Bug) -> Setup {
    let setup = Setup::new(format!("{bug:?}"), move || Ok(Arc::new(Planted::new(bug))));
    match bug {
        LocksKeysInTheOrderOfTheCall => setup.with_time_limit(Duration::from_secs(5)),
        _ => setup,
    }
}

#[test]
fn backend_without_a_bug_passes_every_level() {
    let report = report(&setup(Nothing));
    assert!(report.passed(), "{report}");
}

#[test]
fn planted_bug_is_found_by_its_case_alone() {
    let search = Search { setup, in_all_levels: true, by_these_alone: true, side_by_side: false };
    search.finds(FOUND);
}
