//! An asynchronous backend on a runtime of its own, linked and loaded.

use std::sync::Arc;

use courier_dogpile as _;
use dogpile::Registry;
use dogpile::sdk::{Arguments, BackendError, CacheBackend, Completion, Pending, StoreOptions};
use dogpile_conformance::{Level, Setup, report};
use dogpile_tests::threads::{Signal, block_on, bounded};

use super::{loaded, region_on, registry_of};

const NAME: &str = "courier.shelf";
const PLUGIN: &str = "courier-dogpile-dylib";

fn linked() -> Arc<dyn CacheBackend> {
    Registry::new().build_backend(NAME, Arguments::default()).unwrap()
}

/// Runs the conformance suite, and fails unless each level of an asynchronous backend with mutexes passes.
fn conforms(name: &str, build: fn() -> Arc<dyn CacheBackend>) {
    let report = report(&Setup::new(name, move || Ok::<_, BackendError>(build())));
    assert!(report.passed(), "{report}");
    for level in [Level::Store, Level::Mutex, Level::Containment, Level::Asynchronous] {
        let found = report.levels.iter().find(|found| found.level == level).unwrap();
        assert!(found.passed() > 0, "{report}");
    }
    let asynchronous = report.levels.iter().find(|found| found.level == Level::Asynchronous).unwrap();
    assert_eq!((asynchronous.passed(), asynchronous.skipped()), (26, 3), "{report}");
}

#[test]
fn linked_asynchronous_backend_conforms() {
    conforms("linked", linked);
}

#[test]
fn loaded_asynchronous_backend_conforms() {
    conforms("loaded", || loaded(PLUGIN, NAME));
}

#[test]
fn invalid_number_of_threads_is_refused() {
    let arguments = || Arguments::from_serialize(serde_json::json!({ "threads": 0 })).unwrap();
    for registry in [Registry::new(), registry_of(&[PLUGIN])] {
        let error = registry.build_backend(NAME, arguments()).unwrap_err();
        let told = super::told(&error);
        assert!(told.contains("cannot start a tokio runtime with 0 threads: expected at least 1"), "{told}");
    }
}

#[test]
fn region_works_on_an_asynchronous_backend() {
    bounded(|| {
        for registry in [Registry::new(), registry_of(&[PLUGIN])] {
            let region = region_on(&registry, NAME);
            assert_eq!(region.get_or_create("tea", || 7).unwrap(), 7);
            assert_eq!(region.get_or_create("tea", || 8).unwrap(), 7);
            region.delete("tea").unwrap();
            assert_eq!(region.get::<i32>("tea").unwrap(), None);
        }
    });
}

/// The completion drops the last owner of the backend on the thread of the backend's runtime.
#[test]
fn last_owner_may_die_on_the_librarys_thread() {
    bounded(|| {
        for backend in [linked(), loaded(PLUGIN, NAME)] {
            let operations = backend.operations().unwrap();
            let calls = Arc::clone(&operations);
            let begun = Signal::default();
            let dropped = begun.clone();
            let pending = Pending::begin(|done| {
                calls.begin_get(
                    "tea",
                    Completion::new(move |found| {
                        dropped.wait();
                        drop((backend, operations));
                        done.complete(found);
                    }),
                )
            });
            drop(calls);
            begun.give();
            assert!(block_on(pending).unwrap().is_none());
        }
    });
}

#[test]
fn blocking_calls_of_a_library_work_on_its_own_thread() {
    bounded(|| {
        for backend in [linked(), loaded(PLUGIN, NAME)] {
            let (calls, again) = (backend.operations().unwrap(), Arc::clone(&backend));
            let value = super::asynchronous::value("1");
            let stored = value.clone();
            let pending = Pending::begin(|done| {
                calls.begin_get(
                    "tea",
                    Completion::new(move |_| {
                        again.set("tea", stored, &StoreOptions::new()).unwrap();
                        done.complete(again.get("tea"));
                    }),
                )
            });
            assert_eq!(block_on(pending).unwrap(), Some(value));
        }
    });
}
