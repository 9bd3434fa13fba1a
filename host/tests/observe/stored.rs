//! Which created values are stored, and how those that are not are counted.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use dogpile::serializer::{Json, ReadValue, Serializer, SerializerError, erased_serde};
use dogpile::{CacheRegion, Created, OnBackendFailure, Outcome, RegionConfig, RegionStatistics, Served};
use smol::block_on;

use super::setup::{Failing, Noting, counted, memory, region};

/// The numbers of values that were not stored: superseded, by the backend, and by the serializer.
fn not_stored(region: &CacheRegion) -> (u64, u64, u64) {
    let RegionStatistics { superseded, not_stored, not_serialized, .. } = counted(region);
    (superseded, not_stored, not_serialized)
}

fn over(store: &Arc<Failing>) -> RegionConfig {
    RegionConfig::from_instance(store.clone()).statistics(true)
}

/// Creates `keys` in one call, in which the backend goes down.
fn create_while_failing(region: &CacheRegion, store: &Failing, keys: &[&str]) {
    let created = region.get_or_create_multi(keys, |keys| {
        store.fails.store(true, SeqCst);
        vec![1; keys.len()]
    });
    assert_eq!(created.unwrap(), vec![1; keys.len()]);
    store.fails.store(false, SeqCst);
}

#[test]
fn value_that_the_backend_does_not_store_is_counted_once() {
    for policy in [OnBackendFailure::Error, OnBackendFailure::Degrade] {
        let store = Arc::new(Failing::default());
        let region = region(over(&store).on_backend_failure(policy));
        create_while_failing(&region, &store, &["a"]);
        assert_eq!(not_stored(&region), (0, 1, 0), "{policy:?}");
        create_while_failing(&region, &store, &["b", "c"]);
        assert_eq!(not_stored(&region), (0, 3, 0), "{policy:?}");
    }
}

/// The backend is down from the beginning of the call on.
#[test]
fn value_of_a_degraded_call_is_counted_as_not_stored() {
    let store = Arc::new(Failing::default());
    let region = region(over(&store).on_backend_failure(OnBackendFailure::Degrade));
    store.fails.store(true, SeqCst);
    region.get_or_create("a", || 1).unwrap();
    region.get_or_create_multi(&["b", "c"], |keys| vec![1; keys.len()]).unwrap();
    block_on(region.get_or_create_async("d", async || 1)).unwrap();
    assert_eq!(not_stored(&region), (0, 4, 0));
}

/// JSON, except that odd numbers cannot be serialized.
#[derive(Debug)]
struct EvenOnly;

impl Serializer for EvenOnly {
    fn serialize(&self, value: &dyn erased_serde::Serialize) -> Result<Vec<u8>, SerializerError> {
        let bytes = Json.serialize(value)?;
        let is_odd = bytes.last().is_some_and(|last| last % 2 == 1);
        if is_odd { Err("planned: the number is odd".into()) } else { Ok(bytes) }
    }

    fn deserialize(&self, bytes: &[u8], read: ReadValue<'_>) -> Result<(), SerializerError> {
        Json.deserialize(bytes, read)
    }
}

#[test]
fn value_that_cannot_be_serialized_has_a_reason_of_its_own() {
    let (store, observer) = (Arc::new(Failing::default()), Arc::new(Noting::default()));
    let region = region(over(&store).serializer(EvenOnly).observer(observer.clone()));
    region.get_or_create("odd", || 1).unwrap();
    assert_eq!(not_stored(&region), (0, 0, 1));
    // One of two values reaches the backend, which fails.
    region
        .get_or_create_multi(&["even", "odd"], |_| {
            store.fails.store(true, SeqCst);
            vec![2, 1]
        })
        .unwrap();
    assert_eq!(not_stored(&region), (0, 1, 2));
    let steps = observer.take().into_iter().filter(|told| told.starts_with("not_"));
    assert_eq!(steps.collect::<Vec<_>>(), ["not_serialized odd", "not_serialized odd", "not_stored even"]);
}

fn shown<E: std::fmt::Debug>(served: Result<Served<i32>, E>) -> (Outcome, bool) {
    let Served { outcome, is_stored, .. } = served.unwrap();
    (outcome, is_stored)
}

#[test]
fn served_value_reports_whether_it_was_stored() {
    let store = Arc::new(Failing::default());
    let region = region(over(&store));
    let call = || region.options().with_outcome();
    assert_eq!(shown(call().get_or_create("key", || 1)), (Outcome::Created, true));
    assert_eq!(shown(call().get_or_create("key", || 1)), (Outcome::Fresh, false));
    let uncached = |_| Ok::<_, &str>(Created::uncached(1));
    assert_eq!(shown(call().get_or_create_with("uncached", uncached)), (Outcome::Created, false));
    let superseded = || region.set("superseded", 2).map(|()| 1);
    assert_eq!(shown(call().try_get_or_create("superseded", superseded)), (Outcome::Created, false));
    let failing = || {
        store.fails.store(true, SeqCst);
        1
    };
    assert_eq!(shown(call().get_or_create("failing", failing)), (Outcome::Created, false));
    store.fails.store(false, SeqCst);
    let task = block_on(call().get_or_create_async("task", async || 1));
    assert_eq!(shown(task), (Outcome::Created, true));
    let detached = region.options().detach().with_outcome();
    let task = block_on(detached.get_or_create_async("detached", async || 1));
    assert_eq!(shown(task), (Outcome::Created, true));
}

#[test]
fn value_that_no_store_keeps_was_not_stored() {
    let config = RegionConfig::new("dogpile.cache.null").statistics(true);
    let null = region(config);
    assert_eq!(shown(null.options().with_outcome().get_or_create("key", || 1)), (Outcome::Created, false));
    let degraded = region(memory().on_backend_failure(OnBackendFailure::Degrade));
    assert_eq!(shown(degraded.options().with_outcome().get_or_create("key", || 1)), (Outcome::Created, true));
}
