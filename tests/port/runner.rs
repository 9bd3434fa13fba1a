//! Runners, which replace stale values in the background.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use dogpile::sdk::CacheMutex;
use dogpile::{CacheRegion, Creation, ManualClock, PoolRunner, RegionConfig, Runner, ThreadRunner};
use dogpile_tests::desk::Desk;
use dogpile_tests::events::Events;
use dogpile_tests::regions::odd_only;
use dogpile_tests::scripted::Scripted;
use dogpile_tests::threads::{Signal, bounded, until};
use parking_lot::Mutex;

/// A runner that drops every creation.
#[derive(Debug)]
struct DropAll;

impl Runner for DropAll {
    fn run(&self, creation: Creation) {
        drop(creation);
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// Returns a region whose values expire after a second, and its clock.
fn region_with(name: &'static str, runner: Arc<dyn Runner>) -> (CacheRegion, Arc<ManualClock>) {
    region_over(name, RegionConfig::new("dogpile.cache.memory"), runner)
}

fn region_over(
    name: &'static str,
    config: RegionConfig,
    runner: Arc<dyn Runner>,
) -> (CacheRegion, Arc<ManualClock>) {
    let (region, clock) = (CacheRegion::new(name), Arc::new(ManualClock::at(100.0)));
    region
        .configure(config.expiration_time(SECOND).clock(clock.clone()).async_creation_runner(runner))
        .unwrap();
    (region, clock)
}

fn create(region: &CacheRegion, value: i32) -> i32 {
    region.options().background().get_or_create("key", move || value).unwrap()
}

/// Behavior: `async-runner-only-for-stale`
/// Behavior: `async-caller-gets-old-then-new`
#[test]
fn runner_creates_stale_values_while_callers_get_the_old_one() {
    let desk = Arc::new(Desk::default());
    let (region, clock) = region_with("desk", desk.clone());
    assert_eq!(create(&region, 1), 1);
    assert_eq!(create(&region, 2), 1);
    assert!(desk.take().is_empty(), "the caller creates a missing value");

    clock.advance(2 * SECOND);
    assert_eq!(create(&region, 3), 1);
    assert_eq!(create(&region, 4), 1, "all callers get the old value until the runner is done");
    let mut handed = desk.take();
    assert_eq!(handed.len(), 1);
    assert!(region.key_is_locked("key").unwrap());
    handed.pop().unwrap().run();
    assert!(!region.key_is_locked("key").unwrap());
    assert_eq!(create(&region, 5), 3);
    assert!(desk.take().is_empty());
}

// DIFFERENCE: Python gives the runner the region, the key, the creator, and the mutex, and the runner must create,
// store, and release. Here, a `Creation` has its region's name and its keys and does all three by itself. It cannot
// forget to release: dropping it releases its keys.

/// Behavior: `async-runner-call-arguments`
#[test]
fn creation_has_region_name_and_plain_keys_and_owns_the_mutex() {
    let (desk, store) = (Arc::new(Desk::default()), Scripted::with_mutexes());
    let config = RegionConfig::from_instance(store.clone()).key_mangler(|key| format!("HI!{key}"));
    let (region, clock) = region_over("arguments", config, desk.clone());
    create(&region, 1);
    clock.advance(2 * SECOND);
    create(&region, 2);
    let handed = desk.take().pop().unwrap();
    assert_eq!((handed.region(), handed.keys()), ("arguments", ["key".to_owned()].as_slice()));
    assert_eq!(format!("{handed:?}"), "Creation { region: \"arguments\", keys: [\"key\"], .. }");
    assert!(store.mutex("HI!key").locked().unwrap());
    // Run it on a thread that did not acquire the mutex.
    thread::spawn(move || handed.run()).join().unwrap();
    assert!(!store.mutex("HI!key").locked().unwrap());
    assert_eq!(region.get("key").unwrap(), Some(2));
}

/// The next caller can then create the value.
#[test]
fn creation_dropped_by_its_runner_releases_its_keys() {
    let store = Scripted::with_mutexes();
    let (region, clock) =
        region_over("dropped_by_runner", RegionConfig::from_instance(store.clone()), Arc::new(DropAll));
    create(&region, 1);
    clock.advance(2 * SECOND);
    assert_eq!(create(&region, 2), 1);
    until("the mutex is released in the background", || !store.mutex("key").locked().unwrap());
    assert!(!region.key_is_locked("key").unwrap());
    assert_eq!(region.get_or_create("key", || 3).unwrap(), 3);
}

/// A call without `background()` may borrow from its caller, so it cannot go to a runner.
#[test]
fn caller_creates_without_a_runner_or_without_background() {
    let (region, clock) = region_with("borrowing", Arc::new(DropAll));
    create(&region, 1);
    clock.advance(2 * SECOND);
    let local = String::from("2");
    assert_eq!(region.get_or_create("key", || local.parse::<i32>().unwrap()).unwrap(), 2);
    let bare = CacheRegion::new("bare");
    let config = RegionConfig::new("dogpile.cache.memory").expiration_time(SECOND).clock(clock.clone());
    bare.configure(config).unwrap();
    create(&bare, 1);
    clock.advance(2 * SECOND);
    assert_eq!(create(&bare, 2), 2);
}

#[test]
fn runner_gets_soft_invalidated_values_but_not_hard_ones() {
    let desk = Arc::new(Desk::default());
    let (region, clock) = region_with("invalidated", desk.clone());
    create(&region, 1);
    clock.advance(SECOND / 2);
    region.invalidate_soft().unwrap();
    assert_eq!(create(&region, 2), 1);
    desk.take().into_iter().for_each(Creation::run);
    assert_eq!(region.get("key").unwrap(), Some(2));
    clock.advance(SECOND / 2);
    region.invalidate().unwrap();
    assert_eq!(create(&region, 3), 3);
    assert!(desk.take().is_empty());
}

/// In Python, the multi-key call ignores the runner.
#[test]
fn stale_values_of_a_multi_call_reach_the_runner_together() {
    let desk = Arc::new(Desk::default());
    let (region, clock) = region_with("many", desk.clone());
    let create = |value: i32, keys: &[&str]| {
        region.options().background().get_or_create_multi(keys, move |keys| vec![value; keys.len()]).unwrap()
    };
    assert_eq!(create(1, &["b", "a"]), [1, 1]);
    clock.advance(2 * SECOND);
    assert_eq!(create(2, &["b", "c", "a"]), [1, 2, 1], "the caller creates the missing value");
    let mut handed = desk.take();
    assert_eq!(handed.len(), 1);
    assert_eq!(handed[0].keys(), ["a", "b"]);
    assert!(region.key_is_locked("a").unwrap() && !region.key_is_locked("c").unwrap());
    handed.pop().unwrap().run();
    assert_eq!(region.get_multi(&["a", "b", "c"]).unwrap(), [Some(2), Some(2), Some(2)]);
}

#[test]
fn uncached_background_creation_stores_nothing() {
    let desk = Arc::new(Desk::default());
    let (region, clock) = region_with("choosy", desk.clone());
    create(&region, 1);
    clock.advance(2 * SECOND);
    let background = region.options().background();
    assert_eq!(background.get_or_create_with("key", |_| odd_only(2)).unwrap(), 1);
    desk.take().into_iter().for_each(Creation::run);
    assert_eq!(region.options().ignore_expiration().get("key").unwrap(), Some(1));
    assert!(!region.key_is_locked("key").unwrap());
}

/// In Python, the runner from the documentation releases twice when the creator fails, and hides the error.
#[test]
fn background_errors_and_panics_are_logged_and_release_the_key() {
    let (desk, events) = (Arc::new(Desk::default()), Events::of_region("failing"));
    let (region, clock) = region_with("failing", desk.clone());
    create(&region, 1);
    clock.advance(2 * SECOND);
    let failing = region.options().background().try_get_or_create("key", || Err::<i32, _>("out of tea"));
    assert_eq!(failing.unwrap(), 1);
    desk.take().into_iter().for_each(Creation::run);
    let event = events.take().pop().unwrap();
    assert_eq!(
        (event.level, event.message.as_str()),
        (tracing::Level::ERROR, "a creation in the background failed")
    );
    assert!(event.fields["error"].contains("out of tea") && event.fields["key"] == "\"key\"", "{event:?}");
    assert!(!region.key_is_locked("key").unwrap());

    let panicking = region.options().background().get_or_create("key", || -> i32 { panic!("out of cups") });
    assert_eq!(panicking.unwrap(), 1);
    desk.take().into_iter().for_each(Creation::run);
    let event = events.take().pop().unwrap();
    assert_eq!(event.message, "a background creator panicked");
    assert!(event.fields["panic"].contains("out of cups"), "{event:?}");
    assert!(!region.key_is_locked("key").unwrap());
}

#[test]
fn background_creator_requesting_its_own_key_fails() {
    bounded(|| {
        let desk = Arc::new(Desk::default());
        let (region, clock) = region_with("circle", desk.clone());
        let region = Arc::new(region);
        create(&region, 1);
        clock.advance(2 * SECOND);
        let (inner, error) = (region.clone(), Arc::new(Mutex::new(None)));
        let noted = error.clone();
        let creator = move || {
            inner.delete("key").unwrap();
            *noted.lock() = inner.get_or_create("key", || 5).err().map(|error| error.to_string());
            2
        };
        assert_eq!(region.options().background().get_or_create("key", creator).unwrap(), 1);
        desk.take().into_iter().for_each(Creation::run);
        let expected = "region \"circle\" could not lock \"key\": deadlock avoided: the creator requested a key that it, or \
                        a creator waiting for it, is already creating; request that key before this creator runs";
        assert_eq!(error.lock().as_deref(), Some(expected));
    });
}

#[test]
fn thread_runner_creates_on_a_new_thread() {
    let (region, clock) = region_with("threads", Arc::new(ThreadRunner));
    create(&region, 1);
    clock.advance(2 * SECOND);
    let (may_go_on, held) = (Signal::default(), Signal::default());
    let (wait, own) = (may_go_on.clone(), thread::current().id());
    let begun = held.clone();
    let creator = move || {
        assert_ne!(thread::current().id(), own);
        begun.give();
        wait.wait();
        2
    };
    assert_eq!(region.options().background().get_or_create("key", creator).unwrap(), 1);
    held.wait();
    assert_eq!(create(&region, 9), 1);
    may_go_on.give();
    until("the runner releases the key", || !region.key_is_locked("key").unwrap());
    assert_eq!(region.get("key").unwrap(), Some(2));
}

/// Returns a region with stale values for `a`, `b`, and `c`, and its pool.
///
/// The pool has one thread, and its queue holds one creation.
fn pooled(name: &'static str) -> (CacheRegion, Arc<PoolRunner>) {
    let pool = Arc::new(PoolRunner::new(NonZeroUsize::MIN, 1).unwrap());
    let (region, clock) = region_with(name, pool.clone());
    region.set_multi([("a", 1), ("b", 1), ("c", 1)]).unwrap();
    clock.advance(2 * SECOND);
    (region, pool)
}

/// Makes the pool start to create `a`. The returned signal lets the creator finish.
fn begun(region: &CacheRegion) -> Signal {
    let (go_on, begun) = (Signal::default(), Signal::default());
    let (wait, tell) = (go_on.clone(), begun.clone());
    let slow = move || {
        tell.give();
        wait.wait();
        2
    };
    assert_eq!(region.options().background().get_or_create("a", slow).unwrap(), 1);
    begun.wait();
    go_on
}

#[test]
fn pool_runner_drops_creations_when_its_queue_is_full() {
    let (region, _pool) = pooled("pool");
    let (events, go_on) = (Events::of_region("pool"), begun(&region));
    for key in ["b", "c"] {
        assert_eq!(region.options().background().get_or_create(key, || 2).unwrap(), 1);
    }
    let locked = ["a", "b", "c"].map(|key| region.key_is_locked(key).unwrap());
    assert_eq!(locked, [true, true, false], "`a` is being created, `b` is queued, `c` was dropped");
    assert!(
        events
            .messages()
            .contains(&"dropped a background creation: the queue of its pool is full".to_owned())
    );
    go_on.give();
    until("the pool has created both values", || !region.key_is_locked("b").unwrap());
    assert_eq!(region.get_multi::<i32>(&["a", "b", "c"]).unwrap(), [Some(2), Some(2), None]);
}

/// The pool's threads end after its last creation.
#[test]
fn pool_finishes_its_creations_after_its_region_is_dropped() {
    let (region, pool) = pooled("dropped");
    let go_on = begun(&region);
    let (ran, held) = (Arc::new(AtomicUsize::new(0)), Arc::downgrade(&pool));
    drop(pool);
    let counter = ran.clone();
    let waiting = move || i32::try_from(counter.fetch_add(1, SeqCst)).unwrap();
    assert_eq!(region.options().background().get_or_create("b", waiting).unwrap(), 1);
    drop(region);
    assert!(held.upgrade().is_some(), "pending creations keep the pool alive");
    go_on.give();
    until("the pool is dropped", || held.upgrade().is_none());
    assert_eq!(ran.load(SeqCst), 1);
}
