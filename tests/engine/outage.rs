//! What regions promise while their backend fails, and once it works again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use dogpile::function::evaluate;
use dogpile::sdk::{CacheBackend, CacheMutex, Capabilities, ErrorKind};
use dogpile::{
    BreakerConfig, BreakerState, CacheRegion, Configuration, OnBackendFailure, RegionConfig, RegionError,
};
use dogpile_tests::errors::told;
use dogpile_tests::events::Events;
use dogpile_tests::regions::{START, region_of};
use dogpile_tests::scripted::Scripted;
use dogpile_tests::threads::{block_on, bounded, together, until};

/// A breaker that never closes again in a test, unless the deletions that wait are made.
fn patient() -> BreakerConfig {
    BreakerConfig::default().failures(3).open_for(Duration::from_secs(3600))
}

/// A breaker that probes often.
fn hasty() -> BreakerConfig {
    BreakerConfig::default().failures(3).open_for(Duration::from_millis(20))
}

/// A breaker that does not open in a test.
fn tolerant() -> BreakerConfig {
    BreakerConfig::default().failures(1_000_000).open_for(Duration::from_millis(20))
}

fn degrading(name: &'static str, store: &Arc<Scripted>, breaker: BreakerConfig) -> CacheRegion {
    let config = RegionConfig::from_instance(store.clone()).on_backend_failure(OnBackendFailure::Degrade);
    region_of(name, config.breaker(breaker))
}

/// Returns the number of calls that a store got.
fn calls(store: &Scripted) -> usize {
    ["get", "set", "delete", "get_multi", "set_multi", "delete_multi"]
        .iter()
        .map(|operation| store.calls(operation))
        .sum()
}

fn healed(region: &CacheRegion) {
    until("the breaker closes", || {
        region.get::<u32>("probe").unwrap();
        region.backend_state().unwrap().breaker == BreakerState::Closed
    });
}

fn replayed(region: &CacheRegion) {
    until("all deletions are made", || region.backend_state().unwrap().queued_deletions == 0);
}

#[test]
fn no_call_fails_while_a_degrading_regions_backend_is_down() {
    use ErrorKind::{Dropped, Other, Panicked, Timeout, Unavailable};
    for kind in [Unavailable, Timeout, Dropped, Panicked, Other] {
        let store = Scripted::with_mutexes();
        let region = degrading("all calls", &store, patient());
        region.set_multi([("old", 1_u32), ("other", 1)]).unwrap();
        store.fail_all(kind);
        for _ in 0..4 {
            assert_eq!(region.get::<u32>("old").unwrap(), None);
            assert_eq!(region.get_multi::<u32>(&["old", "other"]).unwrap(), [None, None]);
            assert!(region.get_value_metadata::<u32>("old").unwrap().is_none());
            region.set("set", 1).unwrap();
            region.set_multi([("a", 1), ("b", 2)]).unwrap();
            region.delete("gone").unwrap();
            region.delete_multi(&["gone", "too"]).unwrap();
            assert_eq!(region.get_or_create("new", || 7).unwrap(), 7);
            assert_eq!(region.get_or_create_multi(&["m", "n"], |keys| vec![8; keys.len()]).unwrap(), [8, 8]);
            assert!(!region.key_is_locked("new").unwrap());
        }
        block_on(async {
            assert_eq!(region.get_async::<u32>("old").await.unwrap(), None);
            assert_eq!(region.get_multi_async::<u32>(&["old", "other"]).await.unwrap(), [None, None]);
            region.set_async("set", 1).await.unwrap();
            region.set_multi_async([("a", 1)]).await.unwrap();
            region.delete_async("gone").await.unwrap();
            region.delete_multi_async(&["gone", "too"]).await.unwrap();
            assert_eq!(region.get_or_create_async("task", || async { 9 }).await.unwrap(), 9);
        });
        let state = region.backend_state().unwrap();
        assert_eq!(state.queued_deletions, 5, "set, a, b, gone, too: {state:?}");
        assert!(state.dropped_writes > 0, "{state:?}");
    }
}

