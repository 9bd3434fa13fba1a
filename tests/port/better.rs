//! Locks, invalidation, and expiration where dogpile.cache in Python behaves wrongly.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use dogpile::lock::{DogpileLock, LockError, Reading};
use dogpile::sdk::{CacheMutex, CachedValue, CreationTime, Metadata, Object, Payload, proxy};
use dogpile::{CacheRegion, ManualClock, RegionConfig, RegionError};
use dogpile_tests::events::Events;
use dogpile_tests::regions::{PassThrough, Subject, on_each, on_each_with, region_of};
use dogpile_tests::scripted::Scripted;
use dogpile_tests::threads::{bounded, together, until};

const SECOND: Duration = Duration::from_secs(1);

fn region_on(store: &Arc<Scripted>) -> CacheRegion {
    region_of("locked", RegionConfig::from_instance(store.clone()))
}

/// Returns how many callers wait for the creation in `region`.
fn waiters(region: &CacheRegion) -> usize {
    region.creations().unwrap().first().map_or(0, |creation| creation.waiters)
}

/// Python creates a lock object on every call, even on a hit.
#[test]
fn hit_creates_no_mutex() {
    let store = Scripted::with_mutexes();
    let region = region_on(&store);
    region.get_or_create("key", || 1).unwrap();
    region.get_or_create_multi(&["a", "b"], |keys| vec![1; keys.len()]).unwrap();
    assert_eq!(store.keys_of("get_mutex"), ["key", "a", "b"]);
    for _ in 0..10 {
        region.get_or_create("key", || 2).unwrap();
        region.get_or_create_multi(&["a", "b"], |keys| vec![2; keys.len()]).unwrap();
        region.get::<i32>("key").unwrap();
    }
    assert_eq!(store.calls("get_mutex"), 3);
}

/// In Python, every waiting thread polls the mutex, and the threads acquire it one after another.
#[test]
fn thirty_callers_of_a_cold_key_poll_the_mutex_once() {
    bounded(|| {
        let store = Scripted::with_mutexes();
        let region = region_on(&store);
        let elsewhere = store.mutex("key");
        assert!(elsewhere.try_acquire().unwrap());
        thread::scope(|scope| {
            let threads: Vec<_> =
                (0..30).map(|_| scope.spawn(|| region.get_or_create("key", || 1).unwrap())).collect();
            until("all but one thread wait for that one", || waiters(&region) == 29);
            until("one thread waits for the mutex", || elsewhere.waits.load(SeqCst) == 1);
            // Another process stores its value and releases the mutex.
            store.put("key", another_processes_value());
            elsewhere.release().unwrap();
            for thread in threads {
                assert_eq!(thread.join().unwrap(), 7);
            }
        });
        assert_eq!(elsewhere.waits.load(SeqCst), 1, "only one thread waited for the mutex");
        assert_eq!(store.calls("set"), 0, "nothing was created here");
    });
}

fn another_processes_value() -> CachedValue {
    CachedValue { payload: Payload::Object(Object::new(7)), metadata: Metadata::new(CreationTime::now()) }
}

/// In Python, waiters of the multi-key call never read again, so eight threads call their creators eight times.
#[test]
fn eight_threads_with_equal_missing_keys_create_each_key_once() {
    bounded(|| {
        on_each(|Subject { region, .. }| {
            let made = AtomicUsize::new(0);
            let create = |keys: &[&str]| -> Vec<usize> {
                made.fetch_add(keys.len(), SeqCst);
                keys.iter().map(|key| key.len()).collect()
            };
            let served = together(8, |_| region.get_or_create_multi(&["ccc", "a", "bb"], create).unwrap());
            assert_eq!(served, [(); 8].map(|()| vec![3, 1, 2]));
            assert_eq!(made.load(SeqCst), 3);
        });
    });
}

