//! Backends that break one promise each, of those that are easily forgotten. The case that tests the promise finds it.

#[path = "forms/mutex.rs"]
mod mutex;

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dogpile_conformance::{Setup, report};
use dogpile_sdk::{
    BackendError, Bytes, CacheBackend, CacheMutex, CachedValue, Capabilities, Entry, ErrorKind, KeyMangler,
    Payload, StoreOptions,
};

use self::mutex::{KeyMutex, Locks};
use super::search::{Found, Search};

/// The bug of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    Nothing,
    // values
    LosesMoreThanAMebibyte,
    LosesLessThanItsLimit,
    TrimsKeys,
    // forms of a call
    LendsWithoutReporting,
    LendsTwice,
    LendsUnderItsLock,
    SwallowsPanicsOfVisitors,
    LendsWhatItRemembers,
    RemembersManyValues,
    MissesEmptyValuesAmongMany,
    FoldsCaseAmongMany,
    StopsStoringSilently,
    StopsDeletingSilently,
    // lifetimes
    RoundsLifetimesDown,
    TakesLongLifetimesForDates,
    ReturnsExpiredValuesAmongMany,
    // mutexes
    ReleasesForAnybody,
    EndsItsMutexesWithItself,
    KeepsLocksAmongValues,
    // capabilities
    ChangesItsCapabilities,
    ReportsTheScopeOfAnotherStore,
    ManglesToLowerCase,
}

use Bug::*;

/// Each bug with the name of the case that finds it, and a part of its message.
const FOUND: &[Found<Bug>] = &[
    (LosesMoreThanAMebibyte, &["payload_of_more_than_2_mib_is_kept_whole"], "got no value"),
    (LosesLessThanItsLimit, &["largest_admitted_value_is_kept"], "within the limit of 4194304"),
    (TrimsKeys, &["similar_keys_are_distinct"], "expected get of key"),
    (LendsWithoutReporting, &["lent_value_is_the_stored_one"], "to return true, got false"),
    (LendsTwice, &["lent_value_is_the_stored_one"], "to call its visitor once, it did 2 times"),
    (LendsUnderItsLock, &["visitor_may_call_the_backend"], "it still runs"),
    (SwallowsPanicsOfVisitors, &["panic_of_a_visitor_passes_the_backend"], "to pass the backend"),
    (LendsWhatItRemembers, &["lent_value_is_the_stored_one"], "expected get_with of key"),
    (RemembersManyValues, &["each_form_of_a_read_sees_each_form_of_a_write"], "get_multi of 2 keys"),
    (MissesEmptyValuesAmongMany, &["empty_payloads_pass_between_single_and_multi_calls"], "got no value"),
    (FoldsCaseAmongMany, &["similar_keys_are_distinct_in_multi_calls"], "get_multi of"),
    (StopsStoringSilently, &["refused_value_does_not_hide_the_others"], "which set_multi stored"),
    (StopsDeletingSilently, &["unadmitted_key_does_not_affect_other_keys"], "to return no value"),
    (RoundsLifetimesDown, &["value_is_kept_for_its_whole_lifetime"], "after it was stored for 400ms"),
    (TakesLongLifetimesForDates, &["longest_lifetime_is_accepted"], "was stored for 2678400s"),
    (ReturnsExpiredValuesAmongMany, &["each_value_expires_after_its_own_lifetime"], "get_multi of 1 keys"),
    (ReleasesForAnybody, &["only_its_holder_releases_a_mutex"], "that its twin holds"),
    (EndsItsMutexesWithItself, &["mutex_outlives_its_backend"], "the backend is gone"),
    (KeepsLocksAmongValues, &["keys_named_like_locks_leave_the_mutex_alone"], "was set"),
    (ChangesItsCapabilities, &["capabilities_never_change"], "the same each time"),
    (ReportsTheScopeOfAnotherStore, &["backends_of_one_scope_share_their_store"], "got no value"),
    (ManglesToLowerCase, &["key_mangler_never_panics"], "expected two mangled keys"),
];

