//! Backends that are right but for one planted bug: the suite finds each, in the case that is about it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use dogpile_conformance::{Level, Setup, report, report_of};
use dogpile_sdk::{
    BackendError, CacheBackend, CacheMutex, CachedValue, Capabilities, ErrorKind, KeyBytes, KeyMangler,
    Metadata,
};

/// What is wrong with a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    // store
    TakesAnEmptyPayloadForNone,
    KeepsTheFirstValue,
    DeletesEveryKeyThatBeginsSo,
    // multi
    LosesTheLastKeyOnMultiSet,
    AnswersTheNeighboursValue,
    AnswersInTheOrderOfTheKeys,
    LeavesAbsentKeysOut,
    FailsOnAnEmptyRequest,
    // metadata
    RoundsTheCreationTime,
    KeepsTheOldMetadata,
    PutsTheVersionAtTwo,
    // mutex
    IgnoresThatNobodyWantsToWait,
    IsNotExclusive,
    HasOneMutexForAllKeys,
    UnlocksAnothersKey,
    ForgetsTheLockWhenTheValueIsSet,
    // capabilities
    CutsKeysShortOfItsLimit,
    // bad input
    CutsKeysAtItsLimit,
    CutsKeysAtTheirFirstNul,
    PanicsOnAnEmptyKey,
    SaysOtherForAKeyThatItRefuses,
    DropsEverythingOnAKeyThatItRefuses,
    // concurrency
    WritesAValueInTwoSteps,
    LosesWhatIsSetMeanwhile,
    // containment
    EndsItsLocksWithTheirThread,
    PanicsOnLongKeysWhenDeleting,
    ManglesAtRandom,
}

use Bug::*;

/// Each bug, and the case that finds it: its level, its name, and some of what it says.
const FOUND: &[(Bug, Level, &str, &str)] = &[
    (TakesAnEmptyPayloadForNone, Level::Store, "an_empty_payload_is_a_value", "got no value"),
    (KeepsTheFirstValue, Level::Store, "setting_again_replaces_the_value", "5 bytes"),
    (DeletesEveryKeyThatBeginsSo, Level::Store, "keys_that_nearly_agree_are_distinct", "got no value"),
    (
        CutsKeysAtTheirFirstNul,
        Level::BadInput,
        "a_key_that_is_not_admitted_is_refused_or_kept",
        "to answer no value",
    ),
    (LosesTheLastKeyOnMultiSet, Level::Multi, "what_is_set_together_is_read_one_by_one", "got no value"),
    (AnswersTheNeighboursValue, Level::Multi, "values_come_back_in_the_order_asked", "at place 0"),
    (AnswersInTheOrderOfTheKeys, Level::Multi, "values_come_back_in_the_order_asked", "at place 0"),
    (LeavesAbsentKeysOut, Level::Multi, "absent_keys_leave_holes", "answers"),
    (FailsOnAnEmptyRequest, Level::Multi, "reading_no_keys_gives_no_values", "got an error (Other): no keys"),
    (RoundsTheCreationTime, Level::Metadata, "a_creation_time_comes_back_to_the_last_bit", "1700000000.0"),
    (KeepsTheOldMetadata, Level::Metadata, "setting_again_replaces_the_metadata", "version 3"),
    (PutsTheVersionAtTwo, Level::Metadata, "a_value_of_another_version_comes_back_as_it_was", "version 1"),
    (IgnoresThatNobodyWantsToWait, Level::Mutex, "a_held_mutex_is_refused_without_waiting", "it still runs"),
    (IsNotExclusive, Level::Mutex, "a_mutex_fetched_twice_is_one", "while its twin is held"),
    (
        HasOneMutexForAllKeys,
        Level::Mutex,
        "mutexes_of_other_keys_are_free",
        "while only another key's is held",
    ),
    (UnlocksAnothersKey, Level::Mutex, "mutexes_of_other_keys_are_free", "after another key's release"),
    (
        ForgetsTheLockWhenTheValueIsSet,
        Level::Mutex,
        "a_mutex_leaves_the_value_alone",
        "after its key was set",
    ),
    (
        CutsKeysShortOfItsLimit,
        Level::Capabilities,
        "the_longest_key_admitted_is_kept",
        "got an object of 99 bytes",
    ),
    (
        CutsKeysAtItsLimit,
        Level::BadInput,
        "a_key_that_is_not_admitted_is_refused_or_kept",
        "to answer no value",
    ),
    (PanicsOnAnEmptyKey, Level::BadInput, "an_empty_key_is_refused_or_kept", "expected no panic, got: empty"),
    (
        SaysOtherForAKeyThatItRefuses,
        Level::BadInput,
        "a_key_that_is_not_admitted_is_refused_or_kept",
        "got Other",
    ),
    (
        DropsEverythingOnAKeyThatItRefuses,
        Level::BadInput,
        "a_key_that_is_not_admitted_is_refused_or_kept",
        "got no value",
    ),
    (WritesAValueInTwoSteps, Level::Concurrency, "a_value_is_never_torn", "whole, got"),
    (LosesWhatIsSetMeanwhile, Level::Concurrency, "threads_on_their_own_keys_lose_nothing", "got no value"),
    (
        EndsItsLocksWithTheirThread,
        Level::Containment,
        "a_thread_that_panics_leaves_the_backend_usable",
        "to be held still",
    ),
    (
        PanicsOnLongKeysWhenDeleting,
        Level::Containment,
        "deleting_never_panics",
        "not to panic, it did: too long",
    ),
    (ManglesAtRandom, Level::Containment, "a_key_mangler_never_panics", "one mangled key for one key"),
];

