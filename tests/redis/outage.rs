//! A Redis server that is killed or frozen under a region that goes on without it, and one that reports errors.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use dogpile::{BreakerConfig, BreakerState, CacheRegion, OnBackendFailure, RegionConfig};
use dogpile_tests::redis::RedisServer;
use dogpile_tests::regions::region_of;
use dogpile_tests::threads::{bounded, together, until};

use super::asynchronous::runtime;
use super::{say, server};

/// The time that one exchange may take.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The time that one exchange takes at most, and less than a second one for a busy machine.
const ALLOWED: Duration = Duration::from_millis(1_900);

/// The failures in a row that open the breaker.
const FAILURES: u32 = 3;

fn region(server: &RedisServer, policy: OnBackendFailure) -> CacheRegion {
    let config = RegionConfig::new("dogpile.cache.redis")
        .argument("host", "127.0.0.1")
        .argument("port", server.port())
        .argument("socket_timeout", TIMEOUT.as_secs_f64())
        .argument("distributed_lock", true)
        .on_backend_failure(policy)
        .breaker(BreakerConfig::default().failures(FAILURES).open_for(Duration::from_millis(200)));
    region_of("outage", config)
}

/// Does `work`, and fails if it takes longer than `allowed`.
fn within<T>(allowed: Duration, what: &str, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let done = work();
    assert!(begun.elapsed() <= allowed, "{what} took {:?}", begun.elapsed());
    done
}

fn until_it_works(region: &CacheRegion) {
    until("the backend works again", || {
        drop(region.get::<u32>("probe"));
        let state = region.backend_state().unwrap();
        state.breaker == BreakerState::Closed && state.queued_deletions == 0
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn killed_server_causes_no_error_and_one_creation_at_a_time() {
    bounded(|| {
        let mut server = server(&[]);
        let region = region(&server, OnBackendFailure::Degrade);
        region.set("old", 1_u32).unwrap();
        server.kill();
        let runtime = runtime();
        let running: Vec<AtomicUsize> = (0..4).map(|_| AtomicUsize::new(0)).collect();
        let (created, stop, begun) = (AtomicUsize::new(0), AtomicBool::new(false), Instant::now());
        let create = |key: usize| {
            assert_eq!(running[key].fetch_add(1, SeqCst), 0, "two creators of one key run");
            created.fetch_add(1, SeqCst);
            running[key].fetch_sub(1, SeqCst);
            7_u32
        };
        let calls = together(8, |number| {
            let mut calls = 0;
            while begun.elapsed() < Duration::from_secs(2) && !stop.load(SeqCst) {
                let key = calls % 4;
                let value = if number % 2 == 0 {
                    region.get_or_create(&key.to_string(), || create(key))
                } else {
                    runtime.block_on(region.get_or_create_async(&key.to_string(), || async { create(key) }))
                };
                assert_eq!(value.unwrap(), 7);
                assert_eq!(region.get::<u32>("missing").unwrap(), None);
                calls += 1;
            }
            calls
        });
        let seconds = begun.elapsed().as_secs() as usize + 1;
        let created = created.load(SeqCst);
        assert!(created <= 4 * seconds, "{created} creations of 4 keys in {seconds} s");
        assert!(calls.iter().sum::<usize>() > 10 * created, "{calls:?} calls");
        region.set("set", 2_u32).unwrap();
        region.delete("old").unwrap();
        assert_eq!(region.backend_state().unwrap().queued_deletions, 2);
        server.start_again();
        until_it_works(&region);
        assert_eq!(region.get_or_create("after", || 8_u32).unwrap(), 8);
        assert_eq!(say(server.port(), "EXISTS after"), ":1\r\n");
    });
}

/// Until the breaker opens, a call costs one exchange. Afterwards it costs none. When the server goes on, no value comes
/// back that was deleted or replaced meanwhile.
#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn frozen_server_costs_one_exchange_and_revives_no_old_value() {
    bounded(|| {
        let server = server(&[]);
        let (region, runtime) = (region(&server, OnBackendFailure::Degrade), runtime());
        let old = ["deleted", "deleted by a task", "deleted with others", "set", "set by a task", "kept"];
        region.set_multi(old.map(|key| (key, 1_u32))).unwrap();
        server.process().stop();
        within(ALLOWED, "a creation", || assert_eq!(region.get_or_create("new", || 7_u32).unwrap(), 7));
        within(ALLOWED, "a deletion", || region.delete("deleted").unwrap());
        within(ALLOWED, "a creation by a task", || {
            let created = runtime.block_on(region.get_or_create_async("newer", || async { 7_u32 }));
            assert_eq!(created.unwrap(), 7);
        });
        // The deletion that waits may be the call that opens the breaker.
        until("the breaker opens", || {
            region.get::<u32>("kept").unwrap();
            region.backend_state().unwrap().breaker != BreakerState::Closed
        });
        // Of all these calls, only probes wait for the server: one at a time, and at most one per call.
        let begun = Instant::now();
        runtime.block_on(region.delete_async("deleted by a task")).unwrap();
        region.delete_multi(&["deleted with others"]).unwrap();
        region.set("set", 2_u32).unwrap();
        runtime.block_on(region.set_async("set by a task", 2_u32)).unwrap();
        let slow = (0..500)
            .filter(|number| {
                let begun = Instant::now();
                region.get_or_create(&format!("key {number}"), || 7_u32).unwrap();
                begun.elapsed() > TIMEOUT / 2
            })
            .count();
        assert!(slow <= 1 + begun.elapsed().as_secs() as usize, "{slow} of 500 calls waited");
        server.process().go_on();
        let is_old = |key: &&&str| region.get::<u32>(key).unwrap() == Some(1);
        until("the deletions are made", || {
            let back: Vec<_> = old[..5].iter().filter(is_old).collect();
            assert!(back.is_empty(), "old values came back: {back:?}");
            let state = region.backend_state().unwrap();
            state.breaker == BreakerState::Closed && state.queued_deletions == 0
        });
        for key in &old[..5] {
            assert_eq!(say(server.port(), &format!("EXISTS \"{key}\"")), ":0\r\n", "{key}");
            assert_eq!(runtime.block_on(region.get_async::<u32>(key)).unwrap(), None, "{key}");
        }
        assert_eq!(region.get::<u32>("kept").unwrap(), Some(1));
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn breaker_bounds_the_time_of_calls_that_return_errors() {
    bounded(|| {
        let server = server(&[]);
        let (region, runtime) = (region(&server, OnBackendFailure::Error), runtime());
        region.set("key", 1_u32).unwrap();
        server.process().stop();
        for _ in 0..FAILURES {
            region.get::<u32>("key").unwrap_err();
        }
        let (begun, mut waited) = (Instant::now(), 0);
        for _ in 0..500 {
            let begun = Instant::now();
            region.get::<u32>("key").unwrap_err();
            region.delete("key").unwrap_err();
            runtime.block_on(region.get_or_create_async("key", || async { 1_u32 })).unwrap_err();
            waited += usize::from(begun.elapsed() > TIMEOUT / 2);
        }
        assert!(waited <= 1 + begun.elapsed().as_secs() as usize, "{waited} of 500 rounds waited");
        server.process().go_on();
        until_it_works(&region);
        assert_eq!(region.get::<u32>("key").unwrap(), Some(1), "an error deletes nothing");
    });
}
