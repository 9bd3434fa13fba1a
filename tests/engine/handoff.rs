//! Waiters receive the leader's value, even if it is not stored.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use dogpile::sdk::{BackendError, CacheBackend, CachedValue, Entry, ErrorKind, ProxyBackend, StoreOptions};
use dogpile::{Aged, CacheRegion, CreateError, Created, OnCreatorFailure, RegionConfig, RegionError};
use dogpile_tests::errors::OutOfStock;
use dogpile_tests::regions::region_of;
use dogpile_tests::scripted::Scripted;
use dogpile_tests::threads::{Signal, bounded, together, until};

const CALLERS: usize = 64;

/// Accepts values and loses them at once.
#[derive(Debug)]
struct Losing(Arc<dyn CacheBackend>);

impl ProxyBackend for Losing {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.0
    }

    fn set(&self, _key: &str, _value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
        Ok(())
    }

    fn set_multi(&self, _entries: Vec<Entry>) -> Result<(), BackendError> {
        Ok(())
    }
}

/// A region, its store, and how often a creator ran. The creator waits until all callers but itself wait for it.
struct Stampede {
    region: CacheRegion,
    store: Arc<Scripted>,
    created: AtomicUsize,
}

impl Stampede {
    fn new(configure: impl FnOnce(RegionConfig) -> RegionConfig) -> Self {
        let store = Scripted::new();
        let region = region_of("stampede", configure(RegionConfig::from_instance(store.clone())));
        Stampede { region, store, created: AtomicUsize::new(0) }
    }

    /// Runs in the creator.
    fn create(&self) -> u32 {
        self.created.fetch_add(1, SeqCst);
        until("all others wait", || self.waiters() == CALLERS - 1);
        7
    }

    fn waiters(&self) -> usize {
        self.region.creations().unwrap().first().map_or(0, |creation| creation.waiters)
    }

    /// Runs `call` for all callers, and checks that there was one creation and at most one read per caller, besides
    /// the leader's second one.
    fn run<R: Send>(&self, read: &str, call: impl Fn() -> R + Sync) -> Vec<R> {
        let results = together(CALLERS, |_| call());
        assert_eq!(self.created.load(SeqCst), 1, "creations");
        assert!(self.store.calls(read) <= CALLERS + 1, "{} reads", self.store.calls(read));
        assert_eq!(self.region.creations().unwrap(), []);
        results
    }
}

fn assert_all_got_the_value(results: Vec<Result<u32, RegionError>>) {
    results.into_iter().for_each(|result| assert_eq!(result.unwrap(), 7));
}

#[test]
fn stored_value_reaches_all_waiters_without_a_read() {
    bounded(|| {
        let stampede = Stampede::new(|config| config);
        assert_all_got_the_value(
            stampede.run("get", || stampede.region.get_or_create("key", || stampede.create())),
        );
    });
}

#[test]
fn value_that_is_not_cacheable_reaches_all_waiters() {
    bounded(|| {
        let stampede = Stampede::new(|config| config);
        let create = |_old: Option<Aged<u32>>| Ok::<_, Infallible>(Created::uncached(stampede.create()));
        let results = stampede.run("get", || stampede.region.options().get_or_create_with("key", create));
        results.into_iter().for_each(|result| assert_eq!(result.unwrap(), 7));
        assert_eq!(stampede.store.calls("set"), 0);
    });
}

#[test]
fn value_that_the_store_refuses_reaches_all_waiters() {
    bounded(|| {
        let stampede = Stampede::new(|config| config);
        stampede.store.fail("set", ErrorKind::Unavailable);
        assert_all_got_the_value(
            stampede.run("get", || stampede.region.get_or_create("key", || stampede.create())),
        );
    });
}

#[test]
fn value_that_the_store_loses_reaches_all_waiters() {
    bounded(|| {
        let stampede = Stampede::new(|config| config.wrap_in(Losing));
        assert_all_got_the_value(
            stampede.run("get", || stampede.region.get_or_create("key", || stampede.create())),
        );
    });
}

#[test]
fn values_that_the_store_loses_reach_all_multi_callers() {
    bounded(|| {
        let stampede = Stampede::new(|config| config.wrap_in(Losing));
        let call = || stampede.region.get_or_create_multi(&["key"], |_| vec![stampede.create()]);
        for values in stampede.run("get_multi", call) {
            assert_eq!(values.unwrap(), [7]);
        }
    });
}

