//! The decisions of the dogpile: what a reading means, and which stamp a created value gets.
//!
//! They neither block nor perform I/O, so that every front end of a region can share them.
//
// Source: dogpile.cache `region.py`, `CacheRegion._is_cache_miss`, and `dogpile/lock.py`, `Lock._enter`.

use dogpile_sdk::{CreationTime, Metadata};

use crate::clock::Clock;
use crate::invalidation::{RegionInvalidationStrategy, Validity};
use crate::policy::Policy;
use crate::time::{RegionTime, Verdict};

/// The outcome of reading a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading<V> {
    /// A value that is served.
    Fresh(V),
    /// A value that is too old or softly invalidated: one caller creates a new one, and the others get this one.
    Stale(V),
    /// No value that may be served: all callers wait for a new one.
    Missing,
}

impl<V> Reading<V> {
    /// Returns the value, even if it is stale.
    pub fn into_value(self) -> Option<V> {
        match self {
            Reading::Fresh(value) | Reading::Stale(value) => Some(value),
            Reading::Missing => None,
        }
    }
}

/// Returns the verdict on a value with this `metadata` for a call that goes by `policy`.
#[inline]
pub(crate) fn judge(metadata: &Metadata, policy: &Policy, time: &RegionTime) -> Verdict {
    if metadata.version == Metadata::VERSION {
        time.judge(metadata.creation_time, policy.limit(metadata))
    } else {
        Verdict::OtherVersion
    }
}

/// Returns the stamp of a value whose creation `began` then and has ended now.
///
/// That is the end, unless the region was invalidated meanwhile. The value may then rest on data from before the
/// invalidation, so that it must not count as newer. `clock` is the [`RegionTime`], which gave `began`, too.
pub(crate) fn stamp(
    began: CreationTime,
    strategy: &dyn RegionInvalidationStrategy,
    clock: &dyn Clock,
) -> CreationTime {
    // Take the end first: an invalidation that we do not see lies after it.
    let ended = clock.now();
    if strategy.judge(began) == Validity::Valid { ended } else { began }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::clock::ManualClock;
    use crate::invalidation::DefaultInvalidationStrategy;

    fn made_at(seconds: f64, version: i64) -> Metadata {
        Metadata::new(CreationTime::from_seconds(seconds)).with_version(version)
    }

    fn region_time(seconds: f64) -> (Arc<ManualClock>, Arc<DefaultInvalidationStrategy>, RegionTime) {
        let clock = Arc::new(ManualClock::at(seconds));
        let strategy = Arc::new(DefaultInvalidationStrategy::default());
        let time = RegionTime::new(clock.clone(), strategy.clone(), Arc::default());
        (clock, strategy, time)
    }

    #[test]
    fn age_version_and_invalidation_decide() {
        let (_, strategy, time) = region_time(110.0);
        let judge = |metadata, limit: Option<u64>| {
            let policy = Policy { expiration: limit.map(Duration::from_secs), ..Policy::default() };
            judge(&metadata, &policy, &time)
        };
        assert_eq!(judge(made_at(100.0, 2), None), Verdict::Fresh);
        assert_eq!(judge(made_at(100.0, 2), Some(10)), Verdict::Fresh);
        assert_eq!(judge(made_at(100.0, 2), Some(9)), Verdict::Stale);
        assert_eq!(judge(made_at(100.0, 1), None), Verdict::OtherVersion);
        strategy.invalidate(false, CreationTime::from_seconds(105.0));
        assert_eq!(judge(made_at(100.0, 2), None), Verdict::Stale);
        strategy.invalidate(true, CreationTime::from_seconds(105.0));
        assert_eq!(judge(made_at(100.0, 2), None), Verdict::HardInvalidated);
        assert_eq!(judge(made_at(100.0, 1), None), Verdict::OtherVersion);
        assert_eq!(judge(made_at(106.0, 2), None), Verdict::Fresh);
    }

    #[test]
    fn creation_begun_before_invalidation_keeps_its_beginning() {
        for moved in [0, 10] {
            let (clock, strategy, time) = region_time(100.0);
            let began = time.stamp();
            clock.advance(Duration::from_secs(moved));
            assert_eq!(stamp(began, &*strategy, &time).as_seconds(), 100.0 + moved as f64);
            time.invalidate(true);
            assert_eq!(stamp(began, &*strategy, &time), began);
            // Begun after the invalidation, though the clock stands still.
            let began = time.stamp();
            let made = stamp(began, &*strategy, &time);
            assert!(made >= began, "{made:?} {began:?}");
            assert_eq!(time.judge(made, None), Verdict::Fresh);
        }
    }
}
