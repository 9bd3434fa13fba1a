//! Each requested key is counted once, by its ending.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use dogpile::{
    CacheRegion, Configuration, CreateError, CreatorTimeout, FailSafe, OnCreatorFailure, RegionConfig, Share,
};

use super::setup::{counted, expiring, memory, outcomes, region, runner, seconds, until};

#[derive(Debug)]
struct Failure;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the test's creator fails")
    }
}

fn fail() -> Result<i32, Failure> {
    Err(Failure)
}

#[test]
fn region_without_statistics_returns_none() {
    let region = region(RegionConfig::new("dogpile.cache.memory"));
    region.get_or_create("key", || 1).unwrap();
    assert_eq!(region.statistics().unwrap(), None);
}

#[test]
fn unconfigured_region_has_no_statistics() {
    assert!(CacheRegion::new("new").statistics().is_err());
}

#[test]
fn hits_misses_and_creations_are_counted() {
    let region = region(memory());
    assert_eq!(region.get::<i32>("key").unwrap(), None);
    region.get_or_create("key", || 1).unwrap();
    region.get_or_create("key", || 1).unwrap();
    region.get::<i32>("key").unwrap();
    region.get_value_metadata::<i32>("key").unwrap();
    assert_eq!(outcomes(&region), [("hit", 3), ("created", 1), ("miss", 1)]);
    let counted = counted(&region);
    assert_eq!((counted.requests(), counted.misses(), counted.hit_ratio()), (5, 2, Some(0.6)));
    assert_eq!((counted.creation.count(), counted.failed_creations, counted.waiters_saved()), (1, 0, 0));
}

#[test]
fn each_key_of_a_multi_call_is_counted() {
    let region = region(memory());
    region.set("a", 1).unwrap();
    region.get_multi::<i32>(&["a", "b", "a"]).unwrap();
    assert_eq!(outcomes(&region), [("hit", 2), ("miss", 1)]);
    region.get_or_create_multi(&["a", "b", "c", "b"], |keys| vec![1; keys.len()]).unwrap();
    assert_eq!(outcomes(&region), [("hit", 3), ("created", 2), ("miss", 1)]);
    assert_eq!(counted(&region).creation.count(), 1);
}

#[test]
fn tasks_are_counted_as_threads_are() {
    let region = region(memory());
    smol::block_on(async {
        assert_eq!(region.get_async::<i32>("key").await.unwrap(), None);
        region.get_or_create_async("key", async || 1).await.unwrap();
        region.get_or_create_async("key", async || 1).await.unwrap();
        region.get_async::<i32>("key").await.unwrap();
        region.get_multi_async::<i32>(&["key", "other"]).await.unwrap();
        region
            .get_or_create_multi_async(&["key", "b"], async |keys: Vec<String>| vec![1; keys.len()])
            .await
            .unwrap();
        region.options().detach().get_or_create_async("key", async || 1).await.unwrap();
        region.options().detach().get_or_create_async("detached", async || 1).await.unwrap();
    });
    assert_eq!(outcomes(&region), [("hit", 5), ("created", 3), ("miss", 2)]);
}

#[test]
fn dropped_call_is_canceled() {
    let region = region(memory());
    smol::block_on(async {
        let creator = async || std::future::pending::<i32>().await;
        let call = region.get_or_create_async("key", creator);
        let mut call = std::pin::pin!(call);
        assert!(smol::future::poll_once(call.as_mut()).await.is_none());
    });
    assert_eq!(outcomes(&region), [("canceled", 1)]);
}

#[test]
fn panicking_creator_is_canceled() {
    let region = region(memory());
    let panicked =
        catch_unwind(AssertUnwindSafe(|| region.get_or_create("key", || -> i32 { panic!("planned") })));
    assert!(panicked.is_err());
    assert_eq!(outcomes(&region), [("canceled", 1)]);
}

/// A panic ends the call of a creator, wherever it runs.
#[test]
fn panicking_creator_is_a_failed_creation() {
    let (region, clock) = expiring(memory().async_creation_runner(runner()));
    let panic = || -> i32 { std::panic::panic_any("planned") };
    let failed = |creations: u64| {
        let counted = counted(&region);
        (counted.failed_creations, counted.creation.count()) == (creations, creations)
    };
    let thread = || region.get_or_create("thread", panic);
    assert!(catch_unwind(AssertUnwindSafe(thread)).is_err() && failed(1));
    let many = || region.get_or_create_multi(&["a", "b"], |_| vec![panic(); 2]);
    assert!(catch_unwind(AssertUnwindSafe(many)).is_err() && failed(2));
    let task = || smol::block_on(region.get_or_create_async("task", async || panic()));
    assert!(catch_unwind(AssertUnwindSafe(task)).is_err() && failed(3));
    let detached = || {
        let call = region.options().detach();
        smol::block_on(call.get_or_create_async("detached", async move || panic()))
    };
    assert!(catch_unwind(AssertUnwindSafe(detached)).is_err() && failed(4));
    region.set_multi([("stale", 1)]).unwrap();
    clock.advance(seconds(200));
    assert_eq!(region.options().background().get_or_create("stale", panic).unwrap(), 1);
    until(|| failed(5));
    assert_eq!(outcomes(&region), [("stale_served", 1), ("canceled", 5)]);
}