#[test]
fn multi_caller_and_single_caller_share_a_creation() {
    bounded(|| {
        let stampede = Stampede::new(|config| config.wrap_in(Losing));
        let number = AtomicUsize::new(0);
        let call = || match number.fetch_add(1, SeqCst) % 2 {
            0 => stampede.region.get_or_create("key", || stampede.create()),
            _ => stampede
                .region
                .get_or_create_multi(&["key"], |_| vec![stampede.create()])
                .map(|values| values[0]),
        };
        assert_all_got_the_value(stampede.run("get", call));
    });
}

#[test]
fn shared_failure_reaches_all_waiters() {
    bounded(|| {
        let stampede = Stampede::new(|config| config.on_creator_failure(OnCreatorFailure::Share));
        let fail = || {
            stampede.create();
            Err::<u32, _>(OutOfStock)
        };
        let (mut own, mut shared) = (0, 0);
        for result in stampede.run("get", || stampede.region.try_get_or_create("key", fail)) {
            match result.unwrap_err() {
                CreateError::Creator(OutOfStock) => own += 1,
                CreateError::Shared(failure) => {
                    let parts = (failure.region(), failure.key(), failure.message());
                    assert_eq!(parts, ("stampede", "\"key\"", "out of stock"));
                    shared += 1;
                }
                other => panic!("{other}"),
            }
        }
        assert_eq!((own, shared), (1, CALLERS - 1));
    });
}

/// A caller with a creator that cannot fail waits for one that can. Only the call of the latter shares its failure.
#[test]
fn shared_failure_reaches_a_caller_whose_creator_cannot_fail() {
    bounded(|| {
        let region = region_of("mixed", RegionConfig::new("dogpile.cache.memory"));
        let begun = Signal::default();
        let waits = || region.creations().unwrap()[0].waiters == 1;
        thread::scope(|scope| {
            let failing = scope.spawn(|| {
                region.options().on_creator_failure(OnCreatorFailure::Share).try_get_or_create("key", || {
                    begun.give();
                    until("the other waits", waits);
                    Err::<u32, _>(OutOfStock)
                })
            });
            begun.wait();
            let error = region.get_or_create("key", || 1_u32).unwrap_err();
            assert!(
                matches!(&error, RegionError::SharedFailure(failure) if failure.message() == "out of stock")
            );
            assert_eq!(failing.join().unwrap().unwrap_err().into_creator().unwrap(), OutOfStock);
        });
    });
}

/// The waiter reads what it was handed as another type, finds nothing, and creates by itself.
#[test]
fn waiter_of_another_type_creates_its_own_value() {
    bounded(|| {
        let region = region_of("types", RegionConfig::new("dogpile.cache.memory"));
        let begun = Signal::default();
        let waits = || region.creations().unwrap()[0].waiters == 1;
        thread::scope(|scope| {
            let number = scope.spawn(|| {
                region.get_or_create("key", || {
                    begun.give();
                    until("the other waits", waits);
                    5_u32
                })
            });
            begun.wait();
            assert_eq!(region.get_or_create("key", || "five".to_owned()).unwrap(), "five");
            assert_eq!(number.join().unwrap().unwrap(), 5);
        });
    });
}

/// Runs `interfere` while a creator makes "old", then calls again, and returns what the latecomer got.
fn latecomer_after(interfere: impl Fn(&CacheRegion) + Sync) -> String {
    let region = region_of("late", RegionConfig::new("dogpile.cache.memory"));
    let (begun, go_on) = (Signal::default(), Signal::default());
    thread::scope(|scope| {
        let leader = scope.spawn(|| {
            region.get_or_create("key", || {
                begun.give();
                go_on.wait();
                "old".to_owned()
            })
        });
        begun.wait();
        interfere(&region);
        let latecomer = scope.spawn(|| region.get_or_create("key", || "new".to_owned()));
        until("the latecomer is there", || {
            latecomer.is_finished() || region.creations().unwrap()[0].waiters == 1
        });
        go_on.give();
        assert_eq!(leader.join().unwrap().unwrap(), "old");
        latecomer.join().unwrap().unwrap()
    })
}

#[test]
fn latecomer_after_a_write_does_not_get_the_superseded_value() {
    bounded(|| {
        assert_eq!(latecomer_after(|region| region.set("key", "set".to_owned()).unwrap()), "set");
        assert_eq!(latecomer_after(|region| region.set_multi([("key", "set".to_owned())]).unwrap()), "set");
        assert_eq!(latecomer_after(|region| region.delete("key").unwrap()), "new");
        assert_eq!(latecomer_after(|region| region.delete_multi(&["key"]).unwrap()), "new");
        assert_eq!(latecomer_after(|region| region.invalidate().unwrap()), "new");
    });
}
