//! A panic in a linked plugin becomes an error too, with the file and line, whichever call panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use dogpile::registry::RegistryError;
use dogpile::sdk::{
    Arguments, BackendError, CacheBackend, CacheMutex, CachedValue, Completion, ContainedBackend,
    CreationTime, Entry, ErrorKind, Metadata, MutexOperations, NoArguments, Operations, Payload, Running,
    StoreOptions, register_backend,
};
use dogpile::{CacheRegion, RegionConfig, Registry};
use dogpile_tests::errors::told;
use dogpile_tests::threads::{block_on, bounded};
use fixture_misbehaving as _;

const MEMORY: &str = "dogpile.cache.memory";
const ORIGIN: &str = "the linked crate fixture-misbehaving 0.1.0";

fn panicking(at: &str) -> Result<Arc<dyn CacheBackend>, RegistryError> {
    let arguments = Arguments::from_serialize(std::collections::BTreeMap::from([("at", at)])).unwrap();
    Registry::new().build_backend("fixture.panicking", arguments)
}

/// Returns a region over a backend that panics in the call `at`.
fn region(at: &str) -> CacheRegion {
    let region = CacheRegion::new("prices");
    let arguments = std::collections::BTreeMap::from([("at", at)]);
    region.configure(RegionConfig::new("fixture.panicking").arguments(arguments)).unwrap();
    region
}

fn value() -> CachedValue {
    CachedValue {
        payload: Payload::Bytes(b"1".to_vec().into()),
        metadata: Metadata::new(CreationTime::now()),
    }
}

/// Fails unless `error` is a panic of the fixture with its message, file, and line.
fn assert_panicked(error: &BackendError, at: &str) {
    let text = told(error);
    assert_eq!(error.kind(), ErrorKind::Panicked, "{text}");
    let location = error.location().unwrap();
    let (file, place) = location.split_once(".rs:").unwrap();
    assert!(
        file.ends_with("misbehaving/src/lib") && place.chars().next().unwrap().is_ascii_digit(),
        "{location}"
    );
    assert_eq!(text, format!("{ORIGIN} panicked at {location}: planted panic at {at}"));
}

#[test]
fn panic_in_any_operation_of_a_linked_backend_is_an_error() {
    let options = StoreOptions::new();
    let entry = || Entry::new("key", value());
    let errors = [
        ("get", panicking("get").unwrap().get("key").unwrap_err()),
        ("get", panicking("get").unwrap().get_with("key", &mut |_| ()).unwrap_err()),
        ("set", panicking("set").unwrap().set("key", value(), &options).unwrap_err()),
        ("delete", panicking("delete").unwrap().delete("key").unwrap_err()),
        ("get_multi", panicking("get_multi").unwrap().get_multi(&["a", "b"]).unwrap_err()),
    ];
    for (operation, error) in &errors {
        assert_panicked(error, operation);
        assert_eq!(error.operation(), Some(*operation));
    }
    assert_eq!(errors[0].1.key(), Some("key"));
    let error = panicking("set").unwrap().set_multi(vec![entry()]).unwrap_err();
    assert_panicked(&error, "set");
    let error = panicking("delete").unwrap().delete_multi(&["a", "b"]).unwrap_err();
    assert_panicked(&error, "delete");
}

#[test]
fn panic_while_building_a_linked_backend_is_an_error() {
    let text = told(&panicking("build").unwrap_err());
    assert!(
        text.contains(&format!("{ORIGIN} panicked at ")) && text.contains("planted panic at build"),
        "{text}"
    );
    assert!(text.contains("misbehaving/src/lib.rs:"), "{text}");
}

#[test]
fn panic_in_any_mutex_call_of_a_linked_backend_is_an_error() {
    let mutex = panicking("acquire").unwrap().get_mutex("tea").unwrap();
    for error in [mutex.try_acquire().unwrap_err(), mutex.acquire_until(Instant::now()).unwrap_err()] {
        assert_panicked(&error, "acquire");
    }
    assert!(mutex.is_lost(), "no value is stored under a mutex that may be lost");
    assert!(!mutex.locked().unwrap());
}