/// Each call costs one exchange until the breaker opens, and none afterwards.
#[test]
fn open_breaker_saves_the_exchange_of_each_call() {
    let store = Scripted::with_mutexes();
    let region = degrading("exchanges", &store, patient());
    store.fail_all(ErrorKind::Timeout);
    let mut exchanges = Vec::new();
    for number in 0..5 {
        let before = calls(&store);
        assert_eq!(region.get_or_create(&format!("key {number}"), || number).unwrap(), number);
        exchanges.push(calls(&store) - before);
    }
    assert_eq!(exchanges, [1, 1, 1, 0, 0]);
    let state = region.backend_state().unwrap();
    assert_eq!((state.breaker, state.consecutive_failures), (BreakerState::Open, 3));
    assert_eq!(state.last_error.as_deref(), Some("scripted failure"));
    assert!(state.refused_calls >= 2 && state.open_for.is_some(), "{state:?}");
    let before = calls(&store);
    region.set("key", 1).unwrap();
    assert_eq!(region.get::<u32>("key").unwrap(), None);
    assert_eq!(block_on(region.get_async::<u32>("key")).unwrap(), None);
    assert_eq!(calls(&store), before);
}

#[test]
fn region_returning_errors_fails_fast_while_breaker_is_open() {
    let store = Scripted::new();
    let region = region_of("fails", RegionConfig::from_instance(store.clone()).breaker(patient()));
    store.fail_all(ErrorKind::Unavailable);
    for _ in 0..3 {
        let error = region.get::<u32>("key").unwrap_err();
        assert!(error.to_string().contains("could not get \"key\""), "{error}");
    }
    let before = calls(&store);
    for error in [
        region.get::<u32>("key").unwrap_err(),
        region.get_or_create("key", || 7).unwrap_err(),
        region.set("key", 7).unwrap_err(),
        region.delete("key").unwrap_err(),
        block_on(region.get_async::<u32>("key")).unwrap_err(),
    ] {
        let text = format!("{error:#}");
        assert!(text.contains("its breaker is open after 3 failed calls in a row"), "{text}");
        assert!(text.contains("the last call failed: scripted failure"), "{text}");
        assert!(error.is_transient(), "{text}");
    }
    assert_eq!(calls(&store), before);
    assert_eq!(region.backend_state().unwrap().queued_deletions, 0, "errors queue nothing");
}

/// By default, nothing changes: every call is made.
#[test]
fn region_without_breaker_makes_every_call() {
    let store = Scripted::new();
    let region = region_of("as before", RegionConfig::from_instance(store.clone()));
    store.fail_all(ErrorKind::Unavailable);
    for number in 1..=20 {
        region.get::<u32>("key").unwrap_err();
        assert_eq!(calls(&store), number);
    }
    assert_eq!(region.backend_state().unwrap().breaker, BreakerState::Closed);
    store.heal();
    assert_eq!(region.get_or_create("key", || 7).unwrap(), 7);
    assert_eq!(region.backend_state().unwrap().consecutive_failures, 0);
}

/// Invalid values and refusals concern the call, and would fail again.
#[test]
fn errors_of_the_call_are_returned_and_do_not_open_the_breaker() {
    use ErrorKind::{Configuration, Fenced, InvalidKey, InvalidValue, NotHeld, Refused};
    for kind in [InvalidKey, InvalidValue, Refused, Configuration, NotHeld, Fenced] {
        let store = Scripted::new();
        let region = degrading("refusals", &store, patient());
        store.fail_all(kind);
        for _ in 0..9 {
            assert_eq!(region.set("key", 1).unwrap_err().backend_error().unwrap().kind(), kind);
        }
        assert_eq!(region.backend_state().unwrap().breaker, BreakerState::Closed);
    }
}

#[test]
fn failing_mutex_of_a_degrading_region_counts_as_absent() {
    bounded(|| {
        let store = Scripted::with_mutexes();
        let region = degrading("no mutex", &store, patient());
        store.mutex("key").fails.store(true, SeqCst);
        let created = AtomicUsize::new(0);
        let values = together(8, |_| {
            region.get_or_create("key", || {
                until("the others wait", || region.creations().unwrap()[0].waiters == 7);
                created.fetch_add(1, SeqCst)
            })
        });
        assert!(values.into_iter().all(|value| value.unwrap() == 0));
        assert_eq!(created.load(SeqCst), 1);
        // With an old value, too, the caller that would have held the mutex creates.
        store.heal();
        region.set("stale", 1_usize).unwrap();
        region.invalidate_soft().unwrap();
        store.mutex("stale").fails.store(true, SeqCst);
        assert_eq!(region.get_or_create("stale", || 2_usize).unwrap(), 2);
    });
}

