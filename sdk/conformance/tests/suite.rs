//! The suite passes on correct backends. On broken ones, the right case fails.

#![allow(clippy::unwrap_used)] // Clippy does not recognize the backends below as test code.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use dogpile_conformance::{Level, Reference, Setup, Stop, Verdict, check, report};
use dogpile_sdk::{
    BackendError, Bytes, BytesBackend, CacheBackend, CacheMutex, CachedValue, Capabilities, Entry, Enveloped,
    ErrorKind, KeyBytes, Payload, ProxyBackend, StoreOptions, proxy,
};

/// The fault of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    LosesAKeyOnMultiSet,
    AnswersTheNeighboursValue,
    SortsTheAnswers,
    RoundsCreationTimes,
    FailsToDeleteAbsentKeys,
    FoldsCase,
    CutsLargeValues,
    MutexIsNotExclusive,
    MutexIsReleasedByAnybody,
    MutexIsNeverReleased,
    Panics,
}

/// A backend of objects, without mutexes.
#[derive(Debug)]
struct Objects {
    fault: Fault,
    kept: Mutex<HashMap<String, CachedValue>>,
}

impl CacheBackend for Objects {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        assert_ne!(self.fault, Fault::Panics, "planted");
        Ok(self.kept.lock().unwrap().get(&self.stored_under(key)).cloned())
    }

    fn set(&self, key: &str, mut value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
        if self.fault == Fault::RoundsCreationTimes {
            let seconds = value.metadata.creation_time.as_seconds();
            value.metadata.creation_time = dogpile_sdk::CreationTime::from_seconds(seconds.round());
        }
        self.kept.lock().unwrap().insert(self.stored_under(key), value);
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        let removed = self.kept.lock().unwrap().remove(&self.stored_under(key));
        if self.fault == Fault::FailsToDeleteAbsentKeys && removed.is_none() {
            return Err(BackendError::new(ErrorKind::Other, "no such key").during("delete").for_key(key));
        }
        Ok(())
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        let mut keys = keys.to_vec();
        match self.fault {
            Fault::AnswersTheNeighboursValue if keys.len() > 100 => keys.rotate_left(1),
            Fault::SortsTheAnswers => keys.sort_unstable(),
            _ => {}
        }
        keys.iter().map(|key| self.get(key)).collect()
    }

    fn set_multi(&self, mut entries: Vec<Entry>) -> Result<(), BackendError> {
        if self.fault == Fault::LosesAKeyOnMultiSet {
            entries.pop();
        }
        entries.into_iter().try_for_each(|Entry { key, value, options, .. }| self.set(&key, value, &options))
    }
}

impl Objects {
    fn stored_under(&self, key: &str) -> String {
        if self.fault == Fault::FoldsCase { key.to_lowercase() } else { key.to_owned() }
    }
}

/// A backend of bytes that has mutexes and admits the keys of memcached.
#[derive(Debug)]
struct ByteStore {
    fault: Fault,
    kept: Mutex<HashMap<String, Vec<u8>>>,
    held: Arc<Held>,
}

#[derive(Debug, Default)]
struct Held {
    keys: Mutex<Vec<String>>,
    released: Condvar,
}

fn limits() -> Capabilities {
    Capabilities::default()
        .with_key_limit(100)
        .with_key_bytes(KeyBytes::NoWhitespace)
        .with_value_limit(1 << 20)
}

impl BytesBackend for ByteStore {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BackendError> {
        Ok(self.kept.lock().unwrap().get(key).cloned())
    }

    fn set(&self, key: &str, value: &[u8], _options: &StoreOptions) -> Result<(), BackendError> {
        let mut value = value.to_vec();
        if self.fault == Fault::CutsLargeValues {
            value.truncate(64 << 10);
        } else if value.len() as u64 > 1 << 20 {
            return Err(BackendError::new(ErrorKind::InvalidValue, "too large"));
        }
        if !limits().admits_key(key) {
            return Err(BackendError::new(ErrorKind::InvalidKey, "no such keys"));
        }
        self.kept.lock().unwrap().insert(key.to_owned(), value);
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.kept.lock().unwrap().remove(key);
        Ok(())
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        let (fault, key, held) = (self.fault, key.to_owned(), Arc::clone(&self.held));
        Some(Arc::new(KeyMutex { fault, key, held, is_ours: AtomicBool::new(false) }))
    }

    fn capabilities(&self) -> Capabilities {
        limits()
    }
}

#[derive(Debug)]
struct KeyMutex {
    fault: Fault,
    key: String,
    held: Arc<Held>,
    /// Whether this object holds the mutex.
    is_ours: AtomicBool,
}

impl CacheMutex for KeyMutex {
    fn try_acquire(&self) -> Result<bool, BackendError> {
        self.acquire_until(Instant::now())
    }

