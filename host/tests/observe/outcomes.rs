//! Calls that return how they got their value, and its age.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use dogpile::{FailSafe, OnBackendFailure, OnStale, Outcome, RegionConfig, Served};

use super::setup::{Failing, expiring, memory, outcomes, region, seconds, until};

fn shown<E: std::fmt::Debug>(served: Result<Served<i32>, E>) -> (i32, Outcome, u64) {
    let Served { value, outcome, age, .. } = served.unwrap();
    (value, outcome, age.as_secs())
}

#[test]
fn outcome_and_age_are_returned_to_threads_and_tasks() {
    let (region, clock) = expiring(memory().fail_safe(FailSafe::new(seconds(1_000))));
    let call = || region.options().with_outcome();
    assert_eq!(shown(call().get_or_create("key", || 1)), (1, Outcome::Created, 0));
    clock.advance(seconds(60));
    assert_eq!(shown(call().get_or_create("key", || 2)), (1, Outcome::Fresh, 60));
    clock.advance(seconds(60));
    assert_eq!(shown(call().try_get_or_create("key", || Err("no"))), (1, Outcome::FailSafe, 120));
    // The creator failed a moment ago.
    assert_eq!(shown(call().try_get_or_create("key", || Ok::<_, &str>(2))), (1, Outcome::FailSafe, 120));
    region.delete("key").unwrap();
    let inner = call().get_or_create_with("key", |_| {
        region.set("key", 3).unwrap();
        Err::<dogpile::Created<i32>, _>("no")
    });
    assert!(inner.is_err());
    smol::block_on(async {
        assert_eq!(shown(call().get_or_create_async("key", async || 4).await), (3, Outcome::Fresh, 0));
        let new = call().try_get_or_create_async("new", async || Ok::<_, &str>(5)).await;
        assert_eq!(shown(new), (5, Outcome::Created, 0));
        let detached = || region.options().detach().with_outcome();
        assert_eq!(shown(detached().get_or_create_async("task", async || 6).await), (6, Outcome::Created, 0));
        clock.advance(seconds(30));
        assert_eq!(shown(detached().get_or_create_async("task", async || 7).await), (6, Outcome::Fresh, 30));
    });
    let counted = [("hit", 3), ("created", 3), ("fail_safe", 2), ("failed", 1)];
    assert_eq!(outcomes(&region), counted);
}

#[test]
fn stale_value_is_returned_with_its_age() {
    let (region, clock) = expiring(memory());
    region.set("key", 1).unwrap();
    clock.advance(seconds(150));
    let call = || region.options().with_outcome();
    let outer = call().get_or_create("key", || {
        assert_eq!(shown(call().get_or_create("key", || 3)), (1, Outcome::Stale, 150));
        2
    });
    assert_eq!(shown(outer), (2, Outcome::Created, 0));
}

#[test]
fn detached_call_returns_the_stale_value_with_its_age() {
    let (region, clock) = expiring(memory().stale(OnStale::ServeAll));
    region.set("key", 1).unwrap();
    clock.advance(seconds(150));
    smol::block_on(async {
        let call = region.options().detach().with_outcome();
        assert_eq!(shown(call.get_or_create_async("key", async || 2).await), (1, Outcome::Stale, 150));
    });
    until(|| region.get::<i32>("key").unwrap() == Some(2));
}

#[test]
fn waiter_learns_that_it_waited() {
    let region = region(memory());
    let waits = || region.creations().unwrap().first().is_some_and(|creation| creation.waiters == 1);
    std::thread::scope(|scope| {
        let leader = scope.spawn(|| {
            region.options().with_outcome().get_or_create("key", || {
                until(waits);
                1
            })
        });
        until(|| !region.creations().unwrap().is_empty());
        let waited = region.options().with_outcome().get_or_create("key", || 2);
        assert_eq!(shown(waited), (1, Outcome::Waited, 0));
        assert_eq!(shown(leader.join().unwrap()), (1, Outcome::Created, 0));
    });
}

#[test]
fn call_without_its_backend_is_degraded() {
    let store = Arc::new(Failing::default());
    let config = RegionConfig::from_instance(store.clone()).on_backend_failure(OnBackendFailure::Degrade);
    let region = region(config);
    store.fails.store(true, SeqCst);
    let call = || region.options().with_outcome();
    assert_eq!(shown(call().get_or_create("key", || 1)), (1, Outcome::Degraded, 0));
    let task = smol::block_on(call().get_or_create_async("other", async || 2));
    assert_eq!(shown(task), (2, Outcome::Degraded, 0));
}