/// The lock could stay on a server that hangs until its lease ends, and callers would wait for it once the server works again.
#[test]
fn mutex_is_released_if_breaker_opens_during_creation() {
    for is_task in [false, true] {
        bounded(move || {
            let store = Scripted::with_mutexes();
            let region = degrading("released", &store, patient());
            let create = || {
                store.fail_all(ErrorKind::Unavailable);
                (0..3).for_each(|_| assert_eq!(region.get::<u32>("other").unwrap(), None));
                assert_eq!(region.backend_state().unwrap().breaker, BreakerState::Open);
                1
            };
            let value = match is_task {
                false => region.get_or_create("key", create),
                true => block_on(region.get_or_create_async("key", async || create())),
            };
            assert_eq!(value.unwrap(), 1);
            until("the mutex is released", || !store.mutex("key").locked().unwrap());
        });
    }
}

/// Thirty callers find the backend down. One creates at a time, and its value serves the others for a moment.
#[test]
fn one_caller_creates_and_its_value_serves_for_a_second() {
    bounded(|| {
        let store = Scripted::new();
        let region = degrading("one at a time", &store, patient());
        store.fail_all(ErrorKind::Unavailable);
        let (running, created, begun) = (AtomicUsize::new(0), AtomicUsize::new(0), Instant::now());
        let call = || {
            region.get_or_create("key", || {
                assert_eq!(running.fetch_add(1, SeqCst), 0, "two creators run");
                created.fetch_add(1, SeqCst);
                assert_eq!(running.fetch_sub(1, SeqCst), 1);
                7
            })
        };
        together(30, |_| (0..200).for_each(|_| assert_eq!(call().unwrap(), 7)));
        let most = begun.elapsed().as_secs() as usize + 1;
        assert!(created.load(SeqCst) <= most, "{} creations in {most} seconds", created.load(SeqCst));
        assert_eq!(block_on(region.get_async::<i32>("key")).unwrap(), Some(7));
    });
}

#[test]
fn value_created_during_an_outage_is_superseded_by_every_write() {
    let store = Scripted::new();
    let region = degrading("superseded", &store, patient());
    store.fail_all(ErrorKind::Unavailable);
    let created = |value: u32| region.get_or_create("key", || value).unwrap();
    assert_eq!((created(1), created(2)), (1, 1));
    region.set("key", 9).unwrap();
    assert_eq!(created(3), 3, "after a set");
    region.delete("key").unwrap();
    assert_eq!(created(4), 4, "after a delete");
    region.delete_multi(&["other", "key"]).unwrap();
    assert_eq!(created(5), 5, "after a delete of many");
    region.set_multi([("key", 9)]).unwrap();
    assert_eq!(created(6), 6, "after a set of many");
    region.invalidate().unwrap();
    assert_eq!(created(7), 7, "after an invalidation");
    assert_eq!(region.get_or_create_multi(&["key"], |_| vec![8_u32]).unwrap(), [7]);
    // A write during a creation, too.
    region.delete("during").unwrap();
    let during = region.get_or_create("during", || {
        region.delete("during").unwrap();
        1
    });
    assert_eq!(during.unwrap(), 1);
    assert_eq!(region.get_or_create("during", || 2).unwrap(), 2);
}

/// The barrier: a value from before a deletion does not come back, although the backend still has it.
#[test]
fn deleted_key_is_missing_until_its_deletion_was_made() {
    bounded(|| {
        let store = Scripted::new();
        let region = degrading("barrier", &store, tolerant());
        let keys: Vec<String> = (0..10).map(|number| format!("key {number}")).collect();
        region.set_multi(keys.iter().map(|key| (key, 1_u32))).unwrap();
        store.fail_all(ErrorKind::Unavailable);
        keys[..4].iter().for_each(|key| region.delete(key).unwrap());
        region.delete_multi(&keys[4..8]).unwrap();
        region.set(&keys[8], 2_u32).unwrap();
        region.set_multi([(&keys[9], 2_u32)]).unwrap();
        // The backend works again, except that it makes no deletions.
        store.fail("delete_multi", ErrorKind::Unavailable);
        assert_eq!(
            store.stored_keys().iter().filter(|key| key.starts_with("key")).count(),
            10,
            "all are there"
        );
        for key in &keys {
            assert_eq!(region.get::<u32>(key).unwrap(), None, "{key}");
            assert_eq!(block_on(region.get_async::<u32>(key)).unwrap(), None, "{key}");
            assert_eq!(block_on(region.get_or_create_async(key, || async { 3_u32 })).unwrap(), 3, "{key}");
        }
        // What is created after the deletion is stored, and replaces it.
        assert_eq!(region.get_multi::<u32>(&keys).unwrap(), vec![Some(3); 10]);
        replayed(&region);
        store.heal();
        assert_eq!(region.get_multi::<u32>(&keys).unwrap(), vec![Some(3); 10]);
    });
}

