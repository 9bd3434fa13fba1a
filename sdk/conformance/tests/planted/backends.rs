//! Backends with one planted bug each. The suite finds each bug in the case that tests that behavior.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dogpile_conformance::{Setup, report};
use dogpile_sdk::{
    BackendError, CacheBackend, CacheMutex, CachedValue, Capabilities, Entry, ErrorKind, KeyBytes,
    KeyMangler, Metadata, StoreOptions,
};

use super::search::{Found, Search};

/// The bug of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    // store
    TreatsEmptyPayloadsAsMissing,
    KeepsTheFirstValue,
    DeletesEveryKeyWithThatPrefix,
    // multi
    LosesTheLastKeyOnMultiSet,
    ReturnsAnotherKeysValue,
    ReturnsValuesInKeyOrder,
    OmitsAbsentKeys,
    FailsOnAnEmptyRequest,
    // metadata
    RoundsTheCreationTime,
    KeepsTheOldMetadata,
    SetsTheVersionToTwo,
    // mutex
    WaitsWhenItMustNot,
    IgnoresTheDeadline,
    GivesUpBeforeTheDeadline,
    RefusesAPastDeadline,
    IsLostBeforeItIsHeld,
    IsLostWhileItIsHeld,
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
    RefusesKeysAsOther,
    DropsEverythingOnRefusedKeys,
    // concurrency
    WritesAValueInTwoSteps,
    LosesWhatIsSetMeanwhile,
    // containment
    EndsItsLocksWithTheirThread,
    PanicsOnLongKeysWhenDeleting,
    ManglesAtRandom,
}

use Bug::*;

/// Each bug with the name of the case that finds it, and a part of its message.
const FOUND: &[Found<Bug>] = &[
    (TreatsEmptyPayloadsAsMissing, &["empty_payload_is_a_value"], "got no value"),
    (KeepsTheFirstValue, &["setting_again_replaces_the_value"], "5 bytes"),
    (DeletesEveryKeyWithThatPrefix, &["similar_keys_are_distinct"], "got no value"),
    (CutsKeysAtTheirFirstNul, &["unadmitted_key_is_refused_or_kept"], "to return no value"),
    (LosesTheLastKeyOnMultiSet, &["set_multi_values_are_read_by_get"], "got no value"),
    (ReturnsAnotherKeysValue, &["values_are_in_the_order_of_the_keys"], "at index 0"),
    (ReturnsValuesInKeyOrder, &["values_are_in_the_order_of_the_keys"], "at index 0"),
    (OmitsAbsentKeys, &["absent_keys_yield_none"], "as many entries"),
    (FailsOnAnEmptyRequest, &["reading_no_keys_gives_no_values"], "got an error (Other): no keys"),
    (RoundsTheCreationTime, &["creation_time_keeps_every_bit"], "1700000000.0"),
    (KeepsTheOldMetadata, &["setting_again_replaces_the_metadata"], "version 3"),
    (SetsTheVersionToTwo, &["version_is_kept"], "version 1"),
    (WaitsWhenItMustNot, &["held_mutex_is_refused_without_waiting"], "it still runs"),
    (IgnoresTheDeadline, &["acquire_until_gives_up_at_its_deadline"], "it still runs"),
    (GivesUpBeforeTheDeadline, &["acquire_until_gives_up_at_its_deadline"], "before it"),
    (RefusesAPastDeadline, &["acquire_until_past_deadline_tries_once"], "to return true, got false"),
    (IsLostBeforeItIsHeld, &["held_mutex_is_not_lost"], "before it was acquired"),
    (IsLostWhileItIsHeld, &["held_mutex_is_not_lost"], "while it is held"),
    (IsNotExclusive, &["two_mutexes_of_one_key_exclude_each_other"], "while its twin is held"),
    (HasOneMutexForAllKeys, &["mutexes_of_two_keys_are_independent"], "while only another key's is held"),
    (UnlocksAnothersKey, &["mutexes_of_two_keys_are_independent"], "after another key's release"),
    (ForgetsTheLockWhenTheValueIsSet, &["mutex_leaves_the_value_alone"], "after its key was set"),
    (CutsKeysShortOfItsLimit, &["longest_admitted_key_is_kept"], "got an object of 99 bytes"),
    (CutsKeysAtItsLimit, &["unadmitted_key_is_refused_or_kept"], "to return no value"),
    (PanicsOnAnEmptyKey, &["empty_key_is_refused_or_kept"], "expected no panic, got: empty"),
    (RefusesKeysAsOther, &["unadmitted_key_is_refused_or_kept"], "got Other"),
    (DropsEverythingOnRefusedKeys, &["unadmitted_key_is_refused_or_kept"], "got no value"),
    (WritesAValueInTwoSteps, &["value_is_never_torn"], "whole, got"),
    (LosesWhatIsSetMeanwhile, &["threads_on_their_own_keys_lose_nothing"], "got no value"),
    (EndsItsLocksWithTheirThread, &["panicking_thread_leaves_backend_usable"], "to be still held"),
    (PanicsOnLongKeysWhenDeleting, &["deleting_never_panics"], "not to panic, it did: too long"),
    (ManglesAtRandom, &["key_mangler_never_panics"], "one mangled key for one key"),
];

