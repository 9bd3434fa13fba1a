//! Values that no longer exist: a creator returns `None`, which is cached or not.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dogpile::{Aged, CacheRegion, CreateError, Created, FailSafe, ManualClock, RegionConfig};
use dogpile_tests::front::Front;
use dogpile_tests::regions::{START, Subject, on_each_with, region_of};
use dogpile_tests::threads::{block_on, bounded, until};

type Row = Option<u32>;

const CACHED: fn() -> Created<Row> = || Created::new(None);
const UNCACHED: fn() -> Created<Row> = || Created::uncached(None);

const FRONTS: [Front; 2] = [Front::Blocking, Front::Asynchronous];

#[derive(Debug, PartialEq)]
struct Outage;

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("scripted outage")
    }
}

/// Values are fresh for 100 seconds, and served up to 1000 if the creator fails. A failing creator is called each time.
fn on_each(test: impl Fn(&Subject, Front)) {
    let fail_safe = FailSafe::new(Duration::from_secs(1000)).throttle(Duration::ZERO);
    for front in FRONTS {
        on_each_with(
            |config| config.expiration_time(100).max_stale(50).fail_safe(fail_safe),
            |subject| test(subject, front),
        );
    }
}

/// Returns the value of `key`, and whether the creator was called. It ends with `made`.
fn create(
    region: &CacheRegion,
    front: Front,
    key: &str,
    made: Result<Created<Row>, Outage>,
) -> (Result<Row, CreateError<Outage>>, bool) {
    let called = Cell::new(false);
    let create = |_: Option<Aged<Row>>| {
        called.set(true);
        made
    };
    let value = match front {
        Front::Blocking => region.options().get_or_create_with(key, create),
        Front::Asynchronous => {
            block_on(region.options().get_or_create_with_async(key, |old| async move { create(old) }))
        }
    };
    (value, called.get())
}

/// Returns the values of `keys`, and the keys that the creator was called for. It ends with a decision for each key.
fn create_multi(
    region: &CacheRegion,
    front: Front,
    keys: &[&str],
    decide: impl Fn(&str) -> Result<Created<Row>, Outage>,
) -> (Result<Vec<Row>, CreateError<Outage>>, Vec<String>) {
    let mut called = Vec::new();
    let values = match front {
        Front::Blocking => region.options().get_or_create_multi_with(keys, |keys, _| {
            called.extend(keys.iter().map(|key| (*key).to_owned()));
            keys.iter().map(|key| decide(key)).collect()
        }),
        Front::Asynchronous => {
            block_on(region.options().get_or_create_multi_with_async(keys, |keys: Vec<String>, _| {
                let made = keys.iter().map(|key| decide(key)).collect();
                called.extend(keys);
                async move { made }
            }))
        }
    };
    (values, called)
}

fn assert_got(got: (Result<Row, CreateError<Outage>>, bool), expected: (Row, bool)) {
    assert_eq!((got.0.unwrap(), got.1), expected);
}

#[test]
fn cached_none_is_a_value_like_any_other() {
    on_each(|subject, front| {
        let Subject { region, clock } = subject;
        assert_got(create(region, front, "key", Ok(CACHED())), (None, true));
        assert_eq!(front.get::<Row>(region, "key").unwrap(), Some(None), "a hit");
        assert_got(create(region, front, "key", Ok(Created::new(Some(1)))), (None, false));
        clock.advance(Duration::from_secs(101));
        assert_eq!(front.get::<Row>(region, "key").unwrap(), None, "it expires");
        assert_got(create(region, front, "key", Ok(Created::new(Some(1)))), (Some(1), true));
        // The value is gone again: the old one is replaced.
        clock.advance(Duration::from_secs(101));
        assert_got(create(region, front, "key", Ok(CACHED())), (None, true));
        assert_got(create(region, front, "key", Ok(Created::new(Some(2)))), (None, false));
    });
}

#[test]
fn uncached_none_is_created_each_time() {
    on_each(|subject, front| {
        let Subject { region, .. } = subject;
        for _ in 0..2 {
            assert_got(create(region, front, "key", Ok(UNCACHED())), (None, true));
            assert_eq!(front.get::<Row>(region, "key").unwrap(), None, "a miss");
        }
        assert_got(create(region, front, "key", Ok(Created::new(Some(1)))), (Some(1), true));
    });
}