/// Python ignores the result of a blocking `acquire`. The creator then runs without the lock, and the release raises.
#[test]
fn timeout_of_the_mutex_is_an_error_and_no_creator_runs() {
    let store = Scripted::with_mutexes();
    let region = region_on(&store);
    let mutex = store.mutex("key");
    mutex.gives_up.store(true, SeqCst);
    assert!(mutex.try_acquire().unwrap());
    let error = region.get_or_create("key", || -> u32 { panic!("the mutex is not ours") }).unwrap_err();
    assert!(matches!(error, RegionError::Lock { source: LockError::TimedOut { .. }, .. }), "{error:?}");
    assert!(error.is_transient());
    let expected = "region \"locked\" could not lock \"key\": timed out waiting for another creator: ";
    assert!(error.to_string().starts_with(expected), "{error}");
    let created = region.get_or_create_multi(&["key"], |_| -> Vec<u32> { panic!("the mutex is not ours") });
    assert!(
        matches!(created, Err(RegionError::Lock { source: LockError::TimedOut { .. }, .. })),
        "{created:?}"
    );
    assert!(mutex.locked().unwrap(), "the mutex still belongs to its holder");
    mutex.release().unwrap();
    assert_eq!(region.get_or_create("key", || 1).unwrap(), 1);
}

/// Regions with separate gates over one store behave like three processes. The gates keep all threads but one of each
/// away from the mutex.
#[test]
fn three_processes_with_eight_threads_each_create_once() {
    bounded(|| {
        let (store, created) = (Scripted::with_mutexes(), AtomicUsize::new(0));
        let process = || region_of("process", RegionConfig::from_instance(proxy(PassThrough(store.clone()))));
        let processes = [process(), process(), process()];
        let create = || {
            until("one thread of each process leads", || {
                processes.iter().all(|process| waiters(process) == 7)
            });
            created.fetch_add(1, SeqCst) + 1
        };
        let served = together(24, |thread| processes[thread % 3].get_or_create("key", create).unwrap());
        assert_eq!((served, created.load(SeqCst)), (vec![1; 24], 1));
        let waits = store.mutex("key").waits.load(SeqCst);
        assert!(waits <= 3, "{waits} of 24 threads waited for the mutex");
    });
}

#[test]
fn waiters_of_a_leader_that_gives_up_time_out_too() {
    bounded(|| {
        let store = Scripted::with_mutexes();
        let region = region_on(&store);
        let mutex = store.mutex("key");
        assert!(mutex.try_acquire().unwrap());
        thread::scope(|scope| {
            let threads: Vec<_> =
                (0..30).map(|_| scope.spawn(|| region.get_or_create("key", || 1))).collect();
            until("all but one thread wait for that one", || waiters(&region) == 29);
            until("one thread waits for the mutex to time out", || mutex.waits.load(SeqCst) == 1);
            mutex.give_up();
            for thread in threads {
                let error = thread.join().unwrap().unwrap_err();
                assert!(
                    matches!(error, RegionError::Lock { source: LockError::TimedOut { .. }, .. }),
                    "{error:?}"
                );
                assert!(error.is_transient());
            }
        });
        assert_eq!(region.creations().unwrap(), []);
    });
}

/// Python raises when the lease is exceeded, but only after it has overwritten a value that may be newer.
#[test]
fn value_is_not_stored_after_its_creator_lost_the_lease() {
    let events = Events::with("key", "\"outlived\"");
    let store = Scripted::with_mutexes();
    let region = region_on(&store);
    store.mutex("outlived").loses_its_lease.store(true, SeqCst);
    assert_eq!(region.get_or_create("outlived", || 1).unwrap(), 1);
    assert_eq!(store.calls("set"), 0);
    let warnings: Vec<_> =
        events.take().into_iter().filter(|event| event.level == tracing::Level::WARN).collect();
    let messages: Vec<&str> = warnings.iter().map(|warning| &*warning.message).collect();
    let lost = "the lock of a creator expired while it ran; its value is returned but not stored";
    assert_eq!(messages, [lost, "the mutex of a creator could not be released"]);
    assert_eq!(warnings[1].fields["error"], "the mutex has another holder");
}

#[test]
fn mutex_error_leaves_no_key_locked() {
    let store = Scripted::with_mutexes();
    let region = region_on(&store);
    store.mutex("b").fails.store(true, SeqCst);
    let error = region.get_or_create("b", || 1).unwrap_err();
    assert!(matches!(error, RegionError::Lock { source: LockError::Mutex(_), .. }), "{error:?}");
    assert!(error.is_transient() && error.backend_error().is_some());
    // In Python, the locks that were acquired before the failing one stay locked.
    let error = region.get_or_create_multi(&["a", "b", "c"], |keys| vec![1; keys.len()]).unwrap_err();
    assert!(matches!(error, RegionError::Lock { .. }), "{error:?}");
    for key in ["a", "b", "c"] {
        assert!(!store.mutex(key).locked().unwrap(), "{key} is locked");
        assert!(!region.key_is_locked(key).unwrap(), "{key} is locked");
    }
    store.mutex("b").fails.store(false, SeqCst);
    assert_eq!(region.get_or_create_multi(&["a", "b", "c"], |keys| vec![1; keys.len()]).unwrap(), [1, 1, 1]);
}

