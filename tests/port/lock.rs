//! The dogpile lock, alone and under a region. One caller creates, and the others get the old value or wait.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use dogpile::lock::{DogpileLock, LockError, Reading};
use dogpile::sdk::{CacheBackend, CacheMutex, ProxyBackend};
use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::desk::Desk;
use dogpile_tests::regions::{Subject, on_each, on_each_with, region_of};
use dogpile_tests::scripted::Scripted;
use dogpile_tests::threads::{bounded, together, until};
use parking_lot::Mutex;

const SECOND: Duration = Duration::from_secs(1);

fn region_on(store: &Arc<Scripted>) -> CacheRegion {
    region_of("locked", RegionConfig::from_instance(store.clone()))
}

/// Behavior: `region-key-unlocked-by-default`
/// Behavior: `key-lock-idle-reports-false`
/// Behavior: `key-lock-query-has-no-side-effect`
#[test]
fn key_is_locked_acquires_nothing() {
    on_each(|Subject { region, .. }| {
        assert_eq!(region.get::<u32>("key").unwrap(), None);
        assert!(!region.key_is_locked("key").unwrap());
        assert!(!region.key_is_locked("key").unwrap());
        region.get_or_create("key", || assert!(region.key_is_locked("key").unwrap())).unwrap();
        assert!(!region.key_is_locked("key").unwrap());
    });
    let store = Scripted::with_mutexes();
    assert!(!region_on(&store).key_is_locked("key").unwrap());
    assert!(store.mutex("key").try_acquire().unwrap());
}

/// Behavior: `key-lock-query-follows-backend-mutex`
#[test]
fn key_is_locked_while_the_backends_mutex_is_held() {
    let store = Scripted::with_mutexes();
    let region = region_on(&store);
    let mutex = store.mutex("key");
    assert!(mutex.try_acquire().unwrap());
    assert!(region.key_is_locked("key").unwrap());
    mutex.release().unwrap();
    assert!(!region.key_is_locked("key").unwrap());
}

/// In Python, `key_is_locked` does not mangle the key.
#[test]
fn key_is_locked_looks_up_the_mangled_key() {
    let store = Scripted::with_mutexes();
    let region = CacheRegion::new("locked");
    region
        .configure(RegionConfig::from_instance(store.clone()).key_mangler(|key| format!("HI!{key}")))
        .unwrap();
    assert!(store.mutex("HI!key").try_acquire().unwrap());
    assert!(region.key_is_locked("key").unwrap());
}

/// Checks that at most one creator runs at a time, and counts the creators.
#[derive(Default)]
struct Section {
    inside: AtomicBool,
    entered: AtomicUsize,
}

impl Section {
    fn enter(&self) {
        assert!(!self.inside.swap(true, SeqCst), "two creators of one key at once");
        self.entered.fetch_add(1, SeqCst);
    }

    fn leave(&self) {
        self.inside.store(false, SeqCst);
    }

    fn within<R>(&self, work: impl FnOnce() -> R) -> R {
        self.enter();
        let result = work();
        self.leave();
        result
    }
}

/// Behavior: `dogpile-single-creator-per-key`
#[test]
fn one_of_ten_threads_replaces_a_stale_value() {
    bounded(ten_threads_in_five_rounds);
}

fn ten_threads_in_five_rounds() {
    on_each_with(
        |config| config.expiration_time(SECOND / 4),
        |Subject { region, clock }| {
            let section = Section::default();
            region.set("key", 0).unwrap();
            for round in 1..=5 {
                clock.advance(SECOND / 2);
                let served = ten_threads(region, &section, round);
                assert_eq!(served.iter().filter(|value| **value == round).count(), 1, "{served:?}");
                assert_eq!(region.get("key").unwrap(), Some(round));
            }
            assert_eq!(section.entered.load(SeqCst), 5);
        },
    );
}

/// Requests a stale value from ten threads and returns their values. One thread creates `new`.
fn ten_threads(region: &CacheRegion, section: &Section, new: i32) -> Vec<i32> {
    // The creator waits until the nine others have the old value. If one of them waited for it, the test would hang.
    let all_served = Barrier::new(10);
    let create = || {
        all_served.wait();
        new
    };
    together(10, |_| {
        let value = region.get_or_create("key", || section.within(create)).unwrap();
        if value != new {
            all_served.wait();
        }
        value
    })
}

/// A generator of small pseudorandom numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// Behavior: `multi-goc-single-creator-per-key`
#[test]
fn overlapping_multi_calls_never_create_a_key_concurrently() {
    on_each_with(
        |config| config.expiration_time(SECOND / 4),
        |Subject { region, clock }| {
            let (sections, made): ([Section; 10], AtomicUsize) = Default::default();
            let create = |keys: &[&str]| -> Vec<usize> {
                let of = |key: &&str| &sections[key.parse::<usize>().unwrap()];
                keys.iter().map(of).for_each(Section::enter);
                thread::yield_now();
                keys.iter().map(of).for_each(Section::leave);
                keys.iter().map(|_| made.fetch_add(1, SeqCst)).collect()
            };
            let all: Vec<String> = (0..10).map(|number| number.to_string()).collect();
            region.get_or_create_multi(&all, create).unwrap();
            together(5, |thread| {
                let mut random = Random(thread as u64);
                for _ in 0..20 {
                    clock.advance(SECOND / 10);
                    let keys: Vec<&String> =
                        (0..1 + random.below(5)).map(|_| &all[random.below(10)]).collect();
                    assert_eq!(region.get_or_create_multi(&keys, create).unwrap().len(), keys.len());
                }
            });
            assert!(made.load(SeqCst) > 10);
        },
    );
}

