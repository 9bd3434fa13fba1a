//! A region's calls with one key.

use std::cell::Cell;
use std::time::Duration;

use dogpile::sdk::CreationTime;
use dogpile::{CreateError, Expiration, RegionError};
use dogpile_tests::regions::{START, Subject, odd_only, on_each, on_each_with};

const SECOND: Duration = Duration::from_secs(1);

/// Returns a creator whose values count up from 1.
fn counting(counter: &Cell<i32>) -> impl Fn() -> i32 + '_ {
    || {
        counter.set(counter.get() + 1);
        counter.get()
    }
}

/// Behavior: `region-set-then-get`
/// Behavior: `region-basic-set-get`
#[test]
fn set_value_is_returned_by_get() {
    on_each(|Subject { region, .. }| {
        region.set("key", "some value".to_owned()).unwrap();
        assert_eq!(region.get::<String>("key").unwrap().as_deref(), Some("some value"));
        region.set("key", "another".to_owned()).unwrap();
        assert_eq!(region.get::<String>("key").unwrap().as_deref(), Some("another"));
    });
}

/// Behavior: `region-get-absent`
#[test]
fn missing_key_is_none_with_any_expiration_or_invalidation() {
    on_each(|Subject { region, .. }| {
        assert_eq!(region.get::<i32>("key").unwrap(), None);
        assert_eq!(region.options().expiration_time(10 * SECOND).get::<i32>("key").unwrap(), None);
        region.invalidate().unwrap();
        assert_eq!(region.get::<i32>("key").unwrap(), None);
    });
}

#[test]
fn cached_none_is_a_hit() {
    on_each(|Subject { region, .. }| {
        region.set::<Option<i32>>("key", None).unwrap();
        assert_eq!(region.get::<Option<i32>>("key").unwrap(), Some(None));
        assert_eq!(region.get_or_create("key", || Some(1_i32)).unwrap(), None);
    });
}

/// Behavior: `goc-miss-runs-creator`
/// Behavior: `region-goc-returns-creator-value`
#[test]
fn missing_value_is_created_and_stored() {
    on_each(|Subject { region, .. }| {
        assert_eq!(region.get_or_create("key", || 7).unwrap(), 7);
        assert_eq!(region.get_or_create("key", || -> i32 { panic!("the value is cached") }).unwrap(), 7);
        assert_eq!(region.get("key").unwrap(), Some(7));
    });
}

/// Behavior: `delete-twice-ok`
/// Behavior: `region-delete-idempotent`
#[test]
fn deleting_a_key_twice_succeeds() {
    on_each(|Subject { region, .. }| {
        region.set("key", 1).unwrap();
        region.delete("key").unwrap();
        region.delete("key").unwrap();
        assert_eq!(region.get::<i32>("key").unwrap(), None);
    });
}

#[derive(Debug, PartialEq)]
struct OutOfStock(&'static str);

impl std::fmt::Display for OutOfStock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "out of {}", self.0)
    }
}

/// Behavior: `creator-error-reaches-caller`
#[test]
fn creator_error_reaches_its_caller_unchanged() {
    on_each(|Subject { region, .. }| {
        let error = region.try_get_or_create::<i32, _>("key", || Err(OutOfStock("tea"))).unwrap_err();
        assert!(matches!(error, CreateError::Creator(OutOfStock("tea"))), "{error:?}");
        assert_eq!(region.get::<i32>("key").unwrap(), None);
        assert!(!region.key_is_locked("key").unwrap());
    });
}

/// Behavior: `expire-get-answers-no-value`
/// Behavior: `expire-ignored-on-request`
/// Behavior: `expired-value-still-stored`
#[test]
fn expired_value_is_not_served_but_still_stored() {
    on_each_with(
        |config| config.expiration_time(SECOND),
        |Subject { region, clock }| {
            region.get_or_create("key", || 1).unwrap();
            assert_eq!(region.get("key").unwrap(), Some(1));
            clock.advance(2 * SECOND);
            assert_eq!(region.get::<i32>("key").unwrap(), None);
            assert_eq!(region.options().ignore_expiration().get("key").unwrap(), Some(1));
        },
    );
}

/// Behavior: `expire-minus-one-means-never`
/// Behavior: `expire-goc-regenerates`
/// Behavior: `expired-value-regenerates`
#[test]
fn expired_value_is_replaced_unless_the_call_never_expires_it() {
    on_each_with(
        |config| config.expiration_time(SECOND),
        |Subject { region, clock }| {
            let (counter, never) = (Cell::new(0), "-1".parse::<Expiration>().unwrap());
            assert_eq!(region.get_or_create("key", counting(&counter)).unwrap(), 1);
            clock.advance(2 * SECOND);
            let accepted = region.options().expiration_time(never).get_or_create("key", counting(&counter));
            assert_eq!(accepted.unwrap(), 1);
            assert_eq!(region.get_or_create("key", counting(&counter)).unwrap(), 2);
            assert_eq!(region.get("key").unwrap(), Some(2));
        },
    );
}

