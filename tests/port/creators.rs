//! Creators that fail, panic, or request their own keys, and failing backends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use dogpile::lock::LockError;
use dogpile::sdk::{CacheMutex, ErrorKind};
use dogpile::{CacheRegion, CreateError, ManualClock, RegionConfig, RegionError};
use dogpile_tests::errors::OutOfStock;
use dogpile_tests::regions::{Subject, on_each, region_of};
use dogpile_tests::scripted::Scripted;
use dogpile_tests::threads::{Signal, bounded, together, until};

const SECOND: Duration = Duration::from_secs(1);

fn region_on(store: &Arc<Scripted>) -> CacheRegion {
    region_of("creating", RegionConfig::from_instance(store.clone()))
}

fn fails<T>(region: &CacheRegion, key: &str) -> CreateError<OutOfStock>
where
    T: dogpile::CacheValue + std::fmt::Debug,
{
    region.try_get_or_create::<T, _>(key, || Err(OutOfStock)).unwrap_err()
}

#[test]
fn failed_creator_releases_its_key_and_stores_nothing() {
    let store = Scripted::with_mutexes();
    let region = region_on(&store);
    assert_eq!(fails::<u32>(&region, "key").into_creator().unwrap(), OutOfStock);
    assert!(!store.mutex("key").locked().unwrap() && !region.key_is_locked("key").unwrap());
    assert_eq!(store.calls("set"), 0);
    let many = region.try_get_or_create_multi::<u32, _>(&["a", "b"], |_| Err(OutOfStock));
    assert_eq!(many.unwrap_err().into_creator().unwrap(), OutOfStock);
    for key in ["a", "b"] {
        assert!(!store.mutex(key).locked().unwrap() && !region.key_is_locked(key).unwrap());
    }
    assert_eq!(store.calls("set_multi"), 0);
}

/// `?` converts the failure of a call, whatever error the creator has.
#[test]
fn question_mark_converts_to_boxed_errors() {
    type Boxed = Box<dyn std::error::Error + Send + Sync>;

    fn with_own_error(region: &CacheRegion) -> Result<u32, Boxed> {
        Ok(region.try_get_or_create("key", || Err(OutOfStock))?)
    }

    fn with_boxed_error(region: &CacheRegion) -> Result<u32, Boxed> {
        Ok(region.try_get_or_create("key", || Err(Boxed::from(OutOfStock)))?)
    }

    fn with_sure_creator(region: &CacheRegion) -> Result<u32, Boxed> {
        Ok(region.get_or_create("", || 1)?)
    }

    let region = region_on(&Scripted::new());
    for call in [with_own_error, with_boxed_error] {
        assert_eq!(call(&region).unwrap_err().to_string(), "out of stock");
    }
    let error = with_sure_creator(&region).unwrap_err();
    assert!(error.downcast_ref::<RegionError>().is_some(), "{error:?}");
}

#[test]
fn question_mark_converts_to_anyhow_errors() {
    use anyhow::Context;

    fn with_own_error(region: &CacheRegion) -> anyhow::Result<u32> {
        Ok(region.try_get_or_create("key", || Err(OutOfStock))?)
    }

    fn with_anyhow_error(region: &CacheRegion) -> anyhow::Result<u32> {
        Ok(region.try_get_or_create("key", || Err(OutOfStock).context("cannot buy tea"))?)
    }

    let region = region_on(&Scripted::new());
    let error = with_own_error(&region).unwrap_err();
    assert!(matches!(error.downcast_ref(), Some(CreateError::Creator(OutOfStock))), "{error:?}");
    let error = with_anyhow_error(&region).unwrap_err();
    let error = error.downcast_ref::<CreateError<anyhow::Error>>().unwrap();
    assert_eq!(error.to_string(), "cannot buy tea");
    assert_eq!(format!("{error:#}"), "cannot buy tea: out of stock");
}

#[test]
fn panicking_creator_releases_its_key_and_panics_its_caller() {
    let store = Scripted::with_mutexes();
    let region = region_on(&store);
    let one = AssertUnwindSafe(|| region.get_or_create("key", || -> u32 { panic!("out of tea") }));
    assert_eq!(*catch_unwind(one).unwrap_err().downcast::<&str>().unwrap(), "out of tea");
    let many = AssertUnwindSafe(|| {
        region.get_or_create_multi(&["a", "b"], |_| -> Vec<u32> { panic!("out of tea") })
    });
    assert!(catch_unwind(many).is_err());
    for key in ["key", "a", "b"] {
        until("the mutex is released in the background", || !store.mutex(key).locked().unwrap());
        assert!(!region.key_is_locked(key).unwrap());
        assert_eq!(region.get_or_create(key, || 1).unwrap(), 1);
    }
}

