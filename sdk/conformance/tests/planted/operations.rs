//! Asynchronous calls around those of the reference store, with one planted bug each. The case that tests the promise finds it.

#[path = "operations/mutex.rs"]
mod mutex;

use std::sync::Arc;
use std::time::Duration;

use dogpile_conformance::{Reference, Setup, report};
use dogpile_sdk::{
    Attributes, BackendError, CacheBackend, CacheMutex, CachedValue, Capabilities, Completion, Entry,
    Operations, Running, StoreOptions,
};

use self::mutex::{KeyMutex, Threads};
use super::search::{Found, Search};

/// The bug of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    Nothing,
    DropsOptions,
    DropsOptionsOfMany,
    DropsAttributes,
    WaitsForARuntime,
    AcquiresForAnotherObject,
    WaitsOnItsThreads,
    ReleasesForAnybody,
}

use Bug::*;

/// Each bug with the name of the case that finds it, and a part of its message.
const FOUND: &[Found<Bug>] = &[
    (DropsOptions, &["begun_sets_pass_on_lifetimes"], "to be gone within"),
    (DropsOptions, &["begun_sets_pass_on_fences"], "but the value was stored"),
    (DropsOptionsOfMany, &["begun_sets_pass_on_lifetimes"], "to be gone within"),
    (DropsOptionsOfMany, &["begun_sets_pass_on_fences"], "but the value was stored"),
    (DropsAttributes, &["begun_calls_keep_metadata"], "expected begin_get of key"),
    (
        WaitsForARuntime,
        &["begun_calls_work_inside_an_async_runtime"],
        "Cannot start a runtime from within a runtime",
    ),
    (AcquiresForAnotherObject, &["begun_acquisition_has_a_fence"], "to have a fence, got none"),
    (
        WaitsOnItsThreads,
        &["waits_for_a_mutex_leave_other_calls_alone"],
        "while 32 calls of begin_acquire_until() wait",
    ),
    (ReleasesForAnybody, &["begun_release_of_a_mutex_that_is_not_held_fails"], "that its twin holds"),
];

/// The reference store, with asynchronous calls that have a bug.
#[derive(Debug)]
struct Planted {
    bug: Bug,
    reference: Reference,
    threads: Arc<Threads>,
}

impl CacheBackend for Planted {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        self.reference.get(key)
    }

    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        self.reference.set(key, value, options)
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.reference.delete(key)
    }

    fn set_multi(&self, entries: Vec<Entry>) -> Result<(), BackendError> {
        self.reference.set_multi(entries)
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        Some(Arc::new(KeyMutex::new(self.bug, self.reference.clone(), key, Arc::clone(&self.threads))))
    }

    fn capabilities(&self) -> Capabilities {
        self.reference.capabilities()
    }

    fn operations(&self) -> Option<Arc<dyn Operations>> {
        Some(Arc::new(Calls { bug: self.bug, calls: self.reference.operations()? }))
    }
}

#[derive(Debug)]
struct Calls {
    bug: Bug,
    calls: Arc<dyn Operations>,
}

impl Operations for Calls {
    fn begin_get(&self, key: &str, completion: Completion<Option<CachedValue>>) -> Running {
        if self.bug == WaitsForARuntime {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            return runtime.block_on(async { self.calls.begin_get(key, completion) });
        }
        self.calls.begin_get(key, completion)
    }

    fn begin_get_multi(&self, keys: &[&str], completion: Completion<Vec<Option<CachedValue>>>) -> Running {
        self.calls.begin_get_multi(keys, completion)
    }

    fn begin_set(
        &self,
        key: &str,
        mut value: CachedValue,
        options: &StoreOptions,
        completion: Completion<()>,
    ) -> Running {
        if self.bug == DropsAttributes {
            value.metadata.attributes = Attributes::NONE;
        }
        let options = if self.bug == DropsOptions { &StoreOptions::new() } else { options };
        self.calls.begin_set(key, value, options, completion)
    }

    fn begin_set_multi(&self, mut entries: Vec<Entry>, completion: Completion<()>) -> Running {
        if self.bug == DropsOptionsOfMany {
            entries.iter_mut().for_each(|entry| entry.options = StoreOptions::new());
        }
        self.calls.begin_set_multi(entries, completion)
    }

    fn begin_delete(&self, key: &str, completion: Completion<()>) -> Running {
        self.calls.begin_delete(key, completion)
    }

    fn begin_delete_multi(&self, keys: &[&str], completion: Completion<()>) -> Running {
        self.calls.begin_delete_multi(keys, completion)
    }
}

fn setup(bug: Bug) -> Setup {
    let build = move || -> Result<Arc<dyn CacheBackend>, BackendError> {
        Ok(Arc::new(Planted { bug, reference: Reference::new(), threads: Arc::new(Threads::start(2)) }))
    };
    let setup = Setup::new(format!("{bug:?}"), build);
    // What never ends is noticed by the time limit of the case.
    if bug == WaitsOnItsThreads { setup.with_time_limit(Duration::from_secs(4)) } else { setup }
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
