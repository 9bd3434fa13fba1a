//! Creators share their errors with the callers that wait for them.

use std::sync::Arc;
use std::thread;

use dogpile::{CacheRegion, CreateError, OnCreatorFailure, RegionConfig, RegionError, shared};

use super::backends::{Backend, KINDS, Kind};

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("busy for {0} seconds")]
struct Busy(u32);

fn sharing(kind: Kind) -> CacheRegion {
    let region = Backend::new(kind).configured(|config| config.on_creator_failure(OnCreatorFailure::Share));
    assert!(region.is_configured());
    region
}

/// Returns what a leader and a waiting task get if the leader's creator fails with the error that `fail` returns.
fn failures<E: Send + std::fmt::Display + 'static>(
    region: &CacheRegion,
    fail: impl FnOnce() -> E + Send,
) -> (CreateError<E>, CreateError<E>) {
    smol::block_on(async {
        let (began, begun) = smol::channel::bounded(1);
        let (go, gate) = smol::channel::bounded::<()>(1);
        let leader = region.try_get_or_create_async("a", async || {
            began.send(()).await.expect("the test receives");
            gate.recv().await.expect("the test sends");
            Err::<u32, E>(fail())
        });
        let waiter = async {
            begun.recv().await.expect("the creator runs");
            let creator = async || -> Result<u32, E> { panic!("the failure is shared") };
            let waiter = region.try_get_or_create_async("a", creator);
            let gate = async {
                while region.creations().expect("it is configured")[0].waiters == 0 {
                    smol::future::yield_now().await;
                }
                go.send(()).await.expect("the creator waits");
            };
            smol::future::zip(waiter, gate).await.0
        };
        let (led, waited) = smol::future::zip(leader, waiter).await;
        (led.expect_err("it fails"), waited.expect_err("it fails"))
    })
}

#[test]
fn waiter_gets_the_error_that_the_creator_shares() {
    for kind in KINDS {
        let (led, waited) = failures(&sharing(kind), || shared(Busy(7)));
        assert!(matches!(&led, CreateError::Creator(Busy(7))), "{led:?}");
        assert!(matches!(&waited, CreateError::Shared(_)), "{waited:?}");
        for error in [led, waited] {
            assert_eq!(error.creator_error(), Some(&Busy(7)));
            assert_eq!(error.into_creator_error().expect("the creator failed"), Busy(7));
        }
    }
}

#[test]
fn error_that_cannot_be_cloned_is_shared_in_an_arc() {
    let fail = || shared(Arc::new(std::io::Error::from(std::io::ErrorKind::TimedOut)));
    let (led, waited) = failures(&sharing(Kind::Immediate), fail);
    let (led, waited) = (led.into_creator_error().unwrap(), waited.into_creator_error().unwrap());
    assert!(Arc::ptr_eq(&led, &waited));
}

#[test]
fn error_that_is_not_shared_reaches_the_waiter_as_text() {
    let (led, waited) = failures(&sharing(Kind::Immediate), || Busy(7));
    assert_eq!(led.into_creator_error().unwrap(), Busy(7));
    assert_eq!(waited.creator_error(), None);
    let error = waited.into_creator_error().unwrap_err();
    assert!(
        matches!(&error, RegionError::SharedFailure(failure) if failure.message() == "busy for 7 seconds")
    );
}

#[test]
fn shared_error_of_another_type_is_text() {
    let (_, waited) = failures(&sharing(Kind::Immediate), || {
        let _ = shared("something else");
        Busy(7)
    });
    let CreateError::Shared(failure) = &waited else { panic!("{waited:?}") };
    assert_eq!(failure.downcast_ref::<&str>(), Some(&"something else"));
    assert_eq!(waited.creator_error(), None);
}

/// A creator shares its own error, and not one of a creator that it calls.
#[test]
fn inner_creator_shares_with_its_own_waiters() {
    let region = sharing(Kind::Immediate);
    let (_, waited) = failures(&region, || {
        let inner = region.try_get_or_create("inner", || Err::<u32, _>(shared(Busy(1))));
        assert!(matches!(inner, Err(CreateError::Creator(Busy(1)))));
        Busy(7)
    });
    assert_eq!(waited.creator_error(), None);
}

#[test]
fn threads_get_the_error_that_the_creator_shares() {
    let region = CacheRegion::new("threads");
    let config = RegionConfig::new("dogpile.cache.memory").on_creator_failure(OnCreatorFailure::Share);
    region.configure(config).expect("nothing is wrong with it");
    let call = |keys: [&str; 2]| {
        region.try_get_or_create_multi(&keys, |_| -> Result<Vec<u32>, Busy> {
            while region.creations().expect("it is configured").iter().all(|creation| creation.waiters == 0) {
                thread::yield_now();
            }
            Err(shared(Busy(7)))
        })
    };
    thread::scope(|scope| {
        let callers = [scope.spawn(|| call(["a", "b"])), scope.spawn(|| call(["b", "a"]))];
        for caller in callers {
            let error = caller.join().expect("it does not panic").unwrap_err();
            assert_eq!(error.into_creator_error().expect("a creator failed"), Busy(7));
        }
    });
}

#[test]
fn failure_of_the_region_is_not_a_creators_error() {
    let region = CacheRegion::new("not configured");
    let error = region.try_get_or_create("a", || Err::<u32, _>(shared(Busy(1)))).unwrap_err();
    assert_eq!(error.creator_error(), None);
    assert!(matches!(error.into_creator_error(), Err(RegionError::NotConfigured { .. })));
    assert_eq!(shared(Busy(1)), Busy(1), "outside of a creator, nothing happens");
}
