//! A value that a call gets without its backend is degraded, in all forms of calls.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use dogpile::{CacheRegion, OnBackendFailure, RegionConfig, Share};
use smol::block_on;

use super::setup::{Failing, expiring, outcomes, runner, seconds, until};

/// A form of calls that returns the value of one key, if it has one.
type Form = (&'static str, fn(&CacheRegion) -> Option<i32>);

fn only<E: std::fmt::Debug>(values: Result<Vec<Option<i32>>, E>) -> Option<i32> {
    values.unwrap().pop().flatten()
}

/// The forms that only read.
const READS: [Form; 6] = [
    ("get", |region| region.get("key").unwrap()),
    ("get_multi", |region| only(region.get_multi(&["key"]))),
    ("get_value_metadata", |region| {
        region.options().get_value_metadata("key").unwrap().map(|aged| aged.value)
    }),
    ("get_async", |region| block_on(region.get_async("key")).unwrap()),
    ("get_multi_async", |region| only(block_on(region.get_multi_async(&["key"])))),
    ("get_value_metadata_async", |region| {
        block_on(region.options().get_value_metadata_async("key")).unwrap().map(|aged| aged.value)
    }),
];

/// The forms that create.
const CREATIONS: [Form; 10] = [
    ("get_or_create", |region| region.get_or_create("key", || 1).ok()),
    ("background", |region| region.options().background().get_or_create("key", || 1).ok()),
    ("with_outcome", |region| {
        region.options().with_outcome().get_or_create("key", || 1).ok().map(|served| served.value)
    }),
    ("get_or_create_multi", |region| {
        region.get_or_create_multi(&["key"], |keys| vec![1; keys.len()]).unwrap().pop()
    }),
    ("background multi", |region| {
        let call = region.options().background();
        call.get_or_create_multi(&["key"], |keys| vec![1; keys.len()]).unwrap().pop()
    }),
    ("get_or_create_async", |region| block_on(region.get_or_create_async("key", async || 1)).ok()),
    ("with_outcome async", |region| {
        let call = region.options().with_outcome();
        block_on(call.get_or_create_async("key", async || 1)).ok().map(|served| served.value)
    }),
    ("get_or_create_multi_async", |region| {
        let creator = async |keys: Vec<String>| vec![1; keys.len()];
        block_on(region.get_or_create_multi_async(&["key"], creator)).unwrap().pop()
    }),
    ("detach", |region| block_on(region.options().detach().get_or_create_async("key", async || 1)).ok()),
    ("detach multi", |region| {
        let call = region.options().detach();
        let creator = async |keys: Vec<String>| vec![1; keys.len()];
        block_on(call.get_or_create_multi_async(&["key"], creator)).unwrap().pop()
    }),
];

/// Makes a call of each form after `wait` seconds of an outage in which a value was created.
fn check(form: Form, store: &Failing, wait: u64) {
    let (name, call) = form;
    // A value that was created in an outage is kept for a second, which may be over on a busy machine.
    for _ in 0..20 {
        let store = Arc::new(store.again());
        let config = RegionConfig::from_instance(store.clone()).statistics(true);
        let config = config.on_backend_failure(OnBackendFailure::Degrade).async_creation_runner(runner());
        let (region, clock) = expiring(config.early_refresh(Share::percent(50)));
        store.fails.store(true, SeqCst);
        assert_eq!(region.get_or_create("key", || 1).unwrap(), 1);
        clock.advance(seconds(wait));
        let found = call(&region);
        until(|| region.creations().unwrap().is_empty());
        if found == Some(1) {
            assert_eq!(outcomes(&region), [("degraded", 2)], "{name} after {wait} seconds");
            return;
        }
        assert_eq!(found, None, "{name} returns the value that was created");
        assert_eq!(outcomes(&region), [("degraded", 1), ("miss", 1)], "{name} finds nothing");
    }
    panic!("no value is kept for {name}");
}

/// Of each form, over a backend that may block and over one that does not. The value is fresh, or due for an early refresh.
#[test]
fn value_without_the_backend_is_degraded_in_all_forms() {
    for form in READS.into_iter().chain(CREATIONS) {
        for wait in [0, 60] {
            check(form, &Failing::default(), wait);
            check(form, &Failing::immediate(), wait);
        }
    }
}

/// A value that a runner creates for a caller that waits is not stored, either.
#[test]
fn value_that_a_runner_creates_without_the_backend_is_degraded() {
    let store = Arc::new(Failing::default());
    let limits = dogpile::CreatorTimeout::OFF.hard(seconds(60));
    let config = RegionConfig::from_instance(store.clone()).statistics(true).creator_timeout(limits);
    let config = config.on_backend_failure(OnBackendFailure::Degrade).async_creation_runner(runner());
    let (region, _clock) = expiring(config);
    let failing = store.clone();
    let created = region.options().background().get_or_create("key", move || {
        failing.fails.store(true, SeqCst);
        1
    });
    assert_eq!(created.unwrap(), 1);
    assert_eq!(outcomes(&region), [("degraded", 1)]);
}