/// Behavior: `get-honours-region-expiration`
/// Behavior: `get-ignore-expiration`
/// Behavior: `get-per-call-expiration`
#[test]
fn expiration_of_a_get_overrides_the_regions() {
    on_each_with(
        |config| config.expiration_time(SECOND / 2),
        |Subject { region, clock }| {
            region.set("key", 1).unwrap();
            assert_eq!(region.get("key").unwrap(), Some(1));
            clock.advance(SECOND);
            assert_eq!(region.options().expiration_time(5 * SECOND).get("key").unwrap(), Some(1));
            assert_eq!(region.get::<i32>("key").unwrap(), None);
            assert_eq!(region.options().ignore_expiration().get("key").unwrap(), Some(1));
        },
    );
}

/// Behavior: `goc-per-call-expiration`
#[test]
fn expiration_of_a_call_is_not_stored_with_the_value() {
    on_each_with(
        |config| config.expiration_time(5 * SECOND),
        |Subject { region, clock }| {
            let counter = Cell::new(0);
            let short =
                || region.options().expiration_time(SECOND).get_or_create("key", counting(&counter)).unwrap();
            assert_eq!(short(), 1);
            clock.advance(2 * SECOND);
            assert_eq!(region.get("key").unwrap(), Some(1));
            assert_eq!(short(), 2);
            clock.advance(2 * SECOND);
            assert_eq!(region.get("key").unwrap(), Some(2));
        },
    );
}

/// Behavior: `should-cache-stores-accepted`
/// Behavior: `should-cache-refused-is-returned-not-stored`
/// Behavior: `should-cache-later-accepted-replaces`
#[test]
fn uncached_value_is_returned_but_not_stored() {
    on_each(|Subject { region, clock }| {
        let create = |value: i32| region.options().get_or_create_with("key", |_| odd_only(value)).unwrap();
        let stored = || region.options().ignore_expiration().get::<i32>("key").unwrap();
        let age = || {
            clock.advance(SECOND);
            region.invalidate().unwrap();
        };
        assert_eq!((create(1), stored()), (1, Some(1)));
        age();
        assert_eq!((create(2), stored()), (2, Some(1)));
        assert_eq!(region.get::<i32>("key").unwrap(), None);
        age();
        assert_eq!((create(3), stored()), (3, Some(3)));
        assert_eq!(create(5), 3);
    });
}

/// Behavior: `metadata-cached-time-and-age`
/// Behavior: `metadata-absent`
/// Behavior: `metadata-expired`
/// Behavior: `metadata-expired-ignored`
#[test]
fn value_metadata_has_cached_time_and_age() {
    on_each(|Subject { region, clock }| {
        assert_eq!(region.get_value_metadata::<String>("key").unwrap(), None);
        region.set("key", "some value".to_owned()).unwrap();
        clock.advance(5 * SECOND);
        let found = region.get_value_metadata::<String>("key").unwrap().unwrap();
        assert_eq!((found.value.as_str(), found.age), ("some value", 5 * SECOND));
        assert_eq!(found.creation_time, CreationTime::from_seconds(START));
        let short = region.options().expiration_time(4 * SECOND);
        assert_eq!(short.get_value_metadata::<String>("key").unwrap(), None);
        assert_eq!(short.ignore_expiration().get_value_metadata("key").unwrap(), Some(found));
    });
}

#[test]
fn value_of_another_type_is_a_miss_and_is_replaced() {
    on_each(|Subject { region, .. }| {
        region.set("key", "text".to_owned()).unwrap();
        assert_eq!(region.get::<Vec<i32>>("key").unwrap(), None);
        assert_eq!(region.get_or_create("key", || vec![1_u32]).unwrap(), [1]);
        assert_eq!(region.get("key").unwrap(), Some(vec![1_u32]));
        assert_eq!(region.get::<String>("key").unwrap(), None);
    });
}

#[test]
fn empty_key_is_rejected_by_every_call() {
    on_each(|Subject { region, .. }| {
        let rejections = [
            region.get::<i32>("").map(drop),
            region.set("", 1),
            region.delete(""),
            region.get_or_create("", || 1).map(drop),
            region.get_multi::<i32>(&["a", ""]).map(drop),
            region.set_multi([("a", 1), ("", 2)]),
            region.delete_multi(&["a", ""]),
            region.get_or_create_multi(&["a", ""], |keys| vec![1; keys.len()]).map(drop),
            region.get_value_metadata::<i32>("").map(drop),
            region.key_is_locked("").map(drop),
        ];
        for rejection in rejections {
            let error = rejection.unwrap_err();
            assert!(matches!(error, RegionError::InvalidKey { .. }), "{error:?}");
            let text = error.to_string();
            assert!(text.contains("tested") && text.contains("at least one character"), "{text}");
        }
        assert_eq!(region.get::<i32>("a").unwrap(), None, "`set_multi` stored nothing");
    });
}