#[test]
fn errors_are_counted_by_their_kind() {
    let limits = CreatorTimeout::OFF.hard(Duration::from_millis(10));
    let region = region(memory().creator_timeout(limits));
    assert!(region.try_get_or_create("key", fail).is_err());
    assert!(region.get::<i32>("").is_err(), "an empty key is invalid");
    assert!(region.get_or_create("", || 1).is_err());
    assert!(region.get_multi::<i32>(&["a", ""]).is_err());
    let slow =
        smol::block_on(region.get_or_create_async("key", async || std::future::pending::<i32>().await));
    assert!(slow.is_err());
    assert_eq!(outcomes(&region), [("failed", 5), ("timed_out", 1)]);
    assert_eq!((counted(&region).failed_creations, counted(&region).creation.count()), (2, 2));
}

#[test]
fn stale_and_old_values_are_counted_apart() {
    let config = memory().max_stale(50).fail_safe(FailSafe::new(seconds(1000)));
    let (region, clock) = expiring(config);
    region.set("key", 1).unwrap();
    clock.advance(seconds(120));
    // The creator finds the key stale, and so does a call within it, which gets the stale value.
    let served = region.get_or_create("key", || region.get_or_create("key", || 3).unwrap_or(2));
    assert!(served.is_ok());
    region.set("key", 1).unwrap();
    clock.advance(seconds(200));
    assert_eq!(region.try_get_or_create("key", fail).unwrap(), 1);
    assert_eq!(outcomes(&region), [("stale_served", 1), ("created", 1), ("fail_safe", 1)]);
}

#[test]
fn early_refresh_is_counted_besides_its_hit() {
    let runner = runner();
    let (region, clock) = expiring(memory().early_refresh(Share::percent(80)).async_creation_runner(runner));
    region.set("key", 1).unwrap();
    clock.advance(seconds(90));
    assert_eq!(region.options().background().get_or_create("key", || 2).unwrap(), 1);
    until(|| region.get::<i32>("key").unwrap() == Some(2));
    let counted = counted(&region);
    assert_eq!((counted.early_refreshes, counted.created, counted.creation.count()), (1, 0, 1));
    assert!(counted.fresh_hits >= 2);
}

#[test]
fn superseded_value_is_counted() {
    let region = region(memory());
    let created = region.get_or_create("key", || {
        region.set("key", 2).unwrap();
        1
    });
    assert_eq!(created.unwrap(), 1);
    assert_eq!(counted(&region).superseded, 1);
}

#[test]
fn waiter_is_saved_and_its_wait_is_timed() {
    let region = region(memory());
    let waits = || region.creations().unwrap().first().is_some_and(|creation| creation.waiters == 1);
    std::thread::scope(|scope| {
        let leader = scope.spawn(|| {
            region.get_or_create("key", || {
                until(waits);
                1
            })
        });
        until(|| !region.creations().unwrap().is_empty());
        assert_eq!(region.get_or_create("key", || 2).unwrap(), 1);
        assert_eq!(leader.join().unwrap().unwrap(), 1);
    });
    assert_eq!(outcomes(&region), [("created", 1), ("waited", 1)]);
    let counted = counted(&region);
    assert_eq!((counted.waiters_saved(), counted.wait.count()), (1, 1));
}

#[test]
fn shared_failure_counts_for_each_waiter() {
    let region = region(memory().on_creator_failure(OnCreatorFailure::Share));
    let waits = || region.creations().unwrap().first().is_some_and(|creation| creation.waiters == 1);
    std::thread::scope(|scope| {
        let leader = scope.spawn(|| {
            region.try_get_or_create("key", || {
                until(waits);
                fail()
            })
        });
        until(|| !region.creations().unwrap().is_empty());
        let shared = region.try_get_or_create("key", fail);
        assert!(matches!(shared, Err(CreateError::Shared(_))), "{shared:?}");
        assert!(leader.join().unwrap().is_err());
    });
    assert_eq!(outcomes(&region), [("failed", 2)]);
    assert_eq!(counted(&region).failed_creations, 1);
}

#[test]
fn counts_outlive_the_backend() {
    let region = region(memory());
    region.get_or_create("key", || 1).unwrap();
    region.configure(RegionConfig::new("dogpile.cache.memory").replace_existing_backend()).unwrap();
    region.get_or_create("key", || 1).unwrap();
    assert_eq!(outcomes(&region), [("created", 2)]);
    let off = RegionConfig::new("dogpile.cache.memory").statistics(false).replace_existing_backend();
    region.configure(off).unwrap();
    assert_eq!(region.statistics().unwrap(), None);
}

#[test]
fn configuration_turns_statistics_on() {
    let toml = "[regions.prices]\nbackend = \"dogpile.cache.memory\"\nstatistics = true";
    let regions = Configuration::from_toml(toml).unwrap().regions().unwrap();
    assert!(regions["prices"].statistics().unwrap().is_some());
    let flat = [("backend", "dogpile.cache.memory"), ("statistics", "true")];
    let region = region(RegionConfig::from_flat(flat, "").unwrap());
    assert!(region.statistics().unwrap().is_some());
}
