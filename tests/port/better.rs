//! What the reference gets wrong about locks, invalidation and expiration, and we do not.

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

/// In Python a lock object is made at each call, hits included.
#[test]
fn a_hit_asks_for_no_mutex() {
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

/// In Python each waiting thread polls the mutex, and they get it one after the other.
#[test]
fn of_thirty_waiting_threads_one_talks_to_the_mutex_and_all_are_freed_at_once() {
    bounded(|| {
        let store = Scripted::with_mutexes();
        let region = region_on(&store);
        let elsewhere = store.mutex("key");
        assert!(elsewhere.try_acquire().unwrap());
        thread::scope(|scope| {
            let threads: Vec<_> =
                (0..30).map(|_| scope.spawn(|| region.get_or_create("key", || 1).unwrap())).collect();
            until("all have looked", || store.calls("get") >= 30);
            until("one has asked for the mutex", || elsewhere.waits.load(SeqCst) == 1);
            // Another process stores its value and gives the mutex back.
            store.put("key", another_processes_value());
            elsewhere.release().unwrap();
            for thread in threads {
                assert_eq!(thread.join().unwrap(), 7);
            }
        });
        assert_eq!(elsewhere.waits.load(SeqCst), 1, "one thread alone waited for the mutex");
        assert_eq!(store.calls("set"), 0, "nothing was created here");
    });
}

fn another_processes_value() -> CachedValue {
    CachedValue { payload: Payload::Object(Object::new(7)), metadata: Metadata::new(CreationTime::now()) }
}

/// In Python waiters of the multi call never read again: eight threads made eight creator calls.
#[test]
fn eight_threads_with_the_same_missing_keys_create_each_once() {
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

/// In Python the result of a blocking `acquire` is ignored: the creator runs unlocked, and the release raises.
#[test]
fn a_mutex_that_gives_up_waiting_is_an_error_and_no_creator_runs() {
    let store = Scripted::with_mutexes();
    let region = region_on(&store);
    let mutex = store.mutex("key");
    mutex.gives_up.store(true, SeqCst);
    assert!(mutex.try_acquire().unwrap());
    let error = region.get_or_create("key", || -> u32 { panic!("the mutex is not ours") }).unwrap_err();
    assert!(matches!(error, RegionError::Lock { source: LockError::TimedOut { .. }, .. }), "{error:?}");
    assert!(error.is_transient());
    assert_eq!(error.to_string(), "region \"locked\" could not lock \"key\"");
    let created = region.get_or_create_multi(&["key"], |_| -> Vec<u32> { panic!("the mutex is not ours") });
    assert!(
        matches!(created, Err(RegionError::Lock { source: LockError::TimedOut { .. }, .. })),
        "{created:?}"
    );
    assert!(mutex.locked().unwrap(), "the holder's mutex is left alone");
    mutex.release().unwrap();
    assert_eq!(region.get_or_create("key", || 1).unwrap(), 1);
}

/// Regions with gates of their own over one store, as those of three processes are.
#[test]
fn three_processes_of_eight_threads_each_make_one_creator_and_one_waiter_for_the_mutex_each() {
    bounded(|| {
        let (store, created) = (Scripted::with_mutexes(), AtomicUsize::new(0));
        let process = || region_of("process", RegionConfig::from_instance(proxy(PassThrough(store.clone()))));
        let processes = [process(), process(), process()];
        let create = || {
            until("all have looked", || store.calls("get") >= 24);
            created.fetch_add(1, SeqCst) + 1
        };
        let served = together(24, |thread| processes[thread % 3].get_or_create("key", create).unwrap());
        assert_eq!((served, created.load(SeqCst)), (vec![1; 24], 1));
        let waits = store.mutex("key").waits.load(SeqCst);
        assert!(waits < 24, "{waits} of 24 threads waited for the mutex");
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
            until("all have looked", || store.calls("get") >= 30);
            until("one waits for the mutex", || mutex.waits.load(SeqCst) == 1);
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

/// In Python exceeding the lease raises, after the value was stored over one that may be newer.
#[test]
fn value_of_a_creator_that_lost_its_lease_is_returned_but_not_stored() {
    let events = Events::with("key", "\"outlived\"");
    let store = Scripted::with_mutexes();
    let region = region_on(&store);
    store.mutex("outlived").loses_its_lease.store(true, SeqCst);
    assert_eq!(region.get_or_create("outlived", || 1).unwrap(), 1);
    assert_eq!(store.calls("set"), 0);
    let warnings: Vec<_> =
        events.take().into_iter().filter(|told| told.level == tracing::Level::WARN).collect();
    let messages: Vec<&str> = warnings.iter().map(|warning| &*warning.message).collect();
    let lost = "the lock of a creator expired while it ran; its value is returned but not stored";
    assert_eq!(messages, [lost, "the mutex of a creator could not be released"]);
    assert_eq!(warnings[1].fields["error"], "somebody else holds it");
}

#[test]
fn a_mutex_that_fails_is_an_error_that_leaves_nothing_locked() {
    let store = Scripted::with_mutexes();
    let region = region_on(&store);
    store.mutex("b").fails.store(true, SeqCst);
    let error = region.get_or_create("b", || 1).unwrap_err();
    assert!(matches!(error, RegionError::Lock { source: LockError::Mutex(_), .. }), "{error:?}");
    assert!(error.is_transient() && error.backend_error().is_some());
    // In Python the locks that were acquired before the one that failed stay locked.
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
fn a_million_keys_created_once_leave_no_lock_behind() {
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

/// In Python replacing the backend drops the locks with it.
#[test]
fn replacing_a_backend_by_itself_keeps_its_locks() {
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

/// In Python a value that was read before an invalidation or a delete, and stored after it, counts as fresh.
#[test]
fn a_value_whose_creation_began_before_an_invalidation_does_not_count_as_fresh() {
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
fn what_is_set_or_deleted_while_a_creator_is_at_work_overrules_it() {
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

/// In Python a region's expiration of -1 makes every get miss, one of 0.9 s becomes 0, and one of 0 raises later.
#[test]
fn every_expiration_means_what_it_says() {
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
