//! What is counted about backends, and about calls that go on without them.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use dogpile::{BreakerConfig, BreakerState, OnBackendFailure, RegionConfig, prometheus_text};

use super::setup::{Failing, Noting, counted, memory, outcomes, region, seconds};

fn over(store: &Arc<Failing>) -> RegionConfig {
    RegionConfig::from_instance(store.clone()).statistics(true)
}

#[test]
fn calls_of_a_backend_that_may_block_are_timed() {
    let store = Arc::new(Failing::default());
    let region = region(over(&store));
    region.get_or_create("key", || 1).unwrap();
    region.get_or_create("key", || 1).unwrap();
    region.get::<i32>("key").unwrap();
    let counted = counted(&region);
    // A miss is read, read again under the lock, and stored.
    assert_eq!((counted.backends[0].call.count(), counted.backends[0].errors), (5, 0));
    assert_eq!(outcomes(&region), [("hit", 2), ("created", 1)]);
}

#[test]
fn calls_of_a_backend_in_memory_are_not_timed() {
    let region = region(memory());
    region.get_or_create("key", || 1).unwrap();
    let counted = counted(&region);
    assert_eq!((counted.backends.len(), counted.backends[0].call.count()), (1, 0));
    assert_eq!(counted.backends[0].backend, "dogpile.cache.memory");
    assert!(!counted.backends[0].is_tier);
}

/// The debug form of an instance may contain all of its values. Labels, logs, and errors have only its type.
#[test]
fn instance_is_called_by_its_type() {
    let (store, observer) = (Arc::new(Failing::default()), Noting::of_all());
    let region = region(over(&store));
    region.set("secret key", "hunter2".to_owned()).unwrap();
    let again = over(&store).observer(observer).replace_existing_backend();
    assert_eq!(
        format!("{again:?}"),
        "RegionConfig { backend: Some(\"Failing\"), expiration_time: None, .. }"
    );
    region.configure(again).unwrap();
    let text = prometheus_text(&[counted(&region)]);
    assert!(text.contains("backend=\"Failing\"") && !text.contains("secret"), "{text}");
    store.fails.store(true, SeqCst);
    let error = region.get::<String>("key").unwrap_err().to_string();
    assert_eq!(error, "region \"observed\" could not get \"key\" in backend \"Failing\"");
}

#[test]
fn failing_backend_is_counted_by_call_and_by_request() {
    let store = Arc::new(Failing::default());
    let region = region(over(&store));
    store.fails.store(true, SeqCst);
    assert!(region.get::<i32>("key").is_err());
    assert!(region.get_or_create("key", || 1).is_err());
    assert!(region.set("key", 1).is_err());
    assert!(smol::block_on(region.get_async::<i32>("key")).is_err());
    let counted = counted(&region);
    assert_eq!((counted.backends[0].errors, counted.backends[0].call.count()), (4, 4));
    assert_eq!(outcomes(&region), [("failed", 3)]);
}

#[test]
fn value_that_is_not_stored_is_counted() {
    let store = Arc::new(Failing::default());
    let region = region(over(&store));
    let created = region.get_or_create("key", || {
        store.fails.store(true, SeqCst);
        1
    });
    assert_eq!(created.unwrap(), 1);
    assert_eq!((counted(&region).not_stored, counted(&region).created), (1, 1));
}

#[test]
fn calls_without_their_backend_are_degraded() {
    let (store, observer) = (Arc::new(Failing::default()), Arc::new(Noting::default()));
    let breaker = BreakerConfig::default().failures(2).open_for(seconds(3600));
    let config = over(&store).on_backend_failure(OnBackendFailure::Degrade).breaker(breaker);
    let region = region(config.observer(observer.clone()));
    store.fails.store(true, SeqCst);
    assert_eq!(region.get_or_create("key", || 1).unwrap(), 1);
    // It is kept for a moment, because the backend cannot be read.
    assert_eq!(region.get_or_create("key", || 2).unwrap(), 1);
    assert_eq!(outcomes(&region), [("degraded", 2)]);
    assert_eq!(region.get::<i32>("other").unwrap(), None);
    let state = &counted(&region).backends[0].state;
    assert_eq!(state.breaker, BreakerState::Open);
    let told = observer.take();
    assert_eq!(told.iter().filter(|told| *told == "breaker").count(), 1, "{told:?}");
    assert_eq!(told.iter().filter(|told| *told == "degraded key").count(), 2, "{told:?}");
}

#[test]
fn closing_breaker_is_reported_to_observers() {
    let (store, observer) = (Arc::new(Failing::default()), Arc::new(Noting::default()));
    let breaker = BreakerConfig::default().failures(1).open_for(std::time::Duration::from_millis(1));
    let config = RegionConfig::from_instance(store.clone()).breaker(breaker).observer(observer.clone());
    let region = region(config);
    store.fails.store(true, SeqCst);
    assert!(region.get::<i32>("key").is_err());
    store.fails.store(false, SeqCst);
    super::setup::until(|| region.get::<i32>("key").is_ok());
    let told: Vec<_> = observer.take().into_iter().filter(|told| told == "breaker").collect();
    assert!(told.len() >= 2, "it opened and closed: {told:?}");
}

/// A region that is configured while the breaker of its store is open reports that.
#[test]
fn breaker_that_is_open_already_is_reported() {
    let (store, observer) = (Arc::new(Failing::default()), Arc::new(Noting::default()));
    let breaker = BreakerConfig::default().failures(1).open_for(seconds(3600));
    let first = region(RegionConfig::from_instance(store.clone()).breaker(breaker));
    store.fails.store(true, SeqCst);
    assert!(first.get::<i32>("key").is_err());
    let config = || RegionConfig::from_instance(store.clone()).observer(observer.clone());
    let second = region(config());
    assert_eq!(observer.take(), ["breaker"]);
    second.configure(config().replace_existing_backend()).unwrap();
    assert_eq!(observer.take(), ["breaker"]);
}