    fn acquire_until(&self, deadline: Instant) -> Result<bool, BackendError> {
        let mut keys = self.held.keys.lock().unwrap();
        while keys.contains(&self.key) && self.fault != Fault::MutexIsNotExclusive {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            keys = self.held.released.wait_timeout(keys, left).unwrap().0;
        }
        keys.push(self.key.clone());
        self.is_ours.store(true, Ordering::Relaxed);
        Ok(true)
    }

    fn release(&self) -> Result<(), BackendError> {
        let mut keys = self.held.keys.lock().unwrap();
        let is_ours = self.is_ours.swap(false, Ordering::Relaxed);
        let held = keys.iter().position(|key| *key == self.key).filter(|_| is_ours);
        match held {
            _ if self.fault == Fault::MutexIsNeverReleased => {}
            Some(place) => drop(keys.remove(place)),
            None if self.fault == Fault::MutexIsReleasedByAnybody => {}
            None => return Err(BackendError::new(ErrorKind::NotHeld, "not held")),
        }
        self.held.released.notify_all();
        Ok(())
    }

    fn locked(&self) -> Result<bool, BackendError> {
        Ok(self.held.keys.lock().unwrap().contains(&self.key))
    }
}

/// A backend that stores nothing, according to its capabilities.
#[derive(Debug)]
struct Nothing(Reference);

impl ProxyBackend for Nothing {
    fn proxied(&self) -> &dyn CacheBackend {
        &self.0
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities().without_storage()
    }
}

fn objects(fault: Fault) -> Setup {
    Setup::new("objects", move || Ok(Arc::new(Objects { fault, kept: Mutex::default() })))
}

fn byte_store(fault: Fault) -> Setup {
    let build = move || ByteStore { fault, kept: Mutex::default(), held: Arc::default() };
    let setup = Setup::new("byte store", move || Ok(Arc::new(Enveloped::new(build()))));
    setup.with_time_limit(Duration::from_millis(if fault == Fault::MutexIsNeverReleased {
        300
    } else {
        60_000
    }))
}

/// Returns the names of the failed cases, each with its message.
fn failures(setup: &Setup) -> HashMap<&'static str, String> {
    let outcomes = check(setup).into_iter();
    let failed = outcomes.filter_map(|(name, outcome)| match outcome {
        Err(Stop::Failed(message)) => Some((name, message)),
        Ok(()) | Err(Stop::Skipped(_)) => None,
    });
    failed.collect()
}

fn skipped(setup: &Setup) -> Vec<&'static str> {
    let outcomes = check(setup).into_iter();
    let skipped = outcomes.filter(|(_, outcome)| matches!(outcome, Err(Stop::Skipped(_))));
    skipped.map(|(name, _)| name).collect()
}

#[track_caller]
fn assert_caught(setup: &Setup, case: &str, says: &str) {
    let failures = failures(setup);
    let message = failures.get(case).unwrap_or_else(|| panic!("{case} should have failed, not {failures:?}"));
    assert!(message.contains(says), "{message}");
}

#[test]
fn correct_backends_pass() {
    assert_eq!(failures(&objects(Fault::None)), HashMap::new());
    assert_eq!(failures(&byte_store(Fault::None)), HashMap::new());
}

#[test]
fn cases_of_missing_features_are_skipped() {
    let without_mutex = skipped(&objects(Fault::None));
    assert!(without_mutex.contains(&"mutex_excludes_threads"), "{without_mutex:?}");
    assert!(without_mutex.contains(&"unadmitted_key_is_refused_or_kept"), "{without_mutex:?}");
    assert!(without_mutex.contains(&"mutex_of_killed_holder_becomes_free"), "{without_mutex:?}");
    assert_eq!(
        without_mutex.len(),
        16 + 8 + 9 + 3 + 5 + 3 + 4 + 2 + 29 + 8 + 5,
        "mutex, lease, lease_store, expiry, fencing, capabilities, bad_input, containment, asynchronous, frozen, and \
         proxy: {without_mutex:?}"
    );
    let with_mutex = skipped(&byte_store(Fault::None));
    assert_eq!(
        with_mutex[..2],
        ["payload_of_1_mib_is_kept_whole", "payload_of_more_than_2_mib_is_kept_whole"]
    );
    assert_eq!(
        with_mutex.len(),
        3 + 8 + 9 + 8 + 1 + 2 + 29 + 8 + 5,
        "including the levels lease, lease_store, expiry, fencing, asynchronous, frozen, and proxy: {with_mutex:?}"
    );
}

#[test]
fn levels_are_reported_separately() {
    let report = report(&objects(Fault::LosesAKeyOnMultiSet));
    let verdict = |level| report.levels.iter().find(|found| found.level == level).unwrap().verdict();
    assert_eq!(report.levels.len(), Level::ALL.len());
    assert_eq!(verdict(Level::Store), Verdict::Passed);
    assert_eq!(verdict(Level::Multi), Verdict::Failed);
    assert_eq!(verdict(Level::Mutex), Verdict::Skipped("the backend has no mutex of its own".to_owned()));
    assert_eq!(verdict(Level::Lease), Verdict::Skipped("no lease is claimed (`Setup::leased`)".to_owned()));
    assert!(!report.passed());
    let table = report.to_string();
    assert!(table.contains("  mutex        skipped: the backend has no mutex of its own\n"), "{table}");
    assert!(table.contains("  multi::set_multi_values_are_read_by_get: expected get of key"), "{table}");
}