/// Behavior: `nested-get-or-create-no-deadlock`
#[test]
fn creator_may_request_another_key() {
    bounded(|| {
        on_each(|Subject { region, .. }| {
            let compose = || {
                region.get_or_create("outer", || region.get_or_create("inner", || 1).unwrap() + 1).unwrap()
            };
            assert_eq!(compose(), 2);
            assert_eq!(region.get("inner").unwrap(), Some(1));
            assert_eq!(
                region.get_or_create("outer", || -> i32 { panic!("the value is cached") }).unwrap(),
                2
            );
        });
        let region = region_on(&Scripted::with_mutexes());
        let inner = || region.get_or_create("inner", || 1).unwrap();
        assert_eq!(region.get_or_create("outer", || inner() + 1).unwrap(), 2);
    });
}

/// A runner keeps the gate and the mutex until its creation is dropped.
///
/// Behavior: `lock-async-runner-owns-release`
#[test]
fn queued_creation_holds_mutex_until_dropped() {
    let (store, desk) = (Scripted::with_mutexes(), Arc::new(Desk::default()));
    let region =
        region_of("handed", RegionConfig::from_instance(store.clone()).async_creation_runner(desk.clone()));
    region.set("key", 1).unwrap();
    region.invalidate_soft().unwrap();
    let create = || region.options().background().get_or_create("key", || 2).unwrap();
    assert_eq!(create(), 1);
    assert!(region.key_is_locked("key").unwrap() && store.mutex("key").locked().unwrap());
    assert_eq!(create(), 1, "the other callers get the old value");
    assert_eq!(desk.take().len(), 1);
    until("the mutex is released in the background", || !store.mutex("key").locked().unwrap());
    assert!(!region.key_is_locked("key").unwrap());
}

// DIFFERENCE: Python does not read an expired value again under the lock, so two callers that found it expired create
// it one after another. Here, the second caller reads again once it has the lock, and finds the first caller's value.

/// Behavior: `lock-single-get-on-expired`
#[test]
fn stale_value_is_read_again_under_the_lock() {
    let (lock, value, reads) = (DogpileLock::new(), Mutex::new(Reading::Stale(1)), AtomicUsize::new(0));
    let read = || {
        reads.fetch_add(1, SeqCst);
        Ok::<_, LockError>(*value.lock())
    };
    let create = || {
        *value.lock() = Reading::Fresh(2);
        Ok(2)
    };
    assert_eq!(lock.get_or_create("key", read, create).unwrap(), 2);
    assert_eq!(reads.load(SeqCst), 2, "once on entry, once under the lock");
}

/// A proxy that simulates another process. It stores a value just before the mutex is acquired.
#[derive(Debug)]
struct Outrun {
    store: Arc<Scripted>,
    proxied: Arc<dyn CacheBackend>,
}

impl ProxyBackend for Outrun {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.proxied
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        let other = self.store.get("other").unwrap().unwrap();
        self.store.put(key, other);
        self.proxied.get_mutex(key)
    }
}

#[test]
fn value_stored_before_the_mutex_is_acquired_is_served() {
    let store = Scripted::with_mutexes();
    let outrun = {
        let store = store.clone();
        move |proxied| Outrun { store: store.clone(), proxied }
    };
    let region = region_of("outrun", RegionConfig::from_instance(store).wrap_in(outrun));
    region.set("other", 7).unwrap();
    assert_eq!(region.get_or_create("key", || 8).unwrap(), 7);
}

#[test]
fn sixty_four_callers_of_a_cold_key_create_once() {
    bounded(|| {
        on_each(|Subject { region, .. }| {
            let section = Section::default();
            let served = together(64, |_| region.get_or_create("key", || section.within(|| 7)).unwrap());
            assert_eq!(served, [7; 64]);
            assert_eq!(section.entered.load(SeqCst), 1);
        });
    });
}

/// Each call creates its free keys first, so the two calls cannot wait for each other's keys.
#[test]
fn multi_creators_of_overlapping_keys_run_in_parallel() {
    bounded(|| {
        let region = region_on(&Scripted::with_mutexes());
        let both_create = Barrier::new(2);
        let made = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for keys in [["a", "b", "c"], ["c", "d", "a"]] {
                let (region, both_create, made) = (&region, &both_create, &made);
                scope.spawn(move || {
                    let mut first = true;
                    let values = region.get_or_create_multi(&keys, |keys| {
                        if std::mem::take(&mut first) {
                            both_create.wait();
                        }
                        made.lock().extend(keys.iter().map(|key| key.to_string()));
                        keys.iter().map(|key| key.to_string()).collect()
                    });
                    assert_eq!(values.unwrap(), keys);
                });
            }
        });
        let mut made = made.into_inner();
        made.sort();
        assert_eq!(made, ["a", "b", "c", "d"]);
    });
}
