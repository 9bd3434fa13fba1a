//! Lease stores with one planted bug each. Exactly the case that tests the behavior fails.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dogpile_conformance::{Level, Setup, report, report_of};
use dogpile_sdk::lease::{LeaseOptions, LeaseStore, Leases};
use dogpile_sdk::{BackendError, CacheBackend, CacheMutex, CachedValue, StoreOptions};

use super::search::{Found, Search};

/// The bug of a lease store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    Nothing,
    RefusesItsOwnToken,
    CountsAcquisitions,
    ReleasesAnyToken,
    RenewsAnyToken,
    ComparesOnlyTheFirstLetters,
    RenewsWhatWasReleased,
    ReportsExpiredLocksAsHeld,
    LeasesThirtyTimesTooLong,
    RefusesExpiredLocks,
    RenewsExpiredLocks,
    DoesNotRenew,
    HasOneLockForAllKeys,
    ChecksAndAcquiresInTwoSteps,
}

use Bug::*;

/// Each bug with the names of the cases that find it, and a part of the first one's message.
const FOUND: &[Found<Bug>] = &[
    (
        RefusesItsOwnToken,
        &["acquire_succeeds_again_for_its_own_token"],
        "with a token that owns the lock to return true",
    ),
    (CountsAcquisitions, &["acquire_succeeds_again_for_its_own_token"], "locked() after one release()"),
    (
        ReleasesAnyToken,
        &["foreign_token_changes_nothing", "expired_lock_is_free"],
        "release() with another token",
    ),
    (
        RenewsAnyToken,
        &["foreign_token_changes_nothing", "expired_lock_is_free"],
        "renew() with another token",
    ),
    (ComparesOnlyTheFirstLetters, &["foreign_token_changes_nothing"], "with another token"),
    (RenewsWhatWasReleased, &["released_lock_is_not_renewed"], "renew() of a lock that was never acquired"),
    (
        ReportsExpiredLocksAsHeld,
        &["expired_lock_is_free", "expired_lock_is_not_renewed"],
        "to return false within 6s",
    ),
    (
        LeasesThirtyTimesTooLong,
        &["expired_lock_is_free", "expired_lock_is_not_renewed"],
        "to return false within 6s",
    ),
    (RefusesExpiredLocks, &["expired_lock_is_free"], "acquire() of a lock that expired to return true"),
    (RenewsExpiredLocks, &["expired_lock_is_not_renewed"], "renew() of a lock that expired to return false"),
    (DoesNotRenew, &["renewed_lock_outlives_its_first_lease"], "after its first lease to return true"),
    (HasOneLockForAllKeys, &["locks_of_two_keys_are_independent"], "while another key's lock is held"),
    (ChecksAndAcquiresInTwoSteps, &["one_of_many_tokens_acquires_the_lock"], "succeed for one of 8 tokens"),
];

/// The owner of a lock, and the time at which the lock expires.
#[derive(Clone, Debug)]
struct Owner {
    token: String,
    acquired: u32,
    ends: Instant,
}

#[derive(Debug)]
struct Planted {
    bug: Bug,
    locks: Mutex<BTreeMap<String, Owner>>,
}

impl Planted {
    fn new(bug: Bug) -> Self {
        Planted { bug, locks: Mutex::default() }
    }

    fn locks(&self) -> MutexGuard<'_, BTreeMap<String, Owner>> {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name<'k>(&self, key: &'k str) -> &'k str {
        if self.bug == HasOneLockForAllKeys { "all" } else { key }
    }

    fn end(&self, lease: Duration) -> Instant {
        Instant::now() + if self.bug == LeasesThirtyTimesTooLong { lease * 30 } else { lease }
    }

    /// Returns whether `owner` holds the lock under `token`.
    fn owns(&self, owner: &Owner, token: &str) -> bool {
        let same = match self.bug {
            ComparesOnlyTheFirstLetters => owner.token.starts_with(token),
            _ => owner.token == token,
        };
        same && owner.ends > Instant::now()
    }
}

impl LeaseStore for Planted {
    fn acquire(&self, key: &str, token: &str, lease: Duration, _: Instant) -> Result<bool, BackendError> {
        let (name, ends) = (self.name(key), self.end(lease));
        let mut locks = self.locks();
        let mut acquired = 1;
        if let Some(owner) = locks.get(name).cloned() {
            let is_held = owner.ends > Instant::now() || self.bug == RefusesExpiredLocks;
            let is_ours = self.owns(&owner, token) && self.bug != RefusesItsOwnToken;
            if is_held && !is_ours {
                return Ok(false);
            }
            acquired += if is_ours { owner.acquired } else { 0 };
        }
        if self.bug == ChecksAndAcquiresInTwoSteps {
            drop(locks);
            thread::sleep(Duration::from_millis(1));
            locks = self.locks();
        }
        locks.insert(name.to_owned(), Owner { token: token.to_owned(), acquired, ends });
        Ok(true)
    }

