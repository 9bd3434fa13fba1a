//! Backends with native expiry and fencing, and with one planted bug each. The suite finds each bug.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dogpile_conformance::{Setup, report};
use dogpile_sdk::{
    Attributes, BackendError, CacheBackend, CacheMutex, CachedValue, Capabilities, Entry, ErrorKind, Fence,
    StoreOptions,
};

use super::search::{Found, Search};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    Nothing,
    DropsAttributes,
    KeepsTheFirstOfARepeatedKey,
    IgnoresTheLifetime,
    ExpiresTogether,
    KeepsTheFirstLifetime,
    IgnoresTheFence,
    HasAFenceWhenFree,
    ChecksOnlyThatSomebodyHoldsTheMutex,
    StoresAllOrNothing,
}

use Bug::*;

/// Each bug with the name of the case that finds it.
const FOUND: &[Found<Bug>] = &[
    (DropsAttributes, &["attributes_are_kept"], ""),
    (KeepsTheFirstOfARepeatedKey, &["last_value_of_a_repeated_key_is_stored"], ""),
    (IgnoresTheLifetime, &["each_value_expires_after_its_own_lifetime"], ""),
    (ExpiresTogether, &["each_value_expires_after_its_own_lifetime"], ""),
    (KeepsTheFirstLifetime, &["each_value_expires_after_its_own_lifetime"], ""),
    (IgnoresTheFence, &["value_is_not_stored_after_its_mutex_is_released"], ""),
    (HasAFenceWhenFree, &["mutex_that_is_not_held_has_no_fence"], ""),
    (ChecksOnlyThatSomebodyHoldsTheMutex, &["late_value_does_not_replace_the_next_holders"], ""),
    (StoresAllOrNothing, &["values_stored_together_are_fenced_separately"], ""),
];

/// A value, and the time at which it expires.
type Kept = (CachedValue, Option<Instant>);

/// The holders of the mutexes, each by its token.
type Holders = Arc<Mutex<BTreeMap<String, u64>>>;

#[derive(Debug)]
struct Planted {
    bug: Bug,
    kept: Mutex<BTreeMap<String, Kept>>,
    holders: Holders,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Planted {
    fn is_held(&self, key: &str, fence: &Fence) -> bool {
        let holder = locked(&self.holders).get(key).copied();
        match self.bug {
            IgnoresTheFence => true,
            ChecksOnlyThatSomebodyHoldsTheMutex => holder.is_some(),
            _ => holder.is_some_and(|token| token.to_string().as_bytes() == fence.as_bytes()),
        }
    }
}

impl CacheBackend for Planted {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        let kept = locked(&self.kept).get(key).cloned();
        let is_live = |ends: Option<Instant>| ends.is_none_or(|ends| Instant::now() < ends);
        Ok(kept.filter(|(_, ends)| is_live(*ends)).map(|(value, _)| value))
    }

    fn set(&self, key: &str, mut value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        if options.fence.as_ref().is_some_and(|fence| !self.is_held(key, fence)) {
            return Err(BackendError::new(ErrorKind::Fenced, "the mutex is no longer held"));
        }
        if self.bug == DropsAttributes {
            value.metadata.attributes = Attributes::NONE;
        }
        let mut ends = options.keep_for.and_then(|lifetime| Instant::now().checked_add(lifetime));
        let mut kept = locked(&self.kept);
        match self.bug {
            IgnoresTheLifetime => ends = None,
            KeepsTheFirstLifetime => ends = kept.get(key).map_or(ends, |(_, ends)| *ends),
            _ => {}
        }
        kept.insert(key.to_owned(), (value, ends));
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        locked(&self.kept).remove(key);
        Ok(())
    }

    fn set_multi(&self, mut entries: Vec<Entry>) -> Result<(), BackendError> {
        match self.bug {
            KeepsTheFirstOfARepeatedKey => entries.reverse(),
            ExpiresTogether => {
                let lifetime = entries.iter().filter_map(|entry| entry.options.keep_for).min();
                entries.iter_mut().for_each(|entry| entry.options.keep_for = lifetime);
            }
            StoresAllOrNothing => {
                let fails = |entry: &Entry| {
                    entry.options.fence.as_ref().is_some_and(|fence| !self.is_held(&entry.key, fence))
                };
                if entries.iter().any(fails) {
                    return Err(BackendError::new(ErrorKind::Fenced, "one mutex is no longer held"));
                }
            }
            _ => {}
        }
        let mut fenced = Ok(());
        for Entry { key, value, options, .. } in entries {
            fenced = self.set(&key, value, &options).and(fenced);
        }
        fenced
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        let (key, holders, token) = (key.to_owned(), Arc::clone(&self.holders), AtomicU64::new(0));
        Some(Arc::new(KeyMutex { bug: self.bug, key, holders, token }))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_native_expiry().with_fencing()
    }
}

#[derive(Debug)]
struct KeyMutex {
    bug: Bug,
    key: String,
    holders: Holders,
    /// The token of this object while it holds the mutex, and 0 otherwise.
    token: AtomicU64,
}

impl CacheMutex for KeyMutex {
    fn try_acquire(&self) -> Result<bool, BackendError> {
        static NEXT: AtomicU64 = AtomicU64::new(1);

        let mut holders = locked(&self.holders);
        if holders.contains_key(&self.key) {
            return Ok(false);
        }
        let token = NEXT.fetch_add(1, Ordering::Relaxed);
        holders.insert(self.key.clone(), token);
        self.token.store(token, Ordering::Relaxed);
        Ok(true)
    }

    fn acquire_until(&self, deadline: Instant) -> Result<bool, BackendError> {
        loop {
            if self.try_acquire()? || Instant::now() >= deadline {
                return Ok(self.token.load(Ordering::Relaxed) != 0);
            }
            std::thread::yield_now();
        }
    }

    fn release(&self) -> Result<(), BackendError> {
        if self.token.swap(0, Ordering::Relaxed) == 0 {
            return Err(BackendError::new(ErrorKind::NotHeld, "not held"));
        }
        locked(&self.holders).remove(&self.key);
        Ok(())
    }

    fn locked(&self) -> Result<bool, BackendError> {
        Ok(locked(&self.holders).contains_key(&self.key))
    }

    fn fence(&self) -> Option<Fence> {
        let token = self.token.load(Ordering::Relaxed);
        let has_fence = token != 0 || self.bug == HasAFenceWhenFree;
        has_fence.then(|| Fence::new(token.to_string().into_bytes()))
    }
}

fn setup(bug: Bug) -> Setup {
    let build = move || -> Result<Arc<dyn CacheBackend>, BackendError> {
        Ok(Arc::new(Planted { bug, kept: Mutex::default(), holders: Holders::default() }))
    };
    let setup = Setup::new(format!("{bug:?}"), build);
    match bug {
        // A value that never expires is noticed by the time limit of the case.
        IgnoresTheLifetime | KeepsTheFirstLifetime => setup.with_time_limit(Duration::from_secs(1)),
        _ => setup,
    }
}

#[test]
fn backend_without_a_bug_passes_every_level() {
    let report = report(&setup(Bug::Nothing));
    assert!(report.passed(), "{report}");
}

#[test]
fn planted_bug_is_found_by_its_case() {
    let search = Search { setup, in_all_levels: false, by_these_alone: false, side_by_side: false };
    search.finds(FOUND);
}
