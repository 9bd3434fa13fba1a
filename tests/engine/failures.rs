//! Failures of the mutex and of the store.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

use dogpile::lock::LockError;
use dogpile::sdk::ErrorKind;
use dogpile::{CacheRegion, FailSafe, ManualClock, OnBackendFailure, OnStale, RegionConfig, RegionError};
use dogpile_tests::events::{Events, Told};
use dogpile_tests::front::Front;
use dogpile_tests::regions::{START, region_of};
use dogpile_tests::scripted::Scripted;
use dogpile_tests::threads::{block_on, bounded, together, until};

/// After this time, a warning of the same kind is logged again.
const WARNING_PAUSE: Duration = Duration::from_secs(11);

fn with_stale_values(name: &'static str, store: &Arc<Scripted>) -> (CacheRegion, Arc<ManualClock>) {
    let (region, clock) = with_clock(name, store);
    region.set_multi([("a", 1), ("b", 1)]).unwrap();
    region.invalidate_soft().unwrap();
    (region, clock)
}

fn with_clock(name: &'static str, store: &Arc<Scripted>) -> (CacheRegion, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(START));
    (region_of(name, RegionConfig::from_instance(store.clone()).clock(clock.clone())), clock)
}

fn warnings(events: &Events) -> Vec<Told> {
    events.take().into_iter().filter(|told| told.level == tracing::Level::WARN).collect()
}

#[test]
fn stale_value_is_served_if_the_mutex_fails() {
    let (store, events) = (Scripted::with_mutexes(), Events::of_region("stale"));
    let (region, clock) = with_stale_values("stale", &store);
    store.mutex("a").fails.store(true, SeqCst);
    assert_eq!(region.get_or_create("a", || 2).unwrap(), 1);
    clock.advance(WARNING_PAUSE);
    assert_eq!(region.get_or_create_multi(&["a", "b"], |keys| vec![2; keys.len()]).unwrap(), [1, 2]);
    let warnings = warnings(&events);
    assert_eq!(warnings.len(), 2);
    for warning in warnings {
        assert_eq!(warning.message, "the mutex failed; the old value is served");
        assert_eq!((&*warning.fields["key"], &*warning.fields["error"]), ("\"a\"", "scripted failure"));
    }
    assert_eq!(region.creations().unwrap(), []);
}

/// The server of the locks fails, and the one of the values works. With fail-safe, callers that would wait for a new value
/// get the old one, stale or past `max_stale`.
#[test]
fn failing_mutex_serves_the_old_value_with_fail_safe() {
    for (front, age) in
        [Front::Blocking, Front::Asynchronous].into_iter().flat_map(|front| [(front, 120), (front, 500)])
    {
        let (store, clock) = (Scripted::with_mutexes(), Arc::new(ManualClock::at(START)));
        let events = Events::of_region("no lock, but fail-safe");
        let config = RegionConfig::from_instance(store.clone()).clock(clock.clone()).expiration_time(100);
        let config =
            config.stale(OnStale::Wait).max_stale(50).fail_safe(FailSafe::new(Duration::from_secs(1000)));
        let region = region_of("no lock, but fail-safe", config);
        region.set_multi([("a", 1), ("b", 1)]).unwrap();
        clock.advance(Duration::from_secs(age));
        ["a", "b", "missing"].iter().for_each(|key| store.mutex(key).fails.store(true, SeqCst));
        assert_eq!(front.get_or_create(&region, "a", &2).unwrap(), 1);
        clock.advance(WARNING_PAUSE);
        let many = |keys: &[&str]| match front {
            Front::Blocking => region.get_or_create_multi(keys, |keys| vec![2; keys.len()]),
            Front::Asynchronous => block_on(
                region
                    .get_or_create_multi_async(keys, |keys: Vec<String>| async move { vec![2; keys.len()] }),
            ),
        };
        assert_eq!(many(&["a", "b"]).unwrap(), [1, 1]);
        let warnings = warnings(&events);
        assert_eq!(warnings.len(), 2, "one for each pause: {warnings:?}");
        assert!(
            warnings.iter().all(|warning| warning.message == "the mutex failed; the old value is served")
        );
        // Without an old value, there is nothing to serve.
        for error in
            [front.get_or_create(&region, "missing", &2).unwrap_err(), many(&["a", "missing"]).unwrap_err()]
        {
            assert!(matches!(error, RegionError::Lock { source: LockError::Mutex(_), .. }), "{error:?}");
        }
        let exposed = region.options().fail_safe(FailSafe::OFF);
        exposed.get_or_create("a", || 2).unwrap_err();
        assert_eq!(region.creations().unwrap(), []);
        // A call that goes on without its backend creates without the mutex.
        let degrading = region.options().on_backend_failure(OnBackendFailure::Degrade);
        assert_eq!(degrading.get_or_create("a", || 2).unwrap(), 2);
    }
}