const MEBIBYTE: usize = 1 << 20;
const LONGEST_KEY: usize = 200;

/// A value, and the time at which it expires.
type Kept = (CachedValue, Option<Instant>);

/// A backend of bytes in memory with mutexes and native expiry.
#[derive(Debug)]
struct Planted {
    bug: Bug,
    kept: Arc<Mutex<BTreeMap<String, Kept>>>,
    remembered: Mutex<HashMap<String, Option<CachedValue>>>,
    locks: Arc<Locks>,
    calls: AtomicUsize,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refused(kind: ErrorKind) -> BackendError {
    BackendError::new(kind, "refused")
}

impl Planted {
    fn new(bug: Bug) -> Self {
        let kept: Arc<Mutex<BTreeMap<String, Kept>>> = Arc::default();
        let locks = Arc::new(Locks::new(bug, Arc::clone(&kept)));
        Planted { bug, kept, remembered: Mutex::default(), locks, calls: AtomicUsize::new(0) }
    }

    /// Returns the key under which `key` is stored.
    fn stored_under<'k>(&self, key: &'k str) -> Result<&'k str, BackendError> {
        match self.bug {
            _ if key.len() > LONGEST_KEY => Err(refused(ErrorKind::InvalidKey)),
            TrimsKeys => Ok(key.trim()),
            _ => Ok(key),
        }
    }

    fn check(&self, value: &CachedValue) -> Result<(), BackendError> {
        let Payload::Bytes(bytes) = &value.payload else { return Err(refused(ErrorKind::InvalidValue)) };
        let fits = bytes.len() <= 4 * MEBIBYTE && value.metadata.creation_time.as_seconds().is_finite();
        if fits { Ok(()) } else { Err(refused(ErrorKind::InvalidValue)) }
    }

    /// Returns whether a value of this size is lost.
    fn is_lost(&self, value: &CachedValue) -> bool {
        let size = value.payload.as_bytes().map_or(0, |bytes| bytes.len());
        match self.bug {
            LosesMoreThanAMebibyte => size > MEBIBYTE,
            LosesLessThanItsLimit => size > 3 * MEBIBYTE,
            _ => false,
        }
    }

    fn lifetime(&self, options: &StoreOptions) -> Option<Duration> {
        let lifetime = options.keep_for?;
        Some(match self.bug {
            RoundsLifetimesDown => Duration::from_secs(lifetime.as_secs()),
            // As memcached does.
            TakesLongLifetimesForDates if lifetime > Duration::from_secs(30 * 86_400) => Duration::ZERO,
            _ => lifetime,
        })
    }

    fn live(&self, key: &str) -> Option<CachedValue> {
        let kept = locked(&self.kept).get(key).cloned();
        let is_live = |ends: Option<Instant>| ends.is_none_or(|ends| Instant::now() < ends);
        kept.filter(|(_, ends)| is_live(*ends)).map(|(value, _)| value)
    }

    /// Returns the value that `get_multi` finds.
    fn one_of_many(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        let key = self.stored_under(key)?;
        match self.bug {
            RemembersManyValues => {
                let mut remembered = locked(&self.remembered);
                Ok(remembered.entry(key.to_owned()).or_insert_with(|| self.live(key)).clone())
            }
            MissesEmptyValuesAmongMany => Ok(self
                .live(key)
                .filter(|value| value.payload.as_bytes().is_none_or(|bytes| !bytes.is_empty()))),
            FoldsCaseAmongMany => {
                let kept = locked(&self.kept);
                let mut found = kept.iter().filter(|(kept, _)| kept.to_lowercase() == key.to_lowercase());
                Ok(found.next().map(|(_, (value, _))| value.clone()))
            }
            ReturnsExpiredValuesAmongMany => Ok(locked(&self.kept).get(key).map(|(value, _)| value.clone())),
            _ => Ok(self.live(key)),
        }
    }
}