#[test]
fn lock_is_empty_after_a_million_keys() {
    let lock = DogpileLock::new();
    together(4, |thread| {
        for number in 0..250_000 {
            let key = format!("{thread} {number}");
            let value = lock.get_or_create(&key, || Ok::<_, LockError>(Reading::Missing), || Ok(1));
            assert_eq!(value.unwrap(), 1);
        }
    });
    assert!(lock.is_empty());
}

/// In Python, replacing the backend drops its locks.
#[test]
fn replacing_a_backend_with_itself_keeps_its_locks() {
    let store = Scripted::new();
    let region = region_on(&store);
    let made = region.get_or_create("key", || {
        let again = RegionConfig::from_instance(store.clone()).replace_existing_backend();
        region.configure(again).unwrap();
        assert!(region.key_is_locked("key").unwrap());
        1
    });
    assert_eq!(made.unwrap(), 1);
    assert_eq!(region.get("key").unwrap(), Some(1));
}

/// In Python, a value whose creation starts before an invalidation and is stored after it counts as fresh.
#[test]
fn value_whose_creation_began_before_an_invalidation_is_stale() {
    on_each_with(
        |config| config.expiration_time(10 * SECOND),
        |Subject { region, clock }| {
            let invalidated_meanwhile = |invalidate: &dyn Fn()| {
                clock.advance(SECOND);
                invalidate();
                clock.advance(SECOND);
                1
            };
            for invalidate in [CacheRegion::invalidate, CacheRegion::invalidate_soft] {
                let invalidate = || invalidate(region).unwrap();
                assert_eq!(region.get_or_create("key", || invalidated_meanwhile(&invalidate)).unwrap(), 1);
                assert_eq!(region.get::<i32>("key").unwrap(), None);
                let many = region.get_or_create_multi(&["a"], |_| vec![invalidated_meanwhile(&invalidate)]);
                assert_eq!(many.unwrap(), [1]);
                assert_eq!(region.get::<i32>("a").unwrap(), None);
                region.delete_multi(&["key", "a"]).unwrap();
            }
        },
    );
}

#[test]
fn set_or_delete_during_a_creation_supersedes_it() {
    on_each(|Subject { region, .. }| {
        let set = || {
            region.set("key", 2).unwrap();
            1
        };
        assert_eq!(region.get_or_create("key", set).unwrap(), 1);
        assert_eq!(region.get("key").unwrap(), Some(2));
        region.delete("key").unwrap();
        let delete = || {
            region.delete("key").unwrap();
            1
        };
        assert_eq!(region.get_or_create("key", delete).unwrap(), 1);
        assert_eq!(region.get::<i32>("key").unwrap(), None);
        let both = region.get_or_create_multi(&["a", "b", "c"], |keys| {
            region.set_multi([("a", 5)]).unwrap();
            region.delete_multi(&["b"]).unwrap();
            vec![1; keys.len()]
        });
        assert_eq!(both.unwrap(), [1, 1, 1]);
        assert_eq!(region.get_multi::<i32>(&["a", "b", "c"]).unwrap(), [Some(5), None, Some(1)]);
    });
}

/// In Python, an expiration time of -1 makes every `get` of a region miss, 0.9 becomes 0, and 0 raises later.
#[test]
fn expiration_times_of_minus_one_fractions_and_zero_are_exact() {
    let served_after = |expiration: &str, millis: u64| {
        let (region, clock) = (CacheRegion::new("expiring"), Arc::new(ManualClock::at(100.0)));
        let flat = [("backend", "dogpile.cache.memory"), ("expiration_time", expiration)];
        region.configure(RegionConfig::from_flat(flat, "").unwrap().clock(clock.clone())).unwrap();
        region.set("key", 1).unwrap();
        clock.advance(Duration::from_millis(millis));
        let served = region.get::<i32>("key").unwrap().is_some();
        assert_eq!(region.get_or_create("key", || 2).unwrap(), if served { 1 } else { 2 });
        served
    };
    assert!(served_after("-1", 1_000_000_000));
    assert!(served_after("0.9", 899) && !served_after("0.9", 901));
    assert!(served_after("0", 0) && !served_after("0", 1));
    assert!(served_after("None", 1_000_000_000));
}