/// The scenarios of the engine order who waits.
#[test]
fn failing_mutex_serves_the_old_value_to_all_callers() {
    bounded(|| {
        let (store, clock) = (Scripted::with_mutexes(), Arc::new(ManualClock::at(START)));
        let config = RegionConfig::from_instance(store.clone()).clock(clock.clone()).expiration_time(100);
        let config = config.max_stale(50).fail_safe(FailSafe::new(Duration::from_secs(1000)));
        let region = region_of("waiters without a lock", config);
        region.set("key", 1).unwrap();
        clock.advance(Duration::from_secs(500));
        store.mutex("key").fails.store(true, SeqCst);
        let call = |number: usize| {
            [Front::Blocking, Front::Asynchronous][number % 2].get_or_create(&region, "key", &2)
        };
        assert!(together(8, call).into_iter().all(|value| value.unwrap() == 1));
        assert_eq!(region.creations().unwrap(), []);
    });
}

/// A failing server is called once for all waiters, not once for each.
#[test]
fn failing_mutex_fails_all_waiters_at_once() {
    bounded(|| {
        let store = Scripted::with_mutexes();
        let region = region_of("failing", RegionConfig::from_instance(store.clone()));
        let mutex = store.mutex("key");
        mutex.fails.store(true, SeqCst);
        for result in together(8, |_| region.get_or_create("key", || 1)) {
            let error = result.unwrap_err();
            assert!(matches!(error, RegionError::Lock { source: LockError::Mutex(_), .. }), "{error:?}");
            assert_eq!(error.backend_error().unwrap().kind(), ErrorKind::Unavailable);
        }
        assert_eq!(region.creations().unwrap(), []);
    });
}

#[test]
fn created_value_is_returned_if_the_store_fails() {
    let (store, events) = (Scripted::new(), Events::of_region("refused"));
    let (region, clock) = with_clock("refused", &store);
    store.fail("set", ErrorKind::Unavailable);
    assert_eq!(region.get_or_create("a", || 1).unwrap(), 1);
    store.fail("set_multi", ErrorKind::InvalidValue);
    clock.advance(WARNING_PAUSE);
    assert_eq!(region.get_or_create_multi(&["a", "b"], |keys| vec![2; keys.len()]).unwrap(), [2, 2]);
    let warnings = warnings(&events);
    let keys = ["\"a\"", "[\"a\", \"b\"]"];
    assert_eq!(warnings.len(), keys.len());
    for (warning, key) in warnings.iter().zip(keys) {
        assert_eq!(warning.message, "a created value was not stored; its caller still gets it");
        assert!(warning.fields["error"].contains(key), "{warning:?}");
    }
    store.heal();
    assert_eq!(region.get_multi::<i32>(&["a", "b"]).unwrap(), [None, None]);
}

/// A failing read is an error for its caller. The others read for themselves.
#[test]
fn leaders_failing_read_lets_its_waiters_read() {
    bounded(|| {
        let store = Scripted::with_mutexes();
        let region = region_of("unread", RegionConfig::from_instance(store.clone()));
        let elsewhere = store.mutex("key");
        assert!(dogpile::sdk::CacheMutex::try_acquire(&*elsewhere).unwrap());
        thread::scope(|scope| {
            let callers: Vec<_> = (0..4).map(|_| scope.spawn(|| region.get_or_create("key", || 1))).collect();
            until("all wait", || region.creations().unwrap().first().is_some_and(|first| first.waiters == 3));
            until("the leader waits", || elsewhere.waits.load(SeqCst) == 1);
            store.fail("get", ErrorKind::Timeout);
            dogpile::sdk::CacheMutex::release(&*elsewhere).unwrap();
            for caller in callers {
                assert_eq!(
                    caller.join().unwrap().unwrap_err().backend_error().unwrap().kind(),
                    ErrorKind::Timeout
                );
            }
        });
        store.heal();
        assert_eq!(region.get_or_create("key", || 2).unwrap(), 2);
    });
}