impl CacheBackend for Planted {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        Ok(self.live(self.stored_under(key)?))
    }

    fn get_with(&self, key: &str, visit: &mut dyn FnMut(&CachedValue)) -> Result<bool, BackendError> {
        if self.bug == LendsUnderItsLock {
            let kept = locked(&self.kept);
            let lent = kept.get(key).map(|(value, _)| visit(value));
            return Ok(lent.is_some());
        }
        let found = match self.bug {
            LendsWhatItRemembers => {
                let mut remembered = locked(&self.remembered);
                remembered.entry(key.to_owned()).or_insert_with(|| self.live(key)).clone()
            }
            _ => self.get(key)?,
        };
        let Some(value) = found else { return Ok(false) };
        match self.bug {
            SwallowsPanicsOfVisitors => drop(catch_unwind(AssertUnwindSafe(|| visit(&value)))),
            LendsTwice => (0..2).for_each(|_| visit(&value)),
            _ => visit(&value),
        }
        Ok(self.bug != LendsWithoutReporting)
    }

    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        let key = self.stored_under(key)?;
        self.check(&value)?;
        self.calls.fetch_add(1, Ordering::Relaxed);
        if !self.is_lost(&value) {
            let ends = self.lifetime(options).and_then(|lifetime| Instant::now().checked_add(lifetime));
            locked(&self.kept).insert(key.to_owned(), (value, ends));
        }
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        locked(&self.kept).remove(self.stored_under(key)?);
        Ok(())
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        keys.iter().map(|key| self.one_of_many(key)).collect()
    }

    fn set_multi(&self, entries: Vec<Entry>) -> Result<(), BackendError> {
        entries.iter().for_each(|entry| drop(locked(&self.remembered).remove(&entry.key)));
        let stored =
            entries.into_iter().try_for_each(|entry| self.set(&entry.key, entry.value, &entry.options));
        if self.bug == StopsStoringSilently { Ok(()) } else { stored }
    }

    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        let deleted = keys.iter().try_for_each(|key| self.delete(key));
        if self.bug == StopsDeletingSilently { Ok(()) } else { deleted }
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        Some(Arc::new(KeyMutex::new(&self.locks, key)))
    }

    fn key_mangler(&self) -> Option<KeyMangler> {
        let folds = self.bug == ManglesToLowerCase;
        Some(KeyMangler::new(move |key| if folds { key.to_lowercase() } else { format!("m:{key}") }))
    }

    fn capabilities(&self) -> Capabilities {
        let capabilities = Capabilities::default()
            .with_serializer("json")
            .with_native_expiry()
            .with_key_limit(LONGEST_KEY)
            .with_value_limit(4 << 20);
        match self.bug {
            ChangesItsCapabilities => capabilities.with_lock_timeout(self.calls.load(Ordering::Relaxed) > 0),
            ReportsTheScopeOfAnotherStore => capabilities.with_scope("planted"),
            _ => capabilities,
        }
    }
}

fn setup(bug: Bug) -> Setup {
    let setup = Setup::new(format!("{bug:?}"), move || Ok(Arc::new(Planted::new(bug))));
    match bug {
        LendsUnderItsLock => setup.with_time_limit(Duration::from_secs(2)),
        _ => setup,
    }
}

#[test]
fn backend_without_a_bug_passes_every_level() {
    let report = report(&setup(Nothing));
    assert!(report.passed(), "{report}");
}

#[test]
fn planted_bug_is_found_by_its_case() {
    let search = Search { setup, in_all_levels: false, by_these_alone: false, side_by_side: true };
    search.finds(FOUND);
}

/// Stands for a lock among the values.
fn lock_value() -> Kept {
    let metadata = dogpile_sdk::Metadata::new(dogpile_sdk::CreationTime::from_seconds(0.0));
    (CachedValue { payload: Payload::Bytes(Bytes::from(b"lock".to_vec())), metadata }, None)
}