const LIMIT: usize = 100;

/// A backend with the key rules of memcached, and with mutexes.
#[derive(Debug)]
struct Planted {
    bug: Bug,
    kept: Mutex<BTreeMap<String, CachedValue>>,
    held: Arc<Held>,
}

fn limits() -> Capabilities {
    Capabilities::default().with_key_limit(LIMIT).with_key_bytes(KeyBytes::NoWhitespace)
}

impl Planted {
    fn new(bug: Bug) -> Self {
        Planted { bug, kept: Mutex::default(), held: Arc::default() }
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<String, CachedValue>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the key under which `key` is stored.
    fn stored_under<'a>(&self, key: &'a str) -> Result<&'a str, BackendError> {
        let cut = |length: usize| key.get(..length).unwrap_or(key);
        match self.bug {
            PanicsOnAnEmptyKey if key.is_empty() => panic!("empty key"),
            CutsKeysAtItsLimit => return Ok(cut(LIMIT)),
            CutsKeysShortOfItsLimit if limits().admits_key(key) => return Ok(cut(LIMIT - 1)),
            CutsKeysAtTheirFirstNul if key.contains('\0') => return Ok(key.split('\0').next().unwrap()),
            _ if limits().admits_key(key) => return Ok(key),
            DropsEverythingOnRefusedKeys => self.kept().clear(),
            _ => {}
        }
        let kind = if self.bug == RefusesKeysAsOther { ErrorKind::Other } else { ErrorKind::InvalidKey };
        Err(BackendError::new(kind, "no such keys"))
    }

    fn changed(&self, key: &str, mut value: CachedValue) -> CachedValue {
        let metadata = &mut value.metadata;
        match self.bug {
            RoundsTheCreationTime => {
                let seconds = metadata.creation_time.as_seconds().round();
                metadata.creation_time = dogpile_sdk::CreationTime::from_seconds(seconds);
            }
            SetsTheVersionToTwo => *metadata = Metadata::new(metadata.creation_time),
            KeepsTheOldMetadata => {
                if let Some(old) = self.kept().get(key) {
                    *metadata = old.metadata.clone();
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
        Ok(found.filter(|value| self.bug != TreatsEmptyPayloadsAsMissing || !is_empty(value)))
    }

    fn set(&self, key: &str, value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
        let key = self.stored_under(key)?;
        let value = self.changed(key, value);
        match self.bug {
            KeepsTheFirstValue if self.kept().contains_key(key) => return Ok(()),
            ForgetsTheLockWhenTheValueIsSet => drop(self.held.keys().remove(key)),
            WritesAValueInTwoSteps => {
                let new = || value.clone();
                self.kept().entry(key.to_owned()).or_insert_with(new).payload = new().payload;
                thread::sleep(Duration::from_millis(1));
                self.kept().entry(key.to_owned()).or_insert_with(new).metadata = value.metadata.clone();
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
        if self.bug == DeletesEveryKeyWithThatPrefix {
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
            ReturnsAnotherKeysValue if keys.len() > 1 => keys.rotate_left(1),
            ReturnsValuesInKeyOrder => keys.sort_unstable(),
            _ => {}
        }
        let mut found = keys.iter().map(|key| self.get(key)).collect::<Result<Vec<_>, _>>()?;
        if self.bug == OmitsAbsentKeys {
            found.retain(Option::is_some);
        }
        Ok(found)
    }

    fn set_multi(&self, mut entries: Vec<Entry>) -> Result<(), BackendError> {
        if self.bug == LosesTheLastKeyOnMultiSet {
            entries.pop();
        }
        entries.into_iter().try_for_each(|Entry { key, value, options, .. }| self.set(&key, value, &options))
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        let key = if self.bug == HasOneMutexForAllKeys { "all" } else { key };
        let (key, held) = (key.to_owned(), Arc::clone(&self.held));
        Some(Arc::new(KeyMutex { bug: self.bug, key, held, is_ours: AtomicBool::new(false) }))
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
    /// Whether this object holds the mutex.
    is_ours: AtomicBool,
}

/// Unlocks a key when it is dropped.
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
    fn try_acquire(&self) -> Result<bool, BackendError> {
        match self.bug {
            WaitsWhenItMustNot => self.acquire_until(Instant::now() + Duration::from_secs(60)),
            _ => self.acquire_until(Instant::now()),
        }
    }

    fn acquire_until(&self, deadline: Instant) -> Result<bool, BackendError> {
        let deadline = match self.bug {
            IgnoresTheDeadline => Instant::now() + Duration::from_secs(60),
            GivesUpBeforeTheDeadline => deadline - Duration::from_millis(50),
            RefusesAPastDeadline if deadline <= Instant::now() => return Ok(false),
            _ => deadline,
        };
        let mut keys = self.held.keys();
        while keys.contains(&self.key) && self.bug != IsNotExclusive {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            keys = self.held.released.wait_timeout(keys, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        keys.insert(self.key.clone());
        self.is_ours.store(true, Ordering::Relaxed);
        if self.bug == EndsItsLocksWithTheirThread {
            let guard = EndsWithItsThread(Arc::clone(&self.held), self.key.clone());
            OF_THIS_THREAD.with_borrow_mut(|guards| guards.push(guard));
        }
        Ok(true)
    }

    fn release(&self) -> Result<(), BackendError> {
        let mut keys = self.held.keys();
        if !self.is_ours.swap(false, Ordering::Relaxed) || !keys.remove(&self.key) {
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

    fn is_lost(&self) -> bool {
        match self.bug {
            IsLostBeforeItIsHeld => !self.held.keys().contains(&self.key),
            IsLostWhileItIsHeld => self.held.keys().contains(&self.key),
            _ => false,
        }
    }
}

fn setup(bug: Bug) -> Setup {
    let setup = Setup::new(format!("{bug:?}"), move || Ok(Arc::new(Planted::new(bug))));
    match bug {
        WaitsWhenItMustNot | IgnoresTheDeadline => setup.with_time_limit(Duration::from_secs(1)),
        _ => setup,
    }
}

#[test]
fn backend_without_a_bug_passes_every_level() {
    let report = report(&setup(Bug::None));
    assert!(report.passed(), "{report}");
}

#[test]
fn planted_bug_is_found_by_its_case() {
    let search = Search { setup, in_all_levels: false, by_these_alone: false, side_by_side: true };
    search.finds(FOUND);
}
