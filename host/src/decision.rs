//! The decisions of the dogpile: the meaning of a reading, and a created value's stamp.
//!
//! They neither block nor perform I/O, so that every front end of a region can share them.
//
// Source: dogpile.cache `region.py`, `CacheRegion._is_cache_miss`, and `dogpile/lock.py`, `Lock._enter`.

use std::time::Duration;

use dogpile_sdk::{CreationTime, Metadata};

use crate::invalidation::{RegionInvalidationStrategy, Validity};
use crate::policy::{FailSafe, Policy, Stage};
use crate::time::{RegionTime, Verdict};

/// The outcome of reading a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading<V> {
    /// A value that is served.
    Fresh(V),
    /// A fresh value that is due for an early refresh: all callers get it, and one of them creates a new one.
    Early(V),
    /// A value that is too old or softly invalidated. The policy decides who gets it.
    Stale(V),
    /// A value that is served only if the creator fails. Otherwise it counts as missing.
    Grace(V),
    /// No value that may be served: all callers wait for a new one.
    Missing,
}

impl<V> Reading<V> {
    /// Returns the value if it is fresh.
    pub(crate) fn into_fresh(self) -> Option<V> {
        match self {
            Reading::Fresh(value) | Reading::Early(value) => Some(value),
            Reading::Stale(_) | Reading::Grace(_) | Reading::Missing => None,
        }
    }
}

/// Returns the verdict of `policy` on a value of `key` with this `metadata`.
#[inline]
pub(crate) fn judge(key: &str, metadata: &Metadata, policy: &Policy, time: &RegionTime) -> Verdict {
    if metadata.version != Metadata::VERSION {
        return Verdict::OtherVersion;
    }
    let limit = policy.limit(metadata);
    match time.judge(key, metadata, policy.surely_fresh_until(limit)) {
        Verdict::Stale if policy.has_stages() => stage(key, metadata, limit, policy, time),
        verdict => verdict,
    }
}

/// Returns the verdict on a value that is not surely fresh, and not hard-invalidated.
#[cold]
fn stage(
    key: &str,
    metadata: &Metadata,
    limit: Option<Duration>,
    policy: &Policy,
    time: &RegionTime,
) -> Verdict {
    let made = metadata.creation_time;
    // An age that cannot be trusted is too long for everything that has a limit.
    let age = time.age(made);
    let is_valid = time.judge(key, metadata, None) == Verdict::Fresh;
    let stage = match age {
        Some(age) if is_valid => policy.stage(key, made, age, limit),
        _ => policy.stage_of_old(age.unwrap_or(Duration::MAX), limit),
    };
    match stage {
        Stage::Fresh => Verdict::Fresh,
        Stage::Early => Verdict::Early,
        Stage::Stale => Verdict::Stale,
        Stage::Grace => Verdict::Grace,
        Stage::TooOld => Verdict::TooOld,
    }
}

/// Returns whether an old value of `key` with this `metadata` may be served because its creator failed.
pub(crate) fn may_rescue(key: &str, metadata: &Metadata, policy: &Policy, time: &RegionTime) -> bool {
    match judge(key, metadata, policy, time) {
        Verdict::Fresh | Verdict::Early => true,
        Verdict::Stale | Verdict::Grace => {
            let FailSafe { max_age, .. } = policy.fail_safe;
            policy.fail_safe.is_on() && time.age(metadata.creation_time).is_some_and(|age| age <= max_age)
        }
        Verdict::TooOld | Verdict::OtherVersion | Verdict::HardInvalidated => false,
    }
}

/// Stamps the `metadata` of a created value of `key`, which has the beginning of the creation as its time.
///
/// The stamp is the end of the creation, unless the value was invalidated since the beginning. It may then rest on data
/// from before the invalidation, so that it must not count as newer. Read `ended` first: an invalidation that is not
/// seen here then lies after it. Both times are readings of the [`RegionTime`].
pub(crate) fn stamp(
    key: &str,
    mut metadata: Metadata,
    ended: CreationTime,
    strategy: &dyn RegionInvalidationStrategy,
) -> Metadata {
    if strategy.judge(key, &metadata) == Validity::Valid {
        metadata.creation_time = ended;
    }
    metadata
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::{Clock, ManualClock};
    use crate::invalidation::{DefaultInvalidationStrategy, Invalidation};

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
            judge("key", &metadata, &policy, &time)
        };
        assert_eq!(judge(made_at(100.0, 2), None), Verdict::Fresh);
        assert_eq!(judge(made_at(100.0, 2), Some(10)), Verdict::Fresh);
        assert_eq!(judge(made_at(100.0, 2), Some(9)), Verdict::Stale);
        assert_eq!(judge(made_at(100.0, 1), None), Verdict::OtherVersion);
        strategy.invalidate(Invalidation::Soft, CreationTime::from_seconds(105.0));
        assert_eq!(judge(made_at(100.0, 2), None), Verdict::Stale);
        strategy.invalidate(Invalidation::Hard, CreationTime::from_seconds(105.0));
        assert_eq!(judge(made_at(100.0, 2), None), Verdict::HardInvalidated);
        assert_eq!(judge(made_at(100.0, 1), None), Verdict::OtherVersion);
        assert_eq!(judge(made_at(106.0, 2), None), Verdict::Fresh);
    }

    #[test]
    fn creation_begun_before_invalidation_keeps_its_beginning() {
        for moved in [0, 10] {
            let (clock, strategy, time) = region_time(100.0);
            let stamp = |began| stamp("key", Metadata::new(began), time.now(), &*strategy).creation_time;
            let began = time.stamp();
            clock.advance(Duration::from_secs(moved));
            assert_eq!(stamp(began).as_seconds(), 100.0 + moved as f64);
            time.invalidate(Invalidation::Hard);
            assert_eq!(stamp(began), began);
            // Begun after the invalidation, although the clock did not move.
            let began = time.stamp();
            let made = stamp(began);
            assert!(made >= began, "{made:?} {began:?}");
            assert_eq!(time.judge("key", &Metadata::new(made), None), Verdict::Fresh);
        }
    }
}
