//! Calls that return how they got their value, and its age.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use dogpile::{
    Aged, CacheRegion, Created, FailSafe, OnBackendFailure, OnStale, Outcome, RegionConfig, Served,
};

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

/// One key is fresh. The backend fails while the other one is created.
#[test]
fn key_that_was_served_before_an_outage_is_not_degraded() {
    type Form = fn(&CacheRegion, &Failing) -> Vec<Served<i32>>;
    let forms: [Form; 3] = [
        |region, store| {
            let create = |keys: &[&str]| {
                store.fails.store(true, SeqCst);
                vec![2; keys.len()]
            };
            region.options().with_outcome().get_or_create_multi(&["new", "old"], create).unwrap()
        },
        |region, store| {
            let create = async |keys: Vec<String>| {
                store.fails.store(true, SeqCst);
                vec![2; keys.len()]
            };
            let call = region.options().with_outcome();
            smol::block_on(call.get_or_create_multi_async(&["new", "old"], create)).unwrap()
        },
        |region, store| {
            let create = |keys: &[&str], _: Vec<Option<Aged<i32>>>| {
                store.fails.store(true, SeqCst);
                Ok::<_, &str>(keys.iter().map(|_| Created::new(2)).collect())
            };
            region.options().with_outcome().get_or_create_multi_with(&["new", "old"], create).unwrap()
        },
    ];
    for call in forms {
        for store in [Failing::default(), Failing::immediate()] {
            let store = Arc::new(store);
            let config = RegionConfig::from_instance(store.clone()).statistics(true);
            let region = region(config.on_backend_failure(OnBackendFailure::Degrade));
            region.set("old", 1).unwrap();
            let served = call(&region, &store);
            assert_eq!(all_shown(Ok::<_, ()>(served)), [(2, Outcome::Degraded, 0), (1, Outcome::Fresh, 0)]);
            assert_eq!(outcomes(&region), [("hit", 1), ("degraded", 1)]);
        }
    }
}

fn all_shown<E: std::fmt::Debug>(served: Result<Vec<Served<i32>>, E>) -> Vec<(i32, Outcome, u64)> {
    served.unwrap().into_iter().map(|served| shown(Ok::<_, E>(served))).collect()
}

/// Each of several keys has an outcome and an age of its own. A key that was given twice has it twice.
#[test]
fn each_key_of_a_multi_call_has_an_outcome() {
    for store in [Failing::default(), Failing::immediate()] {
        let config = RegionConfig::from_instance(Arc::new(store)).statistics(true);
        let (region, clock) = expiring(config.stale(OnStale::Serve));
        let call = || region.options().with_outcome();
        let detached = || region.options().detach().with_outcome();
        let fresh = (1, Outcome::Fresh, 60);
        let made = (2, Outcome::Created, 0);
        let keys = |new: &'static str| ["old", new, "old"];
        region.set("old", 1).unwrap();
        clock.advance(seconds(60));
        let expected = [fresh, made, fresh];
        let make = |keys: &[&str]| vec![2; keys.len()];
        assert_eq!(all_shown(call().get_or_create_multi(&keys("a"), make)), expected);
        let fallible = |keys: &[&str]| Ok::<_, &str>(vec![2; keys.len()]);
        assert_eq!(all_shown(call().try_get_or_create_multi(&keys("b"), fallible)), expected);
        let deciding = |keys: &[&str], _: Vec<Option<Aged<i32>>>| {
            Ok::<_, &str>(keys.iter().map(|_| Created::uncached(2)).collect())
        };
        let served = call().get_or_create_multi_with(&keys("c"), deciding).unwrap();
        assert!(served.iter().all(|served| !served.is_stored));
        assert_eq!(all_shown(Ok::<_, ()>(served)), expected);
        smol::block_on(async {
            let make = async |keys: Vec<String>| vec![2; keys.len()];
            assert_eq!(all_shown(call().get_or_create_multi_async(&keys("d"), make).await), expected);
            assert_eq!(all_shown(detached().get_or_create_multi_async(&keys("e"), make).await), expected);
            let fallible = async |keys: Vec<String>| Ok::<_, &str>(vec![2; keys.len()]);
            assert_eq!(all_shown(call().try_get_or_create_multi_async(&keys("f"), fallible).await), expected);
            assert_eq!(
                all_shown(detached().try_get_or_create_multi_async(&keys("g"), fallible).await),
                expected
            );
            let deciding = async |keys: Vec<String>, _: Vec<Option<Aged<i32>>>| {
                Ok::<_, &str>(keys.iter().map(|_| Created::new(2)).collect())
            };
            let served = call().get_or_create_multi_with_async(&keys("h"), deciding).await;
            assert!(served.as_ref().unwrap()[1].is_stored);
            assert_eq!(all_shown(served), expected);
            let served = detached().get_or_create_multi_with_async(&keys("i"), deciding).await;
            assert_eq!(all_shown(served), expected);
            let one = async |_: Option<Aged<i32>>| Ok::<_, &str>(Created::new(2));
            assert_eq!(shown(detached().get_or_create_with_async("j", one).await), made);
        });
        // Each key counts once.
        assert_eq!(outcomes(&region), [("hit", 9), ("created", 10)]);
        clock.advance(seconds(60));
        let all_fresh = all_shown(call().get_or_create_multi(&["a", "b"], make));
        assert_eq!(all_fresh, [(2, Outcome::Fresh, 60); 2]);
    }
}