#[test]
fn key_lost_on_set_multi_fails() {
    let setup = objects(Fault::LosesAKeyOnMultiSet);
    assert_caught(
        &setup,
        "set_multi_values_are_read_by_get",
        "made at 1700000000.123456s, version 2, got no value",
    );
}

#[test]
fn value_of_another_key_fails() {
    let setup = objects(Fault::AnswersTheNeighboursValue);
    assert_caught(
        &setup,
        "five_hundred_keys_get_their_own_values",
        "expected get_multi of 500 keys, at index 0",
    );
    assert_eq!(failures(&setup).len(), 3, "only the large requests");
}

#[test]
fn values_in_another_order_fail() {
    assert_caught(&objects(Fault::SortsTheAnswers), "values_are_in_the_order_of_the_keys", "at index 0");
}

#[test]
fn rounded_creation_time_fails() {
    let setup = objects(Fault::RoundsCreationTimes);
    assert_caught(&setup, "creation_time_keeps_every_bit", "expected the creation time 1700000000.1234567");
}

#[test]
fn error_for_a_valid_call_fails() {
    let setup = objects(Fault::FailsToDeleteAbsentKeys);
    assert_caught(&setup, "deleting_an_absent_key_succeeds", "expected delete of key \"dogpile-");
    assert_caught(&setup, "deleting_an_absent_key_succeeds", "to succeed, got an error (Other): no such key");
}

#[test]
fn case_insensitive_keys_fail() {
    assert_caught(&objects(Fault::FoldsCase), "similar_keys_are_distinct", "expected get of key");
}

#[test]
fn truncated_value_fails() {
    let setup = byte_store(Fault::CutsLargeValues);
    assert_caught(&setup, "payload_of_64_kib_and_a_byte_is_kept_whole", "to return 65537 bytes");
    assert_caught(&setup, "oversized_value_is_never_truncated", "whole or not at all, got 655");
}

#[test]
fn mutex_that_is_not_exclusive_fails() {
    let setup = byte_store(Fault::MutexIsNotExclusive);
    assert_caught(&setup, "mutex_excludes_threads", "two held it together");
    assert_caught(&setup, "held_mutex_is_refused_without_waiting", "to return false, got true");
}

#[test]
fn release_of_a_free_mutex_without_error_fails() {
    let setup = byte_store(Fault::MutexIsReleasedByAnybody);
    assert_caught(&setup, "releasing_a_mutex_that_is_not_held_fails", "of kind NotHeld, got None");
}

#[test]
fn case_beyond_its_time_limit_fails() {
    let setup = byte_store(Fault::MutexIsNeverReleased);
    assert_caught(&setup, "waiting_thread_acquires_released_mutex", "expected the case to end within 300ms");
}

#[test]
fn panic_fails_the_case() {
    assert_caught(&objects(Fault::Panics), "reading_an_absent_key_is_a_miss", "expected no panic, got:");
}

#[test]
fn backend_that_cannot_be_built_fails_every_case() {
    let setup = Setup::new("gone", || Err(BackendError::new(ErrorKind::Unavailable, "connection refused")));
    let says = "expected setup \"gone\" to build its backend, got an error (Unavailable): connection refused";
    assert_caught(&setup, "stored_value_is_read_back", says);
    let unclaimed = [Level::Lease, Level::LeaseStore, Level::Frozen, Level::Proxy];
    let claimed = dogpile_conformance::cases().iter().filter(|case| !unclaimed.contains(&case.level));
    assert_eq!(failures(&setup).len(), claimed.count());
}

#[test]
fn backend_that_stores_nothing_is_refused() {
    let outcomes = check(&Setup::new("nothing", || Ok(proxy(Nothing(Reference::new())))));
    let [(name, Err(Stop::Failed(message)))] = &*outcomes else { panic!("{outcomes:?}") };
    assert_eq!(*name, "backend_stores_values");
    assert!(message.contains("so leave it out"), "{message}");
}

#[test]
fn ignored_setup_is_listed() {
    let trials =
        dogpile_conformance::trials([objects(Fault::None), objects(Fault::Panics).ignored("no server")]);
    assert_eq!(trials.len(), 2 * dogpile_conformance::cases().len());
    assert_eq!(trials[0].name(), "objects::store::reading_an_absent_key_is_a_miss");
}

#[test]
fn values_have_the_form_that_the_backend_stores() {
    let setup = objects(Fault::None);
    let value = setup.value(&*setup.backend().unwrap(), b"x");
    assert!(matches!(value.payload, Payload::Object(_)));
    let setup = byte_store(Fault::None);
    let value = setup.value(&*setup.backend().unwrap(), b"x");
    assert_eq!(value.payload, Payload::Bytes(Bytes::from(b"x".to_vec())));
}