/// A cached `None` bridges an outage. It does not give way to the value that it replaced.
#[test]
fn cached_none_is_served_while_the_creator_fails() {
    on_each(|subject, front| {
        let Subject { region, clock } = subject;
        region.set("key", Some(1_u32)).unwrap();
        for age in [101, 151, 999] {
            clock.advance(Duration::from_secs(1001));
            assert_got(create(region, front, "key", Ok(CACHED())), (None, true));
            clock.advance(Duration::from_secs(age));
            assert_got(create(region, front, "key", Err(Outage)), (None, true));
        }
        clock.advance(Duration::from_secs(1001));
        assert_eq!(create(region, front, "key", Err(Outage)).0.unwrap_err().into_creator().unwrap(), Outage);
    });
}

/// An uncached `None` leaves the stored value as it is, so that it still bridges an outage. A cached `None` replaces it.
#[test]
fn uncached_none_leaves_the_old_value_for_an_outage() {
    on_each(|subject, front| {
        let Subject { region, clock } = subject;
        region.set("key", Some(1_u32)).unwrap();
        clock.advance(Duration::from_secs(500));
        assert_got(create(region, front, "key", Ok(UNCACHED())), (None, true));
        assert_got(create(region, front, "key", Err(Outage)), (Some(1), true));
        assert_got(create(region, front, "key", Ok(CACHED())), (None, true));
        clock.advance(Duration::from_secs(101));
        assert_got(create(region, front, "key", Err(Outage)), (None, true));
    });
}

#[test]
fn creator_of_many_decides_for_each_key() {
    on_each(|subject, front| {
        let Subject { region, clock } = subject;
        let decide = |key: &str| {
            Ok(match key {
                "cached" => CACHED(),
                "uncached" => UNCACHED(),
                _ => Created::new(Some(1)),
            })
        };
        let keys = ["cached", "uncached", "there"];
        let (values, called) = create_multi(region, front, &keys, decide);
        assert_eq!(
            (values.unwrap(), called),
            (vec![None, None, Some(1)], ["cached", "there", "uncached"].map(str::to_owned).to_vec())
        );
        assert_eq!(front.get_multi::<Row>(region, &keys).unwrap(), [Some(None), None, Some(Some(1))]);
        let (values, called) = create_multi(region, front, &keys, |_| Ok(Created::new(Some(2))));
        assert_eq!((values.unwrap(), called), (vec![None, Some(2), Some(1)], vec!["uncached".to_owned()]));
        // Fail-safe gives each key its own old value.
        clock.advance(Duration::from_secs(500));
        let (values, called) = create_multi(region, front, &keys, |_| Err(Outage));
        assert_eq!((values.unwrap(), called.len()), (vec![None, Some(2), Some(1)], 3));
        let (values, _) = create_multi(region, front, &keys, |_| Ok(UNCACHED()));
        assert_eq!(values.unwrap(), [None; 3]);
        let (values, _) = create_multi(region, front, &keys, |_| Err(Outage));
        assert_eq!(values.unwrap(), [None, Some(2), Some(1)], "nothing was stored");
    });
}

/// An uncached `None` reaches those who waited for it.
#[test]
fn waiters_get_an_uncached_none() {
    for front in FRONTS {
        bounded(move || {
            let clock = Arc::new(ManualClock::at(START));
            let region = region_of("waiters", RegionConfig::new("dogpile.cache.memory").clock(clock));
            std::thread::scope(|scope| {
                let leader = scope.spawn(|| {
                    region.options().get_or_create_with("key", |_: Option<Aged<Row>>| {
                        until("another caller waits", || region.creations().unwrap()[0].waiters == 1);
                        Ok::<_, Outage>(UNCACHED())
                    })
                });
                until("the creator runs", || !region.creations().unwrap().is_empty());
                assert_got(create(&region, front, "key", Ok(Created::new(Some(1)))), (None, false));
                assert_eq!(leader.join().unwrap().unwrap(), None);
            });
        });
    }
}
