//! The time of a region: clocks that are frozen or step, invalidations, and values from the future.

use std::sync::Arc;
use std::time::Duration;

use dogpile::sdk::{CachedValue, CreationTime, StoreOptions};
use dogpile::{CacheRegion, ManualClock, RegionConfig};
use dogpile_tests::regions::{START, Subject, on_each};
use proptest::collection::vec;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn value_set_before_invalidation_is_stale_by_frozen_clock() {
    on_each(|Subject { region, .. }| {
        for round in 0..10 {
            region.set("key", round).unwrap();
            assert_eq!(region.get("key").unwrap(), Some(round));
            region.invalidate().unwrap();
            assert_eq!(region.get::<i32>("key").unwrap(), None);
            assert_eq!(region.get_or_create("key", || -round).unwrap(), -round);
            region.invalidate_soft().unwrap();
            assert_eq!(region.get::<i32>("key").unwrap(), None);
            assert_eq!(region.get_or_create("key", || round + 100).unwrap(), round + 100);
            assert_eq!(region.get("key").unwrap(), Some(round + 100));
        }
    });
}

#[test]
fn soft_invalidation_keeps_hard_one() {
    let Subject { region, clock } = Subject::new(RegionConfig::new("dogpile.cache.memory"));
    region.set("key", 1).unwrap();
    clock.advance(SECOND);
    region.invalidate().unwrap();
    clock.advance(SECOND);
    region.invalidate_soft().unwrap();
    // A second caller waits for the first. Were the value merely stale, it would get the old one at once.
    std::thread::scope(|scope| {
        let (begun, has_begun) = std::sync::mpsc::channel();
        let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
        let region = &region;
        let first = scope.spawn(move || {
            region.get_or_create("key", || {
                begun.send(()).unwrap();
                // An error means that the test has failed already.
                let _ = may_go_on.recv();
                2
            })
        });
        has_begun.recv().unwrap();
        let second = scope.spawn(|| region.get_or_create("key", || 3).unwrap());
        go_on.send(()).unwrap();
        assert_eq!(first.join().unwrap().unwrap(), 2);
        assert_eq!(second.join().unwrap(), 2);
    });
}

#[test]
fn invalidation_covers_creation_despite_clock_step_back() {
    on_each(|Subject { region, clock }| {
        let made = region.get_or_create("key", || {
            clock.set(START - 10.0);
            region.invalidate().unwrap();
            1
        });
        assert_eq!(made.unwrap(), 1);
        assert_eq!(region.get::<i32>("key").unwrap(), None);
    });
}

#[test]
fn creations_continue_after_clock_is_set_back() {
    on_each(|Subject { region, clock }| {
        region.invalidate().unwrap();
        clock.set(START - 3600.0);
        for _ in 0..3 {
            assert_eq!(region.get_or_create("key", || 1).unwrap(), 1);
            assert_eq!(region.get_or_create_multi(&["a", "b"], |keys| vec![2; keys.len()]).unwrap(), [2, 2]);
        }
        assert_eq!(region.get_or_create("key", || 3).unwrap(), 1);
        region.invalidate().unwrap();
        assert_eq!(region.get::<i32>("key").unwrap(), None);
    });
}

#[test]
fn value_from_the_future_expires_and_can_be_invalidated() {
    let config = || RegionConfig::new("dogpile.cache.memory").expiration_time(SECOND);
    for seconds in [START + 3600.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
        let Subject { region, clock } = Subject::new(config());
        stamp_as(&region, seconds);
        assert_eq!(region.get::<i32>("key").unwrap(), None, "{seconds}");
        // It is stale, not missing.
        let old = region.get_or_create("key", || {
            std::thread::scope(|scope| {
                scope.spawn(|| region.get_or_create("key", || 3).unwrap()).join().unwrap()
            })
        });
        assert_eq!(old.unwrap(), 1, "{seconds}");
        assert_eq!(region.get("key").unwrap(), Some(1), "{seconds}");
        clock.advance(2 * SECOND);
        assert_eq!(region.get::<i32>("key").unwrap(), None, "{seconds}");

        stamp_as(&region, seconds);
        region.invalidate().unwrap();
        assert_eq!(region.get::<i32>("key").unwrap(), None, "{seconds}");
        assert_eq!(region.get_or_create("key", || 2).unwrap(), 2);
        assert_eq!(region.get("key").unwrap(), Some(2));
    }
}

