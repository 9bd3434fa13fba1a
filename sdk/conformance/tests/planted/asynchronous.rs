//! Asynchronous backends with one planted bug each. The suite finds each bug in the case that tests that behavior.

#[path = "asynchronous/calls.rs"]
mod calls;
#[path = "asynchronous/mutex.rs"]
mod mutex;
#[path = "asynchronous/worker.rs"]
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dogpile_conformance::{Level, Setup, report, report_of};
use dogpile_sdk::{
    BackendError, CacheBackend, CacheMutex, CachedValue, Capabilities, ErrorKind, KeyBytes, Operations,
    StoreOptions,
};

use self::calls::Calls;
use self::mutex::KeyMutex;
use self::worker::Worker;
use super::search::{Found, Search};

/// The bug of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    Nothing,
    /// Not a bug: calls complete before they return.
    CompletesInline,
    // results
    NeverFinds,
    StoresAfterItsOutcome,
    IgnoresDeletes,
    SortsKeys,
    LosesTheLastEntry,
    DeletesOnlyTheFirstKey,
    StoresTheFirstOfARepeatedKey,
    LosesLargeValuesOfGetMulti,
    RefusesKeysAsOther,
    // outcomes
    CompletesTwice,
    NeverCompletes,
    DropsItsCompletion,
    HoldsItsLockWhileCompleting,
    MixesUpOutcomes,
    // cancellation
    ForgetsCanceledCalls,
    FailsAfterACancellation,
    CancelsAllCalls,
    CancelsTheNextCall,
    // the end, and panics
    ForgetsCallsWhenDropped,
    PanicsOnLongKeys,
    PanicsOnLongKeysLater,
    // mutexes
    AcquiresAnotherMutex,
    ReleasesAnything,
    BlocksWhileItWaits,
    DoesNotWait,
    IgnoresTheDeadline,
    GivesUpBeforeTheDeadline,
    RefusesAPastDeadline,
    KeepsWaitingAndTheMutex,
    KeepsWhatACanceledAttemptAcquired,
}

use Bug::*;

/// Each bug with the name of the case that finds it, and a part of its message.
const FOUND: &[Found<Bug>] = &[
    (NeverFinds, &["begun_get_returns_what_get_returns"], "got no value"),
    (StoresAfterItsOutcome, &["begun_set_is_read_by_get"], "got no value"),
    (IgnoresDeletes, &["begun_delete_removes_the_value"], "to return no value"),
    (SortsKeys, &["begun_get_multi_returns_what_get_multi_returns"], "at index 0"),
    (LosesTheLastEntry, &["begun_set_multi_and_delete_multi_take_effect"], "got no value"),
    (DeletesOnlyTheFirstKey, &["begun_set_multi_and_delete_multi_take_effect"], "to return no value"),
    (StoresTheFirstOfARepeatedKey, &["begun_multi_calls_accept_repeated_keys"], "at index 0"),
    (LosesLargeValuesOfGetMulti, &["begun_multi_calls_pass_large_values"], "got no value"),
    (
        RefusesKeysAsOther,
        &["begun_calls_fail_as_blocking_calls_do"],
        "with Some(InvalidKey), got Some(Other)",
    ),
    (CompletesTwice, &["each_call_completes_once"], "makes two outcomes: a planted panic"),
    (NeverCompletes, &["each_call_completes_once"], "begin_delete() to complete within"),
    (DropsItsCompletion, &["each_call_completes_once"], "got an error (Dropped)"),
    (
        HoldsItsLockWhileCompleting,
        &["completion_may_begin_the_next_call"],
        "the last of 10 has not completed",
    ),
    (MixesUpOutcomes, &["hundred_calls_in_flight_get_their_own_outcomes"], "one of 100 calls"),
    (ForgetsCanceledCalls, &["canceled_calls_leave_the_backend_usable"], "to complete within"),
    (FailsAfterACancellation, &["canceled_calls_leave_the_backend_usable"], "the connection is broken"),
    (CancelsAllCalls, &["canceling_one_call_leaves_others_alone"], "got an error (Dropped)"),
    (CancelsTheNextCall, &["cancellation_after_the_outcome_changes_nothing"], "got an error (Dropped)"),
    (ForgetsCallsWhenDropped, &["dropping_the_backend_ends_calls_in_flight"], "to complete within"),
    (PanicsOnLongKeys, &["begun_calls_never_panic"], "not to panic, it did: too long"),
    (PanicsOnLongKeysLater, &["begun_calls_never_panic"], "not to panic, it did: the backend panicked"),
    (AcquiresAnotherMutex, &["begun_mutex_calls_agree_with_blocking_ones"], "after begin_try_acquire()"),
    (ReleasesAnything, &["begun_release_of_a_mutex_that_is_not_held_fails"], "kind NotHeld, got None"),
    (BlocksWhileItWaits, &["begun_acquire_until_waits_without_its_caller"], "it still runs"),
    (DoesNotWait, &["begun_acquire_until_waits_without_its_caller"], "completed with Ok(false)"),
    (IgnoresTheDeadline, &["begun_acquire_until_gives_up_at_its_deadline"], "to complete within"),
    (GivesUpBeforeTheDeadline, &["begun_acquire_until_gives_up_at_its_deadline"], "before it"),
    (RefusesAPastDeadline, &["begun_acquire_until_past_deadline_tries_once"], "with true, got false"),
    (KeepsWaitingAndTheMutex, &["canceled_wait_does_not_keep_the_mutex"], "still held after"),
    (KeepsWhatACanceledAttemptAcquired, &["canceled_attempt_does_not_keep_the_mutex"], "still held after"),
];

