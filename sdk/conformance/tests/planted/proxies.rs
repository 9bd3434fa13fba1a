//! Proxies with one planted bug each, around the reference store. The cases that test the behavior fail, and no others.

use std::borrow::Cow;
use std::sync::Arc;

use dogpile_conformance::{Level, Reference, Setup, report};
use dogpile_sdk::{
    BackendError, CacheBackend, CacheMutex, CachedValue, Capabilities, Entry, ErrorKind, Payload,
    ProxyBackend, StoreOptions, ValueProxy, proxy, value_proxy,
};

use super::search::{Found, Search};

/// The bug of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    Nothing,
    ForgetsGetMulti,
    ForgetsSetMulti,
    ForgetsDeleteMulti,
    DropsStoreOptions,
    DropsStoreOptionsOfSetMulti,
    KeepsTheKeyLimit,
    SharesOneMutex,
    TakesFailedReadsForMisses,
    TakesFailedReadsOfManyForMisses,
    IgnoresFailedWrites,
    HidesMutexes,
    ForgetsToRenameInStoreKey,
    ForgetsToRenameInGetMutex,
    ReportsHealthByItself,
}

use Bug::*;

/// Each bug with the names of the cases that find it.
const FOUND: &[Found<Bug>] = &[
    (ForgetsGetMulti, &["large_values_pass_between_single_and_multi_calls"], ""),
    (ForgetsSetMulti, &["large_values_pass_between_single_and_multi_calls"], ""),
    (
        ForgetsDeleteMulti,
        &[
            "deleting_together_skips_absent_keys",
            "repeated_keys_are_deleted",
            "each_form_of_a_read_sees_each_form_of_a_write",
            "similar_keys_are_distinct_in_multi_calls",
            "unadmitted_key_does_not_affect_other_keys",
        ],
        "",
    ),
    (
        DropsStoreOptions,
        &[
            "each_value_expires_after_its_own_lifetime",
            "value_is_not_stored_after_its_mutex_is_released",
            "late_value_does_not_replace_the_next_holders",
        ],
        "",
    ),
    (
        DropsStoreOptionsOfSetMulti,
        &["each_value_expires_after_its_own_lifetime", "values_stored_together_are_fenced_separately"],
        "",
    ),
    (KeepsTheKeyLimit, &["longest_admitted_key_is_kept"], ""),
    (
        SharesOneMutex,
        &[
            "mutexes_of_two_keys_are_independent",
            // The fence of the shared mutex is that of another key.
            "value_is_stored_while_its_mutex_is_held",
            "late_value_does_not_replace_the_next_holders",
            "values_stored_together_are_fenced_separately",
            "mutex_is_that_of_the_store_key",
        ],
        "",
    ),
    (TakesFailedReadsForMisses, &["failures_of_the_store_are_passed_on"], ""),
    (TakesFailedReadsOfManyForMisses, &["failures_of_the_store_are_passed_on"], ""),
    (IgnoresFailedWrites, &["failures_of_the_store_are_passed_on"], ""),
    (HidesMutexes, &["failures_of_mutexes_are_passed_on", "mutex_is_that_of_the_store_key"], ""),
    (ForgetsToRenameInStoreKey, &["store_key_is_the_key_of_the_value", "mutex_is_that_of_the_store_key"], ""),
    (
        ForgetsToRenameInGetMutex,
        &[
            "value_is_stored_while_its_mutex_is_held",
            "late_value_does_not_replace_the_next_holders",
            "values_stored_together_are_fenced_separately",
            "mutex_is_that_of_the_store_key",
        ],
        "",
    ),
    (ReportsHealthByItself, &["failures_of_the_store_are_passed_on"], ""),
];

/// The prefix that the proxy adds to keys.
const PREFIX: &str = "shelf:";

/// Values that are longer are compressed.
const LARGE: usize = 10_000;

/// A proxy that compresses large values and adds a prefix to keys.
#[derive(Debug)]
struct Planted {
    bug: Bug,
    proxied: Arc<dyn CacheBackend>,
}

impl Planted {
    /// Returns the options of a store, if the proxy forwards them.
    fn options(&self, options: &StoreOptions, of_many: bool) -> StoreOptions {
        match self.bug {
            DropsStoreOptions if !of_many => StoreOptions::new(),
            DropsStoreOptionsOfSetMulti if of_many => StoreOptions::new(),
            _ => options.clone(),
        }
    }
}

fn prefixed(key: &str) -> String {
    format!("{PREFIX}{key}")
}

fn is_outage(error: &BackendError) -> bool {
    error.kind() == ErrorKind::Unavailable
}

/// Inverts each byte of a large value. This stands for a compression: it must be undone.
fn converted(value: CachedValue) -> CachedValue {
    let inverted = match &value.payload {
        Payload::Bytes(bytes) if bytes.len() > LARGE => bytes.iter().map(|byte| !byte).collect::<Vec<u8>>(),
        _ => return value,
    };
    CachedValue { payload: Payload::Bytes(inverted.into()), ..value }
}