/// Regions behind different proxies share the barrier of their store.
#[test]
fn deletion_is_replayed_after_outage_and_seen_by_all_regions() {
    bounded(|| {
        let store = Scripted::new();
        let region = degrading("replay", &store, hasty());
        let prefixed = region_of(
            "prefixed",
            RegionConfig::from_instance(store.clone())
                .wrap_with("dogpile.proxy.key_prefix", serde_json::json!({ "prefix": "p:" })),
        );
        region.set("kept", 1_u32).unwrap();
        prefixed.set("key", 1_u32).unwrap();
        store.fail_all(ErrorKind::Timeout);
        for _ in 0..3 {
            region.get::<u32>("kept").unwrap();
        }
        prefixed.options().on_backend_failure(OnBackendFailure::Degrade).delete("key").unwrap();
        for region in [&region, &prefixed] {
            assert_eq!(region.backend_state().unwrap().queued_deletions, 1, "they share a guard");
        }
        assert_eq!(prefixed.get::<u32>("key").unwrap(), None, "a miss under either policy");
        store.heal();
        replayed(&region);
        assert_eq!(store.keys_of("delete_multi").last().unwrap(), "p:key");
        assert_eq!(store.stored_keys(), ["kept"]);
        assert_eq!(region.backend_state().unwrap().replayed_deletions, 1);
        assert_eq!(
            (region.get::<u32>("kept").unwrap(), prefixed.get::<u32>("key").unwrap()),
            (Some(1), None)
        );
    });
}

#[test]
fn write_that_reaches_the_backend_replaces_a_queued_deletion() {
    bounded(|| {
        let store = Scripted::new();
        let region = degrading("replaced", &store, tolerant());
        region.set_multi([("set", 1_u32), ("deleted", 1)]).unwrap();
        store.fail("delete_multi", ErrorKind::Unavailable);
        region.delete_multi(&["set", "deleted"]).unwrap();
        assert_eq!(region.backend_state().unwrap().queued_deletions, 2);
        region.set("set", 2_u32).unwrap();
        region.delete("deleted").unwrap();
        assert_eq!(region.backend_state().unwrap().queued_deletions, 0);
        assert_eq!(region.get_multi::<u32>(&["set", "deleted"]).unwrap(), [Some(2), None]);
    });
}

/// A full queue loses deletions. Values from before are then missing in this process.
#[test]
fn full_queue_makes_all_older_values_missing() {
    bounded(|| {
        let (store, clock) = (Scripted::new(), Arc::new(dogpile::ManualClock::at(START)));
        let config = RegionConfig::from_instance(store.clone()).clock(clock.clone());
        let region = region_of("full", config.on_backend_failure(OnBackendFailure::Degrade).breaker(hasty()));
        region.set_multi([("old", 1_u32), ("deleted", 1)]).unwrap();
        store.fail_all(ErrorKind::Unavailable);
        let many: Vec<String> = (0..10_000).map(|number| number.to_string()).collect();
        region.delete_multi(&many).unwrap();
        region.delete("deleted").unwrap();
        let state = region.backend_state().unwrap();
        assert_eq!((state.queued_deletions, state.lost_deletions), (10_000, 1));
        clock.advance(Duration::from_secs(1));
        store.heal();
        replayed(&region);
        assert!(store.get("deleted").unwrap().is_some(), "the backend still has it");
        assert_eq!(region.get_multi::<u32>(&["old", "deleted"]).unwrap(), [None, None]);
        assert_eq!(region.get_or_create("deleted", || 2_u32).unwrap(), 2);
        assert_eq!(region.get::<u32>("deleted").unwrap(), Some(2));
    });
}

/// A deletion that the backend rejects is not tried forever.
#[test]
fn rejected_deletion_is_lost_and_the_others_are_made() {
    bounded(|| {
        let store = Scripted::new();
        let region = degrading("rejected", &store, hasty());
        region.set_multi([("a", 1_u32), ("b", 1)]).unwrap();
        store.fail_all(ErrorKind::Unavailable);
        region.delete_multi(&["a", "b"]).unwrap();
        store.fail("delete_multi", ErrorKind::Refused);
        healed(&region);
        replayed(&region);
        assert_eq!(region.backend_state().unwrap().lost_deletions, 2);
        store.heal();
        assert_eq!(region.get_multi::<u32>(&["a", "b"]).unwrap(), [None, None], "they are still missing");
    });
}