const LIMIT: usize = 100;

/// Keeps values as they are, under keys as memcached has them, and has mutexes.
#[derive(Debug)]
struct Planted {
    bug: Bug,
    kept: Mutex<BTreeMap<String, CachedValue>>,
    held: Arc<Held>,
}

fn limits() -> Capabilities {
    Capabilities::default().with_key_limit(LIMIT).with_key_bytes(KeyBytes::NoBlanks)
}

impl Planted {
    fn new(bug: Bug) -> Self {
        Planted { bug, kept: Mutex::default(), held: Arc::default() }
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<String, CachedValue>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `key` is kept under.
    fn stored_under<'a>(&self, key: &'a str) -> Result<&'a str, BackendError> {
        let cut = |length: usize| key.get(..length).unwrap_or(key);
        match self.bug {
            PanicsOnAnEmptyKey if key.is_empty() => panic!("empty key"),
            CutsKeysAtItsLimit => return Ok(cut(LIMIT)),
            CutsKeysShortOfItsLimit if limits().admits_key(key) => return Ok(cut(LIMIT - 1)),
            CutsKeysAtTheirFirstNul if key.contains('\0') => return Ok(key.split('\0').next().unwrap()),
            _ if limits().admits_key(key) => return Ok(key),
            DropsEverythingOnAKeyThatItRefuses => self.kept().clear(),
            _ => {}
        }
        let kind =
            if self.bug == SaysOtherForAKeyThatItRefuses { ErrorKind::Other } else { ErrorKind::InvalidKey };
        Err(BackendError::new(kind, "no such keys"))
    }

    fn changed(&self, key: &str, mut value: CachedValue) -> CachedValue {
        let metadata = &mut value.metadata;
        match self.bug {
            RoundsTheCreationTime => {
                let seconds = metadata.creation_time.as_seconds().round();
                metadata.creation_time = dogpile_sdk::CreationTime::from_seconds(seconds);
            }
            PutsTheVersionAtTwo => *metadata = Metadata::new(metadata.creation_time),
            KeepsTheOldMetadata => {
                if let Some(old) = self.kept().get(key) {
                    *metadata = old.metadata;
                }
            }
            _ => {}
        }
        value
    }
}