/// The values and mutexes of a backend.
#[derive(Debug, Default)]
struct Store {
    values: Mutex<BTreeMap<String, CachedValue>>,
    held: Mutex<BTreeSet<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        admit(key)?;
        Ok(lock(&self.values).get(key).cloned())
    }

    fn set(&self, key: &str, value: CachedValue) -> Result<(), BackendError> {
        admit(key)?;
        lock(&self.values).insert(key.to_owned(), value);
        Ok(())
    }

    fn delete(&self, key: &str) {
        lock(&self.values).remove(key);
    }
}

fn limits() -> Capabilities {
    Capabilities::default().with_key_limit(100).with_key_bytes(KeyBytes::NoWhitespace)
}

fn admit(key: &str) -> Result<(), BackendError> {
    let refused = || BackendError::new(ErrorKind::InvalidKey, "no such keys");
    limits().admits_key(key).then_some(()).ok_or_else(refused)
}

/// A backend in memory, whose blocking calls have no bug.
#[derive(Debug)]
struct Planted {
    bug: Bug,
    store: Arc<Store>,
    calls: Arc<Calls>,
}

impl Planted {
    fn new(bug: Bug) -> Self {
        let store = Arc::new(Store::default());
        let calls = Arc::new(Calls::new(bug, Arc::clone(&store), Worker::start(bug)));
        Planted { bug, store, calls }
    }
}

impl CacheBackend for Planted {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        self.store.get(key)
    }

    fn set(&self, key: &str, value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
        self.store.set(key, value)
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.store.delete(key);
        Ok(())
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        Some(Arc::new(KeyMutex::new(self.bug, key, Arc::clone(&self.store))))
    }

    fn capabilities(&self) -> Capabilities {
        limits()
    }

    fn operations(&self) -> Option<Arc<dyn Operations>> {
        Some(Arc::clone(&self.calls) as Arc<dyn Operations>)
    }
}

fn setup(bug: Bug) -> Setup {
    let setup = Setup::new(format!("{bug:?}"), move || Ok(Arc::new(Planted::new(bug))));
    match bug {
        Nothing | CompletesInline => setup,
        // Most of them fail by a wait that ends after a quarter of this.
        _ => setup.with_time_limit(Duration::from_secs(4)),
    }
}

#[test]
fn backend_without_a_bug_passes_every_level() {
    for bug in [Nothing, CompletesInline] {
        let report = report(&setup(bug));
        assert!(report.passed(), "{report}");
        let asynchronous = report.levels.iter().find(|level| level.level == Level::Asynchronous).unwrap();
        assert_eq!(asynchronous.skipped(), 3, "those of lifetimes and fences: {report}");
    }
}

#[test]
fn planted_bug_is_found_by_its_case() {
    let search = Search { setup, in_all_levels: false, by_these_alone: false, side_by_side: true };
    search.finds(FOUND);
}

#[test]
fn backend_without_asynchronous_calls_skips_the_level() {
    #[derive(Debug)]
    struct Blocking(Store);

    impl CacheBackend for Blocking {
        fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
            self.0.get(key)
        }
        fn set(&self, key: &str, value: CachedValue, _: &StoreOptions) -> Result<(), BackendError> {
            self.0.set(key, value)
        }
        fn delete(&self, key: &str) -> Result<(), BackendError> {
            self.0.delete(key);
            Ok(())
        }
    }

    let setup = Setup::new("blocking", || Ok(Arc::new(Blocking(Store::default()))));
    let report = report_of(Level::Asynchronous, &setup);
    assert_eq!((report.passed(), report.failed()), (0, 0), "{report}");
    assert!(report.to_string().contains("skipped: the backend has no asynchronous calls"), "{report}");
}