#[test]
fn stale_value_survives_a_failed_creator() {
    on_each(|Subject { region, clock }| {
        region.set("key", 1).unwrap();
        clock.advance(SECOND);
        region.invalidate_soft().unwrap();
        assert!(matches!(fails::<i32>(region, "key"), CreateError::Creator(OutOfStock)));
        assert_eq!(region.options().ignore_expiration().get("key").unwrap(), Some(1));
        assert_eq!(region.get_or_create("key", || 2).unwrap(), 2);
    });
}

/// How the creators of a stampede end.
#[derive(Clone, Copy)]
enum End {
    Error,
    Panic,
}

/// Ten threads request one key. The first creators fail in the way of `end`, and the last one succeeds.
fn stampede_over_failures(end: End) {
    const FAILURES: usize = 3;
    let store = Scripted::with_mutexes();
    let (region, attempts) = (region_on(&store), AtomicUsize::new(0));
    let create = || {
        // The first creator waits until all other threads have missed, so that they all depend on it.
        let attempt = attempts.fetch_add(1, SeqCst);
        until("all threads have read the key", || attempt > 0 || store.calls("get") >= 11);
        match end {
            _ if attempt >= FAILURES => Ok(7),
            End::Error => Err(OutOfStock),
            End::Panic => panic!("out of tea"),
        }
    };
    let call = || catch_unwind(AssertUnwindSafe(|| region.try_get_or_create("key", create)));
    let (mut served, mut failed) = (0, 0);
    for result in together(10, |_| call()) {
        match result {
            Ok(Ok(value)) => served += value / 7,
            Ok(Err(CreateError::Creator(OutOfStock))) | Err(_) => failed += 1,
            Ok(Err(error)) => panic!("{error}"),
        }
    }
    assert_eq!((served, failed, attempts.load(SeqCst)), (10 - FAILURES, FAILURES, FAILURES + 1));
    assert!(!store.mutex("key").locked().unwrap());
}

/// Each error is returned to one caller only. The others go on waiting.
#[test]
fn next_waiter_creates_after_an_error() {
    bounded(|| stampede_over_failures(End::Error));
}

#[test]
fn next_waiter_creates_after_a_panic() {
    bounded(|| stampede_over_failures(End::Panic));
}

/// A multi-key call creates its free keys first. A key whose other creator fails is created by a second call of its
/// creator.
#[test]
fn waiting_multi_call_creates_a_key_after_its_creator_fails() {
    bounded(|| {
        let region = region_on(&Scripted::new());
        let (begun, fail) = (Signal::default(), Signal::default());
        thread::scope(|scope| {
            let failing = scope.spawn(|| {
                region.try_get_or_create::<String, _>("b", || {
                    begun.give();
                    fail.wait();
                    Err(OutOfStock)
                })
            });
            begun.wait();
            let mut asked = Vec::new();
            let values = region.get_or_create_multi(&["a", "b"], |keys| {
                asked.push(keys.iter().map(|key| key.to_string()).collect::<Vec<_>>());
                fail.give();
                keys.iter().map(|key| key.to_string()).collect()
            });
            assert_eq!(values.unwrap(), ["a", "b"]);
            assert_eq!(asked, [["a"], ["b"]]);
            assert!(matches!(failing.join().unwrap(), Err(CreateError::Creator(OutOfStock))));
        });
    });
}

/// Python accepts a creator that returns too few values.
#[test]
fn wrong_number_of_created_values_is_an_error() {
    on_each(|Subject { region, .. }| {
        for made in [0, 2, 4] {
            let error = region.get_or_create_multi(&["a", "b", "c"], |_| vec![1; made]).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "region \"tested\" stored nothing: the creator returned {made} values for 3 keys; return one value per key"
                )
            );
            assert_eq!(region.get_multi::<i32>(&["a", "b", "c"]).unwrap(), [None, None, None]);
            assert!(!region.key_is_locked("b").unwrap());
        }
    });
}

fn is_circle(error: &RegionError) -> bool {
    matches!(error, RegionError::Lock { source: LockError::Reentry, .. })
}

/// In Python, such a creator waits for itself forever.
#[test]
fn creator_requesting_its_own_key_gets_an_error() {
    bounded(|| {
        on_each(|Subject { region, .. }| {
            let made = region.get_or_create("key", || {
                let error = region.get_or_create("key", || 2).unwrap_err();
                assert!(is_circle(&error), "{error:?}");
                let error =
                    region.get_or_create_multi(&["other", "key"], |keys| vec![2; keys.len()]).unwrap_err();
                assert!(is_circle(&error), "{error:?}");
                1
            });
            assert_eq!(made.unwrap(), 1);
            let many = region.get_or_create_multi(&["a", "b"], |keys| {
                assert!(is_circle(&region.get_or_create("b", || 2).unwrap_err()));
                vec![1; keys.len()]
            });
            assert_eq!(many.unwrap(), [1, 1]);
        });
    });
}

