//! Every wait is bounded and can be seen.

use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

use dogpile::lock::LockError;
use dogpile::sdk::CacheMutex;
use dogpile::{CacheRegion, CreationStage, RegionConfig, RegionError};
use dogpile_tests::events::Events;
use dogpile_tests::regions::region_of;
use dogpile_tests::scripted::Scripted;
use dogpile_tests::threads::{Signal, bounded, until};

fn impatient(limit: Duration) -> CacheRegion {
    region_of("impatient", RegionConfig::new("dogpile.cache.memory").creation_wait_timeout(limit))
}

/// A creator that waits for another thread, which requests the same key, cannot be seen as a deadlock.
#[test]
fn creator_that_waits_for_a_waiter_of_its_key_is_not_stuck() {
    bounded(|| {
        let region = impatient(Duration::from_millis(50));
        let made = region.get_or_create("key", || {
            let inner =
                thread::scope(|scope| scope.spawn(|| region.get_or_create("key", || 2)).join().unwrap());
            let error = inner.unwrap_err();
            let RegionError::Lock { source: LockError::TimedOut { leader, age, .. }, .. } = &error else {
                panic!("{error:?}")
            };
            assert!(leader.starts_with("thread ") && *age >= Duration::from_millis(50), "{leader}, {age:?}");
            assert!(error.is_transient());
            1
        });
        assert_eq!(made.unwrap(), 1);
    });
}

#[test]
fn call_with_its_own_timeout_gives_up_before_the_region_does() {
    bounded(|| {
        let region = impatient(Duration::from_secs(300));
        let made = region.get_or_create("key", || {
            let wait = || {
                region.options().creation_wait_timeout(Duration::from_millis(50)).get_or_create("key", || 2)
            };
            let error = thread::scope(|scope| scope.spawn(wait).join().unwrap()).unwrap_err();
            assert!(
                matches!(error, RegionError::Lock { source: LockError::TimedOut { .. }, .. }),
                "{error:?}"
            );
            1
        });
        assert_eq!(made.unwrap(), 1);
    });
}

#[test]
fn wait_of_a_multi_call_is_bounded_as_a_whole() {
    bounded(|| {
        let region = impatient(Duration::from_millis(50));
        let made = region.get_or_create_multi(&["a", "b"], |keys| {
            let wait = || region.get_or_create_multi(&["b", "a"], |keys| vec![2; keys.len()]);
            let error = thread::scope(|scope| scope.spawn(wait).join().unwrap()).unwrap_err();
            assert!(
                matches!(error, RegionError::Lock { source: LockError::TimedOut { .. }, .. }),
                "{error:?}"
            );
            vec![1; keys.len()]
        });
        assert_eq!(made.unwrap(), [1, 1]);
    });
}

#[test]
fn wait_for_the_mutex_of_another_process_is_bounded() {
    bounded(|| {
        let store = Scripted::with_mutexes();
        assert!(store.mutex("key").try_acquire().unwrap());
        let config = RegionConfig::from_instance(store).creation_wait_timeout(Duration::from_millis(50));
        let error = region_of("bounded", config).get_or_create("key", || 1).unwrap_err();
        let RegionError::Lock { source: LockError::TimedOut { leader, .. }, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(leader, "another process");
    });
}

#[test]
fn creations_lists_key_leader_stage_and_waiters() {
    bounded(|| {
        let config = RegionConfig::new("dogpile.cache.memory").key_mangler_named("sha1");
        let region = region_of("listed", config);
        let other = region_of("other", RegionConfig::new("dogpile.cache.memory"));
        let (begun, go_on) = (Signal::default(), Signal::default());
        thread::scope(|scope| {
            let create = || {
                region.get_or_create("key", || {
                    begun.give();
                    go_on.wait();
                    1
                })
            };
            let leader =
                thread::Builder::new().name("the leader".to_owned()).spawn_scoped(scope, create).unwrap();
            begun.wait();
            let waiter = scope.spawn(|| region.get_or_create("key", || 2));
            until("one waits", || region.creations().unwrap()[0].waiters == 1);
            let creations = region.creations().unwrap();
            assert_eq!(creations.len(), 1);
            let creation = &creations[0];
            let names = (&*creation.region, &*creation.key, &*creation.leader);
            assert_eq!(names, ("listed", "key", "thread \"the leader\""));
            assert_eq!(creation.stage, CreationStage::Creating);
            assert_eq!(other.creations().unwrap(), []);
            go_on.give();
            assert_eq!((leader.join().unwrap().unwrap(), waiter.join().unwrap().unwrap()), (1, 1));
        });
        assert_eq!(region.creations().unwrap(), []);
    });
}

/// Two creators in two processes may request each other's keys. This process cannot see that, so it gives way.
#[test]
fn nested_creator_goes_on_without_a_mutex_that_stays_held() {
    bounded(|| {
        let events = Events::of_region("nested");
        let store = Scripted::with_mutexes();
        let region = region_of("nested", RegionConfig::from_instance(store.clone()));
        assert!(store.mutex("inner").try_acquire().unwrap());
        let made = region.get_or_create("outer", || region.get_or_create("inner", || 1).unwrap() + 1);
        assert_eq!(made.unwrap(), 2);
        assert_eq!(store.mutex("inner").waits.load(SeqCst), 1);
        assert!(events.messages().iter().any(|message| message.starts_with("a creator requested a key")));
        assert!(store.mutex("inner").locked().unwrap(), "the other process still holds its mutex");
        assert!(!store.mutex("outer").locked().unwrap());
    });
}