/// Stores 1 as a process with another clock would.
fn stamp_as(region: &CacheRegion, seconds: f64) {
    region.set("key", 1).unwrap();
    let backend = region.backend().unwrap();
    let mut stored: CachedValue = backend.get("key").unwrap().unwrap();
    stored.metadata.creation_time = CreationTime::from_seconds(seconds);
    backend.set("key", stored, &StoreOptions::new()).unwrap();
}

/// A step of a random history.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Moves the clock by so many seconds.
    Clock(f64),
    Set,
    Create,
    InvalidateHard,
    InvalidateSoft,
    Get,
}

fn step() -> impl Strategy<Value = Step> {
    let clock = prop_oneof![Just(1e-7), Just(-1e-7), -60.0..60.0, Just(7200.0),];
    prop_oneof![
        clock.prop_map(Step::Clock),
        Just(Step::Set),
        Just(Step::Create),
        Just(Step::InvalidateHard),
        Just(Step::InvalidateSoft),
        Just(Step::Get),
    ]
}

/// The knowledge of an ideal region about its only key.
#[derive(Debug, Default)]
struct Model {
    value: Option<i32>,
    /// Whether an invalidation came after the value.
    hard: bool,
    soft: bool,
}

impl Model {
    fn fresh(&self) -> Option<i32> {
        self.value.filter(|_| !self.hard && !self.soft)
    }

    fn stored(&mut self, value: i32) {
        *self = Model { value: Some(value), hard: false, soft: false };
    }
}

proptest! {
    /// Without an expiration time, only the order of the calls matters, not the clock.
    ///
    /// The clock is never set back by more than a minute in all. Beyond that, a region gives up stamps from before
    /// the step. It cannot distinguish them from new ones once the clock has caught up.
    #[test]
    fn order_of_calls_alone_decides_what_is_served(steps in vec(step(), 0..60), custom in any::<bool>()) {
        let config = RegionConfig::new("dogpile.cache.memory");
        let config = if custom {
            config.region_invalidator(Arc::new(dogpile_tests::regions::SeparateTimes::default()))
        } else {
            config
        };
        let Subject { region, clock } = Subject::new(config);
        let (mut model, mut now, mut latest) = (Model::default(), START, START);
        for (number, step) in (0..).zip(&steps) {
            match step {
                Step::Clock(seconds) => {
                    now = f64::max(now + seconds, latest - 59.0);
                    latest = latest.max(now);
                    clock.set(now);
                }
                Step::Set => {
                    region.set("key", number).unwrap();
                    model.stored(number);
                }
                Step::Create => {
                    let expected = model.fresh().unwrap_or(number);
                    prop_assert_eq!(region.get_or_create("key", || number).unwrap(), expected);
                    model.stored(expected);
                }
                Step::InvalidateHard => {
                    region.invalidate().unwrap();
                    model.hard = true;
                }
                Step::InvalidateSoft => {
                    region.invalidate_soft().unwrap();
                    model.soft = true;
                }
                Step::Get => prop_assert_eq!(region.get::<i32>("key").unwrap(), model.fresh()),
            }
            prop_assert_eq!(region.get::<i32>("key").unwrap(), model.fresh(), "after {:?} of {:?}", number, steps);
        }
    }

    /// While the clock never steps back, a value is fresh up to its expiration time.
    #[test]
    fn age_decides_while_the_clock_goes_forward(steps in vec((0_u32..4, 0_u32..8), 0..60)) {
        let limit = 5.0;
        let clock = Arc::new(ManualClock::at(START));
        let region = CacheRegion::new("aging");
        let config = RegionConfig::new("dogpile.cache.memory").expiration_time(5 * SECOND).clock(clock.clone());
        region.configure(config).unwrap();
        let (mut made, mut valid, mut now) = (None, false, START);
        for (call, seconds) in steps {
            now += f64::from(seconds);
            clock.set(now);
            match call {
                0 => {
                    region.set("key", 1).unwrap();
                    (made, valid) = (Some(now), true);
                }
                1 => {
                    region.invalidate_soft().unwrap();
                    valid = false;
                }
                2 => {
                    region.invalidate().unwrap();
                    valid = false;
                }
                _ => {}
            }
            let fresh = valid && made.is_some_and(|made| now - made <= limit);
            prop_assert_eq!(region.get::<i32>("key").unwrap().is_some(), fresh);
        }
    }
}