#[test]
fn creator_requesting_its_own_stale_key_gets_the_old_value() {
    on_each(|Subject { region, clock }| {
        region.set("key", 1).unwrap();
        clock.advance(SECOND);
        region.invalidate_soft().unwrap();
        let made = region.get_or_create("key", || region.get_or_create("key", || 5).unwrap() + 1);
        assert_eq!(made.unwrap(), 2);
    });
}

#[test]
fn creators_requesting_each_others_keys_do_not_deadlock() {
    bounded(|| {
        let region = region_on(&Scripted::with_mutexes());
        let both = std::sync::Barrier::new(2);
        let create = |own: &str, others: &str| {
            region.try_get_or_create(own, || {
                both.wait();
                region.get_or_create(others, || 1).map(|value| value + 1)
            })
        };
        thread::scope(|scope| {
            let one = scope.spawn(|| create("a", "b"));
            let two = create("b", "a");
            let circles = [one.join().unwrap(), two].into_iter().filter(|result| match result {
                Err(CreateError::Creator(error)) => is_circle(error),
                other => {
                    assert!(other.is_ok(), "{other:?}");
                    false
                }
            });
            // The request that would close the circle fails. The other creator can then finish.
            assert_eq!(circles.count(), 1);
        });
    });
}

#[test]
fn creator_may_request_another_key_on_another_thread() {
    bounded(|| {
        let region = region_on(&Scripted::new());
        let made = region.get_or_create("outer", || {
            thread::scope(|scope| {
                scope.spawn(|| region.get_or_create("inner", || 1).unwrap()).join().unwrap()
            }) + 1
        });
        assert_eq!(made.unwrap(), 2);
    });
}

/// Returns the start of the error that `call` reports while the backend's `operation` fails.
fn failure(operation: &'static str, call: impl Fn(&CacheRegion) -> Result<(), RegionError>) -> String {
    let store = Scripted::new();
    let region = region_on(&store);
    store.fail(operation, ErrorKind::Unavailable);
    let error = call(&region).unwrap_err();
    assert!(error.is_transient());
    assert_eq!(error.backend_error().unwrap().kind(), ErrorKind::Unavailable);
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "scripted failure");
    store.heal();
    call(&region).unwrap();
    assert!(!region.key_is_locked("key").unwrap());
    let text = error.to_string();
    assert!(text.contains("region \"creating\"") && text.contains("backend \"Scripted"), "{text}");
    text.split(" in backend").next().unwrap().to_owned()
}

#[test]
fn backend_error_names_region_operation_and_key() {
    let created = |region: &CacheRegion| region.get_or_create("key", || 1).map(drop);
    let created_multi = |region: &CacheRegion| {
        region.get_or_create_multi(&["key", "b"], |keys| vec![1; keys.len()]).map(drop)
    };
    let could_not = "region \"creating\" could not";
    assert_eq!(
        failure("get", |region| region.get::<i32>("key").map(drop)),
        format!("{could_not} get \"key\"")
    );
    assert_eq!(failure("set", |region| region.set("key", 1)), format!("{could_not} set \"key\""));
    assert_eq!(failure("delete", |region| region.delete("key")), format!("{could_not} delete \"key\""));
    assert_eq!(failure("get", created), format!("{could_not} get \"key\""));
    assert_eq!(
        failure("get_multi", |region| region.get_multi::<i32>(&["a", "b"]).map(drop)),
        format!("{could_not} get_multi [\"a\", \"b\"]")
    );
    assert_eq!(failure("get_multi", created_multi), format!("{could_not} get_multi [\"b\", \"key\"]"));
    assert_eq!(
        failure("set_multi", |region| region.set_multi([("a", 1)])),
        format!("{could_not} set_multi [\"a\"]")
    );
    assert_eq!(
        failure("delete_multi", |region| region.delete_multi(&["a"])),
        format!("{could_not} delete_multi [\"a\"]")
    );
}

#[test]
fn stale_value_is_served_while_another_process_creates() {
    let (store, clock) = (Scripted::with_mutexes(), Arc::new(ManualClock::at(100.0)));
    let region = CacheRegion::new("creating");
    let config = RegionConfig::from_instance(store.clone()).expiration_time(SECOND).clock(clock.clone());
    region.configure(config).unwrap();
    region.set("key", 1).unwrap();
    clock.advance(2 * SECOND);
    assert!(store.mutex("key").try_acquire().unwrap());
    assert_eq!(region.get_or_create("key", || 2).unwrap(), 1);
    assert_eq!(region.get_or_create_multi(&["key"], |_| vec![2]).unwrap(), [1]);
    assert_eq!(store.mutex("key").waits.load(SeqCst), 0, "no call waited for the mutex");
    store.mutex("key").release().unwrap();
    assert_eq!(region.get_or_create("key", || 2).unwrap(), 2);
}
