//! Hard and soft invalidation of a whole region.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use dogpile::sdk::{CreationTime, Metadata};
use dogpile::{Expiration, Invalidation, RegionConfig, RegionInvalidationStrategy, Validity};
use dogpile_tests::regions::{START, SeparateTimes, Subject, on_each, on_each_with};

const SECOND: Duration = Duration::from_secs(1);

/// Returns creators whose values count up from 1.
#[derive(Default)]
struct Counter(Cell<i32>);

impl Counter {
    fn next(&self) -> i32 {
        self.0.set(self.0.get() + 1);
        self.0.get()
    }

    fn all(&self, keys: &[&str]) -> Vec<i32> {
        keys.iter().map(|_| self.next()).collect()
    }
}

/// Behavior: `hard-invalidate-get`
#[test]
fn hard_invalidated_value_is_not_served() {
    on_each(|Subject { region, clock }| {
        region.set("key", 1).unwrap();
        clock.advance(SECOND / 10);
        region.invalidate().unwrap();
        assert_eq!(region.get::<i32>("key").unwrap(), None);
        assert_eq!(region.options().ignore_expiration().get("key").unwrap(), Some(1));
        clock.advance(SECOND / 10);
        region.set("key", 2).unwrap();
        assert_eq!(region.get("key").unwrap(), Some(2));
    });
}

/// Behavior: `hard-invalidate-goc`
#[test]
fn hard_invalidated_value_is_created_again_once() {
    on_each(|Subject { region, clock }| {
        let counter = Counter::default();
        for round in 1..=3 {
            assert_eq!(region.get_or_create("key", || counter.next()).unwrap(), round);
            assert_eq!(region.get_or_create("key", || counter.next()).unwrap(), round);
            clock.advance(SECOND / 10);
            region.invalidate().unwrap();
        }
    });
}

/// Behavior: `hard-invalidate-goc-multi`
#[test]
fn hard_invalidated_values_are_created_again_once_each() {
    on_each(|Subject { region, clock }| {
        let counter = Counter::default();
        let create = || region.get_or_create_multi(&["a", "b"], |keys| counter.all(keys)).unwrap();
        for expected in [[1, 2], [3, 4], [5, 6]] {
            assert_eq!(create(), expected);
            assert_eq!(create(), expected);
            clock.advance(SECOND / 10);
            region.invalidate().unwrap();
        }
    });
}

/// Behavior: `soft-invalidate-get`
#[test]
fn softly_invalidated_value_is_not_served_by_get() {
    on_each_with(
        |config| config.expiration_time(SECOND),
        |Subject { region, clock }| {
            region.set("key", 1).unwrap();
            clock.advance(SECOND / 10);
            region.invalidate_soft().unwrap();
            assert_eq!(region.get::<i32>("key").unwrap(), None);
        },
    );
}

/// Behavior: `soft-invalidate-goc`
#[test]
fn softly_invalidated_value_is_created_again() {
    on_each_with(
        |config| config.expiration_time(SECOND),
        |Subject { region, clock }| {
            let counter = Counter::default();
            assert_eq!(region.get_or_create("key", || counter.next()).unwrap(), 1);
            clock.advance(SECOND / 10);
            region.invalidate_soft().unwrap();
            assert_eq!(region.get_or_create("key", || counter.next()).unwrap(), 2);
            assert_eq!(region.get_or_create("key", || counter.next()).unwrap(), 2);
        },
    );
}

/// Behavior: `soft-invalidate-goc-multi`
#[test]
fn softly_invalidated_values_are_created_again_by_one_call() {
    on_each_with(
        |config| config.expiration_time(5 * SECOND),
        |Subject { region, clock }| {
            let (counter, calls) = (Counter::default(), Cell::new(0));
            let create = || {
                let made = region.get_or_create_multi(&["a", "b"], |keys| {
                    calls.set(calls.get() + 1);
                    counter.all(keys)
                });
                made.unwrap()
            };
            assert_eq!((create(), calls.get()), (vec![1, 2], 1));
            clock.advance(SECOND / 10);
            region.invalidate_soft().unwrap();
            assert_eq!((create(), calls.get()), (vec![3, 4], 2));
        },
    );
}