impl ProxyBackend for Planted {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.proxied
    }

    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        match self.proxied.get(&prefixed(key)) {
            Err(error) if self.bug == TakesFailedReadsForMisses && is_outage(&error) => Ok(None),
            found => Ok(found?.map(converted)),
        }
    }

    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        match self.proxied.set(&prefixed(key), converted(value), &self.options(options, false)) {
            Err(error) if self.bug == IgnoresFailedWrites && is_outage(&error) => Ok(()),
            outcome => outcome,
        }
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.proxied.delete(&prefixed(key))
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        let keys: Vec<String> = keys.iter().map(|key| prefixed(key)).collect();
        let found = match self.proxied.get_multi(&keys.iter().map(String::as_str).collect::<Vec<_>>()) {
            Err(error) if self.bug == TakesFailedReadsOfManyForMisses && is_outage(&error) => {
                vec![None; keys.len()]
            }
            found => found?,
        };
        if self.bug == ForgetsGetMulti {
            return Ok(found);
        }
        Ok(found.into_iter().map(|found| found.map(converted)).collect())
    }

    fn set_multi(&self, entries: Vec<Entry>) -> Result<(), BackendError> {
        let entry = |entry: Entry| {
            let value = if self.bug == ForgetsSetMulti { entry.value } else { converted(entry.value) };
            Entry::new(prefixed(&entry.key), value).with_options(self.options(&entry.options, true))
        };
        self.proxied.set_multi(entries.into_iter().map(entry).collect())
    }

    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        if self.bug == ForgetsDeleteMulti {
            return self.proxied.delete_multi(keys);
        }
        keys.iter().try_for_each(|key| self.delete(key))
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        match self.bug {
            HidesMutexes => None,
            SharesOneMutex => self.proxied.get_mutex(PREFIX),
            ForgetsToRenameInGetMutex => self.proxied.get_mutex(key),
            _ => self.proxied.get_mutex(&prefixed(key)),
        }
    }

    fn store_key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        if self.bug == ForgetsToRenameInStoreKey { Cow::Borrowed(key) } else { Cow::Owned(prefixed(key)) }
    }

    fn health(&self) -> Result<(), BackendError> {
        if self.bug == ReportsHealthByItself { Ok(()) } else { self.proxied.health() }
    }

    fn capabilities(&self) -> Capabilities {
        let capabilities = self.proxied.capabilities();
        if self.bug == KeepsTheKeyLimit { capabilities } else { capabilities.behind_prefix(PREFIX) }
    }
}

fn setup(bug: Bug) -> Setup {
    Setup::proxy(format!("{bug:?}"), move |proxied| Ok(proxy(Planted { bug, proxied })))
}

#[test]
fn reference_store_passes_every_level() {
    let report = report(&Setup::new("reference", || Ok(Arc::new(Reference::new()))));
    assert!(report.passed(), "{report}");
    let claimed: Vec<Level> =
        report.levels.iter().filter(|level| level.passed() > 0).map(|level| level.level).collect();
    let unclaimed = [Level::Lease, Level::LeaseStore, Level::Frozen, Level::Proxy];
    assert_eq!(
        claimed,
        Level::ALL.into_iter().filter(|level| !unclaimed.contains(level)).collect::<Vec<_>>()
    );
}

#[test]
fn proxy_without_a_bug_passes_every_level() {
    let report = report(&setup(Nothing));
    assert!(report.passed(), "{report}");
    for level in [Level::Mutex, Level::Expiry, Level::Fencing, Level::Capabilities, Level::Proxy] {
        let found = report.levels.iter().find(|found| found.level == level).unwrap();
        assert!(found.passed() > 0, "{report}");
    }
}

#[test]
fn value_proxy_passes_every_level() {
    #[derive(Debug)]
    struct Converting(Arc<dyn CacheBackend>);

    impl ValueProxy for Converting {
        fn proxied(&self) -> &dyn CacheBackend {
            &*self.0
        }
        fn encode(&self, _key: &str, value: CachedValue) -> Result<CachedValue, BackendError> {
            Ok(converted(value))
        }
        fn decode(&self, _key: &str, value: CachedValue) -> Result<Option<CachedValue>, BackendError> {
            Ok(Some(converted(value)))
        }
    }

    let report = report(&Setup::proxy("converting", |proxied| Ok(value_proxy(Converting(proxied)))));
    assert!(report.passed(), "{report}");
    let asynchronous = report.levels.iter().find(|level| level.level == Level::Asynchronous).unwrap();
    assert!(asynchronous.passed() > 0, "{report}");
}

#[test]
fn planted_bug_is_found_by_its_cases_alone() {
    let search = Search { setup, in_all_levels: true, by_these_alone: true, side_by_side: true };
    search.finds(FOUND);
}