    fn renew(&self, key: &str, token: &str, lease: Duration) -> Result<bool, BackendError> {
        let ends = self.end(lease);
        let mut locks = self.locks();
        let Some(owner) = locks.get_mut(self.name(key)) else { return Ok(self.bug == RenewsWhatWasReleased) };
        let is_ours = match self.bug {
            RenewsAnyToken => owner.ends > Instant::now(),
            RenewsExpiredLocks => owner.token == token,
            _ => self.owns(owner, token),
        };
        if is_ours && self.bug != DoesNotRenew {
            owner.ends = ends;
        }
        Ok(is_ours)
    }

    fn release(&self, key: &str, token: &str) -> Result<bool, BackendError> {
        let (name, mut locks) = (self.name(key), self.locks());
        let Some(owner) = locks.get_mut(name) else { return Ok(false) };
        let is_ours = match self.bug {
            ReleasesAnyToken => owner.ends > Instant::now(),
            _ => self.owns(owner, token),
        };
        owner.acquired -= u32::from(is_ours);
        if is_ours && (owner.acquired == 0 || self.bug != CountsAcquisitions) {
            locks.remove(name);
        }
        Ok(is_ours)
    }

    fn locked(&self, key: &str) -> Result<bool, BackendError> {
        let locks = self.locks();
        let owner = locks.get(self.name(key));
        Ok(owner.is_some_and(|owner| owner.ends > Instant::now() || self.bug == ReportsExpiredLocksAsHeld))
    }
}

/// A backend whose mutexes are those of the store.
#[derive(Debug)]
struct Backend {
    values: Mutex<BTreeMap<String, CachedValue>>,
    leases: Leases,
}

impl CacheBackend for Backend {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        Ok(self.values.lock().unwrap().get(key).cloned())
    }

    fn set(&self, key: &str, value: CachedValue, _: &StoreOptions) -> Result<(), BackendError> {
        self.values.lock().unwrap().insert(key.to_owned(), value);
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.values.lock().unwrap().remove(key);
        Ok(())
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        Some(self.leases.mutex(key))
    }
}

fn setup(bug: Bug) -> Setup {
    let build = move || -> Result<Arc<dyn CacheBackend>, BackendError> {
        let leases = Leases::new(Arc::new(Planted::new(bug)), LeaseOptions::default());
        Ok(Arc::new(Backend { values: Mutex::default(), leases }))
    };
    Setup::new(format!("{bug:?}"), build).with_lease_store(move || Ok(Arc::new(Planted::new(bug))))
}

#[test]
fn store_without_a_bug_passes_every_level() {
    let report = report(&setup(Nothing));
    assert!(report.passed(), "{report}");
    let level = report.levels.iter().find(|level| level.level == Level::LeaseStore).unwrap();
    assert_eq!((level.passed(), level.skipped()), (9, 0), "{report}");
}

#[test]
fn planted_bug_is_found_by_its_cases_alone() {
    let search = Search { setup, in_all_levels: false, by_these_alone: true, side_by_side: true };
    search.finds(FOUND);
}

/// Most of these bugs are invisible through the mutexes of a backend, so that the store must be given.
#[test]
fn backend_without_a_lease_store_skips_the_level() {
    let build = || -> Result<Arc<dyn CacheBackend>, BackendError> {
        setup(Nothing).backend().map_err(|_| unreachable!())
    };
    let report = report_of(Level::LeaseStore, &Setup::new("no store", build));
    assert!(
        report.to_string().contains("skipped: no lease store is given (`Setup::with_lease_store`)"),
        "{report}"
    );
}