// DIFFERENCE: without an expiration time, Python raises after a soft invalidation, once the creator has run. Here,
// the invalidation is sufficient: values that were made before it are stale.

/// Behavior: `soft-invalidate-needs-expiration-absent`
/// Behavior: `soft-invalidate-needs-expiration-present`
#[test]
fn soft_invalidation_needs_no_expiration_time() {
    on_each(|Subject { region, clock }| {
        let counter = Counter::default();
        region.invalidate_soft().unwrap();
        assert_eq!(region.get_or_create("key", || counter.next()).unwrap(), 1);
        clock.advance(SECOND);
        region.invalidate_soft().unwrap();
        assert_eq!(region.get_or_create("key", || counter.next()).unwrap(), 2);
        clock.advance(SECOND);
        region.invalidate_soft().unwrap();
        let never = region.options().expiration_time(Expiration::Never);
        assert_eq!(never.get_or_create("key", || counter.next()).unwrap(), 3);
    });
}

/// Behavior: `soft-invalidate-needs-expiration-multi-absent`
/// Behavior: `soft-invalidate-needs-expiration-multi-present`
#[test]
fn soft_invalidation_of_many_keys_needs_no_expiration_time() {
    on_each(|Subject { region, clock }| {
        let counter = Counter::default();
        let create = || region.get_or_create_multi(&["a", "b"], |keys| counter.all(keys)).unwrap();
        region.invalidate_soft().unwrap();
        assert_eq!(create(), [1, 2]);
        clock.advance(SECOND);
        region.invalidate_soft().unwrap();
        assert_eq!(create(), [3, 4]);
        assert_eq!(create(), [3, 4]);
    });
}

#[test]
fn last_invalidation_overrides_earlier_ones() {
    on_each(|Subject { region, clock }| {
        region.set("key", 1).unwrap();
        clock.advance(SECOND);
        region.invalidate().unwrap();
        region.set("key", 2).unwrap();
        clock.advance(SECOND);
        region.invalidate_soft().unwrap();
        // A hit while another thread creates, because the soft invalidation came after the hard one.
        let old = region.get_or_create("key", || {
            std::thread::scope(|scope| {
                scope.spawn(|| region.get_or_create("key", || 4).unwrap()).join().unwrap()
            })
        });
        assert_eq!(old.unwrap(), 2);
    });
}

/// Every other test of a region holds with this strategy too: see `dogpile_tests::regions::on_each`.
///
/// Behavior: `custom-invalidation-strategy`
#[test]
fn custom_strategy_judges_values_and_outlives_the_backend() {
    let strategy = Arc::new(SeparateTimes::default());
    let config = || RegionConfig::new("dogpile.cache.memory").region_invalidator(strategy.clone());
    let Subject { region, clock } = Subject::new(config());
    region.set("key", 1).unwrap();
    let first = Metadata::new(CreationTime::from_seconds(START));
    clock.advance(SECOND);
    region.invalidate_soft().unwrap();
    assert_eq!(strategy.judge("key", &first), Validity::SoftInvalidated);
    region.invalidate().unwrap();
    assert_eq!(strategy.judge("key", &first), Validity::HardInvalidated);
    assert_eq!(region.get::<i32>("key").unwrap(), None);

    let replaced = RegionConfig::new("dogpile.cache.memory").replace_existing_backend();
    region.configure(replaced).unwrap();
    clock.advance(SECOND);
    region.set("key", 2).unwrap();
    assert_eq!(region.get("key").unwrap(), Some(2));
    strategy.invalidate(Invalidation::Hard, CreationTime::from_seconds(START + 10.0));
    assert_eq!(region.get::<i32>("key").unwrap(), None);
}