#[test]
fn panic_in_get_mutex_of_a_linked_backend_fails_creation() {
    for at in ["get_mutex", "acquire"] {
        let region = region(at);
        for _ in 0..2 {
            let text = told(&region.get_or_create("tea", || 350).unwrap_err());
            assert!(text.contains(&format!("planted panic at {at}")) && text.contains(ORIGIN), "{text}");
        }
    }
    assert!(!region("acquire").key_is_locked("tea").unwrap(), "the key stayed locked");
}

#[test]
fn panic_in_drop_of_a_linked_backend_leaves_the_host_running() {
    drop(panicking("drop").unwrap());
    assert!(panicking("nothing").unwrap().get("key").unwrap().is_none());
}

#[test]
fn panic_in_linked_proxy_is_an_error() {
    let memory = Registry::new().build_backend(MEMORY, Arguments::default()).unwrap();
    let proxy = Registry::new().build_proxy("fixture.panicking_proxy", Arguments::default(), memory).unwrap();
    assert_panicked(&proxy.get("tea").unwrap_err(), "tea");
}

#[test]
fn panic_of_a_linked_backend_is_an_error_of_asynchronous_calls() {
    bounded(|| {
        let text = told(&block_on(region("get").get_async::<i32>("tea")).unwrap_err());
        assert!(text.contains(ORIGIN) && text.contains("planted panic at get"), "{text}");
        assert!(text.contains("misbehaving/src/lib.rs:"), "{text}");
        let created = block_on(region("set").get_or_create_async("tea", || async { 350 }));
        assert_eq!(created.unwrap(), 350, "the caller still gets the value");
    });
}

register_backend! {
    name: "tests.panicking_operations",
    config: NoArguments,
    build: |_| Ok::<_, BackendError>(PanickingOperations),
}

/// A backend whose asynchronous calls panic when they are begun.
#[derive(Debug)]
struct PanickingOperations;

impl CacheBackend for PanickingOperations {
    fn get(&self, _key: &str) -> Result<Option<CachedValue>, BackendError> {
        Ok(None)
    }

    fn set(&self, _key: &str, _value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
        Ok(())
    }

    fn delete(&self, _key: &str) -> Result<(), BackendError> {
        Ok(())
    }

    fn operations(&self) -> Option<Arc<dyn Operations>> {
        Some(Arc::new(PanickingOperations))
    }
}

impl Operations for PanickingOperations {
    fn begin_get(&self, key: &str, _completion: Completion<Option<CachedValue>>) -> Running {
        panic!("planted panic at {key}")
    }

    fn begin_get_multi(&self, _: &[&str], _: Completion<Vec<Option<CachedValue>>>) -> Running {
        panic!("planted panic")
    }

    fn begin_set(&self, _: &str, _: CachedValue, _: &StoreOptions, _: Completion<()>) -> Running {
        panic!("planted panic")
    }

    fn begin_set_multi(&self, _: Vec<Entry>, _: Completion<()>) -> Running {
        panic!("planted panic")
    }

    fn begin_delete(&self, _: &str, _: Completion<()>) -> Running {
        panic!("planted panic")
    }

    fn begin_delete_multi(&self, _: &[&str], _: Completion<()>) -> Running {
        panic!("planted panic")
    }
}

#[test]
fn panic_while_a_call_is_begun_is_an_error_with_file_and_line() {
    bounded(|| {
        let region = CacheRegion::new("begun");
        region.configure(RegionConfig::new("tests.panicking_operations")).unwrap();
        let text = told(&block_on(region.get_async::<i32>("tea")).unwrap_err());
        assert!(text.contains("panicked at tests/engine/linked_panics.rs:"), "{text}");
        assert!(text.contains(": planted panic at tea"), "{text}");
    });
}

register_backend! {
    name: "tests.panicking_drops",
    config: NoArguments,
    build: |_| Ok::<_, BackendError>(PanickingDrops),
}

