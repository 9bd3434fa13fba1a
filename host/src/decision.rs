//! The decisions of the dogpile: what a read means, what a leader does, what is stored and when it was made.
//!
//! Free of blocking and of I/O, so that every front end of a region can share them.
//!
//! Source: dogpile.cache `region.py`, `CacheRegion._is_cache_miss`, and `dogpile/lock.py`, `Lock._enter`.

use std::time::Duration;

use dogpile_sdk::{CreationTime, Metadata};

use crate::clock::Clock;
use crate::invalidation::{RegionInvalidationStrategy, Validity};

/// A value that was read, and what it is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading<V> {
    /// Young enough: serve it.
    Fresh(V),
    /// Too old, or softly invalidated: one caller makes a new one, the others are served this one.
    Stale(V),
    /// Nothing that may be served: all callers wait for a new one.
    Missing,
}

/// What a leader does with what it read once the lock was won.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AsLeader<V> {
    /// Somebody else was quicker.
    Serve(V),
    /// A runner creates; the caller is served the old value.
    HandOver(V),
    /// The caller creates.
    Create,
}

impl<V> Reading<V> {
    /// What the leader does.
    pub(crate) fn for_leader(self, has_runner: bool) -> AsLeader<V> {
        match self {
            Reading::Fresh(value) => AsLeader::Serve(value),
            Reading::Stale(old) if has_runner => AsLeader::HandOver(old),
            Reading::Stale(_) | Reading::Missing => AsLeader::Create,
        }
    }

    /// The value, however old.
    pub fn into_value(self) -> Option<V> {
        match self {
            Reading::Fresh(value) | Reading::Stale(value) => Some(value),
            Reading::Missing => None,
        }
    }
}

/// What stored metadata says of the value beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Fresh,
    Stale,
    /// Written in another format: as good as absent.
    OtherVersion,
    /// Hard-invalidated: as good as absent.
    HardInvalidated,
}

/// Judges a value by its `metadata`. The clock is asked only where there is an expiration.
#[inline]
pub(crate) fn judge(
    metadata: &Metadata,
    expiration: Option<Duration>,
    strategy: &dyn RegionInvalidationStrategy,
    clock: &dyn Clock,
) -> Verdict {
    if metadata.version != Metadata::VERSION {
        return Verdict::OtherVersion;
    }
    match strategy.judge(metadata.creation_time) {
        Validity::HardInvalidated => Verdict::HardInvalidated,
        Validity::SoftInvalidated => Verdict::Stale,
        Validity::Valid => match expiration {
            Some(limit) if metadata.creation_time.age(clock.now()) > limit => Verdict::Stale,
            _ => Verdict::Fresh,
        },
    }
}

/// When a value whose creation `began` then counts as made: now, unless the region was invalidated meanwhile.
/// What it was made from may be older than the invalidation, so it must not count as newer.
pub(crate) fn stamp(
    began: CreationTime,
    strategy: &dyn RegionInvalidationStrategy,
    clock: &dyn Clock,
) -> CreationTime {
    // The end is read first: an invalidation after that is later than the end anyway.
    let ended = clock.now();
    if strategy.judge(began) == Validity::Valid { ended } else { began }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::invalidation::DefaultInvalidationStrategy;

    fn made_at(seconds: f64, version: i64) -> Metadata {
        Metadata { creation_time: CreationTime::from_seconds(seconds), version }
    }

    #[test]
    fn age_version_and_invalidation_decide() {
        let (strategy, clock) = (DefaultInvalidationStrategy::default(), ManualClock::at(110.0));
        let judge = |metadata, limit: Option<u64>| {
            judge(&metadata, limit.map(Duration::from_secs), &strategy, &clock)
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
    fn a_value_begun_before_an_invalidation_counts_as_made_before_it() {
        let (strategy, clock) = (DefaultInvalidationStrategy::default(), ManualClock::at(110.0));
        let began = CreationTime::from_seconds(100.0);
        assert_eq!(stamp(began, &strategy, &clock), CreationTime::from_seconds(110.0));
        strategy.invalidate(true, CreationTime::from_seconds(105.0));
        assert_eq!(stamp(began, &strategy, &clock), began);
    }

    #[test]
    fn a_leader_hands_over_only_what_is_stale() {
        assert_eq!(Reading::Fresh(1).for_leader(true), AsLeader::Serve(1));
        assert_eq!(Reading::Stale(1).for_leader(true), AsLeader::HandOver(1));
        assert_eq!(Reading::Stale(1).for_leader(false), AsLeader::Create);
        assert_eq!(Reading::<u8>::Missing.for_leader(true), AsLeader::Create);
    }
}