#[test]
fn opening_and_closing_are_logged_once_and_calls_are_not() {
    bounded(|| {
        let store = Scripted::with_capabilities(Capabilities::default().with_scope("logged-store"));
        let events = Events::with("backend", "logged-store");
        let region = degrading("logged", &store, hasty());
        let of_region = Events::of_region("logged");
        store.fail_all(ErrorKind::Unavailable);
        for number in 0..100 {
            region.get_or_create(&number.to_string(), || number).unwrap();
            region.set("key", number).unwrap();
        }
        let warnings: Vec<_> =
            of_region.take().into_iter().filter(|told| told.level <= tracing::Level::WARN).collect();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert_eq!(warnings[0].message, "a backend failed; the call goes on without it");
        let fields = &warnings[0].fields;
        assert_eq!((&*fields["key"], &*fields["operation"]), ("\"0\"", "get"));
        assert!(fields["error"].contains("scripted failure"), "{fields:?}");
        store.heal();
        healed(&region);
        replayed(&region);
        let told = events.take().into_iter().filter(|told| told.level <= tracing::Level::INFO);
        let mut messages: Vec<String> = told.map(|told| told.message).collect();
        messages.sort();
        messages.dedup();
        let expected = [
            "a backend failed; the call goes on without it",
            "a backend made the deletions that waited for it",
            "the breaker of a backend closed; its calls are made again",
            "the breaker of a backend opened; its calls fail at once until a probe succeeds",
        ];
        assert_eq!(messages, expected);
    });
}

/// The calls of a cached function, whose region degrades, share one evaluation.
#[test]
fn function_of_a_degrading_region_is_evaluated_by_one_caller() {
    bounded(|| {
        let store = Scripted::new();
        let region = degrading("function", &store, patient());
        store.fail_all(ErrorKind::Unavailable);
        let evaluated = AtomicUsize::new(0);
        let values = together(8, |_| {
            evaluate(region.options(), "key", (), |()| {
                until("the others wait", || region.creations().unwrap()[0].waiters == 7);
                evaluated.fetch_add(1, SeqCst);
                Ok::<u32, RegionError>(7)
            })
        });
        assert!(values.into_iter().all(|value| value.unwrap() == 7));
        assert_eq!(evaluated.load(SeqCst), 1);
    });
}

#[test]
fn options_and_configurations_choose_the_policy() {
    let store = Scripted::new();
    let region = region_of("options", RegionConfig::from_instance(store.clone()));
    store.fail_all(ErrorKind::Unavailable);
    let degrades = region.options().on_backend_failure(OnBackendFailure::Degrade);
    assert_eq!(degrades.get::<u32>("key").unwrap(), None);
    assert_eq!(degrades.get_or_create("key", || 7).unwrap(), 7);
    region.get::<u32>("key").unwrap_err();
    let strict = degrading("strict call", &Scripted::new(), patient());
    let strict_call = strict.options().on_backend_failure(OnBackendFailure::Error);
    assert_eq!(strict_call.get::<u32>("key").unwrap(), None);

    let document = "[regions.toml]\nbackend = \"dogpile.cache.memory\"\non_backend_failure = \"degrade\"\n\
                    breaker = { failures = 7, open_for = \"200ms\" }";
    Configuration::from_toml(document).unwrap().regions().unwrap();
    for (wrong, problem) in [
        ("on_backend_failure = \"ignore\"", "unknown variant `ignore`, expected `error` or `degrade`"),
        ("breaker = { failures = 0 }", "invalid \"failures\" of the breaker: 0; give at least 1"),
        ("breaker = { open_for = 0 }", "invalid \"open_for\" of the breaker: 0ns; give more than 0"),
        ("breaker = { open = 1 }", "unknown field `open`"),
    ] {
        let document = format!("[regions.toml]\nbackend = \"dogpile.cache.memory\"\n{wrong}");
        let error = Configuration::from_toml(&document)
            .map_err(|error| format!("{error:#}"))
            .and_then(|read| read.regions().map(drop).map_err(|error| told(&error)))
            .unwrap_err();
        assert!(error.contains(problem), "{wrong}: {error}");
    }
    let flat = [
        ("backend", "dogpile.cache.memory"),
        ("on_backend_failure", "degrade"),
        ("breaker.failures", "7"),
        ("breaker.open_for", "0.2"),
    ];
    drop(RegionConfig::from_flat(flat, "").unwrap());
    let error = RegionConfig::from_flat([("backend", "x"), ("on_backend_failure", "no")], "").unwrap_err();
    assert!(error.to_string().contains("expected \"error\" or \"degrade\""), "{error}");
}