impl CacheBackend for Planted {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        let key = self.stored_under(key)?;
        let found = self.kept().get(key).cloned();
        let is_empty = |value: &CachedValue| match &value.payload {
            dogpile_sdk::Payload::Object(object) => {
                object.downcast_ref::<Vec<u8>>().is_some_and(Vec::is_empty)
            }
            dogpile_sdk::Payload::Bytes(bytes) => bytes.is_empty(),
        };
        Ok(found.filter(|value| self.bug != TakesAnEmptyPayloadForNone || !is_empty(value)))
    }

    fn set(&self, key: &str, value: CachedValue) -> Result<(), BackendError> {
        let key = self.stored_under(key)?;
        let value = self.changed(key, value);
        match self.bug {
            KeepsTheFirstValue if self.kept().contains_key(key) => return Ok(()),
            ForgetsTheLockWhenTheValueIsSet => drop(self.held.keys().remove(key)),
            WritesAValueInTwoSteps => {
                let new = || value.clone();
                self.kept().entry(key.to_owned()).or_insert_with(new).payload = new().payload;
                thread::sleep(Duration::from_millis(1));
                self.kept().entry(key.to_owned()).or_insert_with(new).metadata = value.metadata;
                return Ok(());
            }
            LosesWhatIsSetMeanwhile => {
                let mut all = self.kept().clone();
                thread::sleep(Duration::from_millis(1));
                all.insert(key.to_owned(), value);
                *self.kept() = all;
                return Ok(());
            }
            _ => {}
        }
        self.kept().insert(key.to_owned(), value);
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        assert!(self.bug != PanicsOnLongKeysWhenDeleting || key.len() < 1000, "too long");
        let key = self.stored_under(key)?;
        if self.bug == DeletesEveryKeyThatBeginsSo {
            self.kept().retain(|kept, _| !kept.starts_with(key));
        }
        self.kept().remove(key);
        Ok(())
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        let mut keys = keys.to_vec();
        match self.bug {
            FailsOnAnEmptyRequest if keys.is_empty() => {
                return Err(BackendError::new(ErrorKind::Other, "no keys"));
            }
            AnswersTheNeighboursValue if keys.len() > 1 => keys.rotate_left(1),
            AnswersInTheOrderOfTheKeys => keys.sort_unstable(),
            _ => {}
        }
        let mut found = keys.iter().map(|key| self.get(key)).collect::<Result<Vec<_>, _>>()?;
        if self.bug == LeavesAbsentKeysOut {
            found.retain(Option::is_some);
        }
        Ok(found)
    }

    fn set_multi(&self, mut entries: Vec<(String, CachedValue)>) -> Result<(), BackendError> {
        if self.bug == LosesTheLastKeyOnMultiSet {
            entries.pop();
        }
        entries.into_iter().try_for_each(|(key, value)| self.set(&key, value))
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        let key = if self.bug == HasOneMutexForAllKeys { "all" } else { key };
        Some(Arc::new(KeyMutex { bug: self.bug, key: key.to_owned(), held: Arc::clone(&self.held) }))
    }

    fn key_mangler(&self) -> Option<KeyMangler> {
        let next = AtomicU64::new(0);
        let random = self.bug == ManglesAtRandom;
        Some(KeyMangler::new(move |key| match random {
            true => format!("{key}{}", next.fetch_add(1, Ordering::Relaxed)),
            false => format!("m:{key}"),
        }))
    }

    fn capabilities(&self) -> Capabilities {
        limits()
    }
}

#[derive(Debug, Default)]
struct Held {
    keys: Mutex<BTreeSet<String>>,
    released: Condvar,
}

impl Held {
    fn keys(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct KeyMutex {
    bug: Bug,
    key: String,
    held: Arc<Held>,
}

/// Gives a key free when it is dropped.
struct EndsWithItsThread(Arc<Held>, String);

impl Drop for EndsWithItsThread {
    fn drop(&mut self) {
        self.0.keys().remove(&self.1);
    }
}

thread_local! {
    static OF_THIS_THREAD: RefCell<Vec<EndsWithItsThread>> = const { RefCell::new(Vec::new()) };
}

impl CacheMutex for KeyMutex {
    fn acquire(&self, wait: bool) -> Result<bool, BackendError> {
        let mut keys = self.held.keys();
        while keys.contains(&self.key) && self.bug != IsNotExclusive {
            if !wait && self.bug != IgnoresThatNobodyWantsToWait {
                return Ok(false);
            }
            keys = self.held.released.wait(keys).unwrap_or_else(PoisonError::into_inner);
        }
        keys.insert(self.key.clone());
        if self.bug == EndsItsLocksWithTheirThread {
            let guard = EndsWithItsThread(Arc::clone(&self.held), self.key.clone());
            OF_THIS_THREAD.with_borrow_mut(|guards| guards.push(guard));
        }
        Ok(true)
    }

    fn release(&self) -> Result<(), BackendError> {
        let mut keys = self.held.keys();
        if !keys.remove(&self.key) {
            return Err(BackendError::new(ErrorKind::NotHeld, "not held"));
        }
        if self.bug == UnlocksAnothersKey {
            keys.clear();
        }
        self.held.released.notify_all();
        Ok(())
    }

    fn locked(&self) -> Result<bool, BackendError> {
        Ok(self.held.keys().contains(&self.key))
    }
}

fn setup(bug: Bug) -> Setup {
    let setup = Setup::new(format!("{bug:?}"), move || Ok(Arc::new(Planted::new(bug))));
    match bug {
        IgnoresThatNobodyWantsToWait => setup.with_time_limit(Duration::from_secs(1)),
        _ => setup,
    }
}

#[test]
fn without_a_bug_every_level_passes() {
    let report = report(&setup(Bug::None));
    assert!(report.passed(), "{report}");
}

#[test]
fn each_planted_bug_is_found_by_the_case_that_is_about_it() {
    let mut missed = Vec::new();
    for (bug, level, case, says) in FOUND {
        let report = report_of(*level, &setup(*bug));
        let mut failures = report.failures();
        if !failures.any(|(name, said)| name == *case && said.contains(says)) {
            missed.push(format!("{bug:?} should have failed {case}, saying {says:?}; instead:\n{report}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