/// A backend whose asynchronous calls panic when they are dropped.
#[derive(Debug)]
struct PanickingDrops;

/// The asynchronous calls of the backend and of its mutex. Each call is dropped without an outcome.
#[derive(Debug)]
struct Dropped;

impl Drop for Dropped {
    fn drop(&mut self) {
        panic!("planted panic in drop");
    }
}

impl CacheBackend for PanickingDrops {
    fn get(&self, _key: &str) -> Result<Option<CachedValue>, BackendError> {
        Ok(None)
    }

    fn set(&self, _key: &str, _value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
        Ok(())
    }

    fn delete(&self, _key: &str) -> Result<(), BackendError> {
        Ok(())
    }

    fn get_mutex(&self, _key: &str) -> Option<Arc<dyn CacheMutex>> {
        Some(Arc::new(PanickingDrops))
    }

    fn operations(&self) -> Option<Arc<dyn Operations>> {
        Some(Arc::new(Dropped))
    }
}

impl CacheMutex for PanickingDrops {
    fn try_acquire(&self) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn acquire_until(&self, _deadline: Instant) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn release(&self) -> Result<(), BackendError> {
        Ok(())
    }

    fn locked(&self) -> Result<bool, BackendError> {
        Ok(false)
    }

    fn operations(&self) -> Option<Arc<dyn MutexOperations>> {
        Some(Arc::new(Dropped))
    }
}

impl Operations for Dropped {
    fn begin_get(&self, _: &str, completion: Completion<Option<CachedValue>>) -> Running {
        completion.complete(Ok(None));
        // What a call keeps for its cancellation is dropped with the outcome.
        let kept = Dropped;
        Running::new(move || drop(kept))
    }

    fn begin_get_multi(&self, _: &[&str], _: Completion<Vec<Option<CachedValue>>>) -> Running {
        Running::done()
    }

    fn begin_set(&self, _: &str, _: CachedValue, _: &StoreOptions, completion: Completion<()>) -> Running {
        completion.complete(Ok(()));
        Running::done()
    }

    fn begin_set_multi(&self, _: Vec<Entry>, _: Completion<()>) -> Running {
        Running::done()
    }

    fn begin_delete(&self, _: &str, _: Completion<()>) -> Running {
        Running::done()
    }

    fn begin_delete_multi(&self, _: &[&str], _: Completion<()>) -> Running {
        Running::done()
    }
}

impl MutexOperations for Dropped {
    fn begin_try_acquire(&self, completion: Completion<bool>) -> Running {
        completion.complete(Ok(true));
        Running::done()
    }

    fn begin_acquire_until(&self, _: Instant, completion: Completion<bool>) -> Running {
        completion.complete(Ok(true));
        Running::done()
    }

    fn begin_release(&self, completion: Completion<()>) -> Running {
        completion.complete(Ok(()));
        Running::done()
    }
}

/// Otherwise, the panics would reach a caller who makes a call or drops the region.
#[test]
fn panic_in_a_drop_of_asynchronous_calls_is_contained() {
    bounded(|| {
        let region = CacheRegion::new("dropped");
        region.configure(RegionConfig::new("tests.panicking_drops")).unwrap();
        assert_eq!(block_on(region.get_async::<i32>("tea")).unwrap(), None);
        assert_eq!(block_on(region.get_or_create_async("tea", async || 350)).unwrap(), 350);
        drop(region);
    });
}

/// The visitor is code of the caller, whose panics are not those of the backend.
#[test]
fn panic_of_a_visitor_passes_a_contained_backend() {
    let memory = Registry::new().build_backend(MEMORY, Arguments::default()).unwrap();
    let contained = ContainedBackend::new(memory, "tested");
    contained.set("key", value(), &StoreOptions::new()).unwrap();
    let visit = || contained.get_with("key", &mut |_| panic!("visited"));
    let panic = catch_unwind(AssertUnwindSafe(visit)).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"visited"));
    assert!(contained.get_with("key", &mut |_| ()).unwrap());
}
