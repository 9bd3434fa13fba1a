//! Hard and soft invalidation of a whole region.
//
// Source: dogpile.cache `region.py`, `RegionInvalidationStrategy` and `DefaultInvalidationStrategy`.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use dogpile_sdk::{CreationTime, Metadata};

/// The kind of an invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Invalidation {
    /// Values made before it are never served again.
    Hard,
    /// Values made before it are stale.
    Soft,
}

/// The verdict of a region's invalidations on a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Validity {
    /// Made after the last invalidation, or never invalidated.
    Valid,
    /// Made before a soft invalidation: one caller creates a new value, and the others get the old one.
    SoftInvalidated,
    /// Made before a hard invalidation: all callers wait for a new value.
    HardInvalidated,
}

/// A record of a region's invalidations.
///
/// The default one lives in the process. A strategy that must reach other processes keeps its record in a place that
/// they share.
///
/// # For implementors
/// * [`judge`](Self::judge) is called on every read and should not block. It is also called with the beginnings of
///   creations, and with moments that lie far in the past, to find out whether the value was ever invalidated.
/// * A soft invalidation should not weaken an earlier hard one. [`DefaultInvalidationStrategy`] keeps both.
pub trait RegionInvalidationStrategy: Any + fmt::Debug + Send + Sync {
    /// Invalidates all values made before `now`.
    ///
    /// The region chooses `now`. It lies after every stamp that the region gave to a value before, and is later than
    /// the previous invalidation even if the clock does not move or was set back.
    fn invalidate(&self, kind: Invalidation, now: CreationTime);

    /// Returns the validity of the value with this `metadata` that is stored under `key`, which is mangled.
    fn judge(&self, key: &str, metadata: &Metadata) -> Validity;

    /// Returns the moment of the last invalidation, hard or soft. Default: `None`.
    ///
    /// A region does not stamp a value with this moment or an earlier one. Override this method if an invalidation can
    /// come from elsewhere, such as another process. The region itself remembers the invalidations that it made.
    fn last_invalidation(&self) -> Option<CreationTime> {
        None
    }
}

const _: fn(&dyn RegionInvalidationStrategy) = |_| {};

/// The last hard and the last soft invalidation, kept in this process.
///
/// A value made at the moment of an invalidation or before it is invalid.
///
/// ```
/// use dogpile::sdk::{CreationTime, Metadata};
/// use dogpile::{DefaultInvalidationStrategy, Invalidation, RegionInvalidationStrategy, Validity};
///
/// let strategy = DefaultInvalidationStrategy::default();
/// strategy.invalidate(Invalidation::Hard, CreationTime::from_seconds(100.0));
/// strategy.invalidate(Invalidation::Soft, CreationTime::from_seconds(110.0));
/// let judge = |seconds| strategy.judge("key", &Metadata::new(CreationTime::from_seconds(seconds)));
/// assert_eq!(judge(99.0), Validity::HardInvalidated);
/// assert_eq!(judge(101.0), Validity::SoftInvalidated);
/// assert_eq!(judge(111.0), Validity::Valid);
/// ```
#[derive(Debug, Default)]
pub struct DefaultInvalidationStrategy {
    /// The last invalidation of either kind. For most hits, this is the only one that is read.
    last: Moment,
    hard: Moment,
}

impl DefaultInvalidationStrategy {
    /// Returns the last invalidation in seconds, or NaN if there was none.
    #[inline]
    pub(crate) fn last_seconds(&self) -> f64 {
        self.last.seconds()
    }
}

impl RegionInvalidationStrategy for DefaultInvalidationStrategy {
    fn invalidate(&self, kind: Invalidation, now: CreationTime) {
        // The kind first: a reader that sees the new `last` then sees the new `hard`, too.
        if kind == Invalidation::Hard {
            self.hard.advance(now);
        }
        self.last.advance(now);
    }

    #[inline]
    fn judge(&self, _key: &str, metadata: &Metadata) -> Validity {
        let made = metadata.creation_time;
        if !self.last.reaches(made) {
            Validity::Valid
        } else if self.hard.reaches(made) {
            Validity::HardInvalidated
        } else {
            Validity::SoftInvalidated
        }
    }

    #[inline]
    fn last_invalidation(&self) -> Option<CreationTime> {
        self.last.get()
    }
}

/// A moment that only moves forward. It starts as none.
pub(crate) struct Moment(AtomicU64);

impl Moment {
    /// Returns the moment in seconds, or NaN if there is none.
    #[inline]
    pub(crate) fn seconds(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::SeqCst))
    }

    /// Returns the moment, if there is one.
    #[inline]
    pub(crate) fn get(&self) -> Option<CreationTime> {
        let seconds = self.seconds();
        if seconds.is_nan() { None } else { Some(CreationTime::from_seconds(seconds)) }
    }

    /// Returns whether there is a moment, and `made` is not later.
    #[inline]
    fn reaches(&self, made: CreationTime) -> bool {
        made.as_seconds() <= self.seconds()
    }

    /// Moves the moment forward to `to`, unless it is later already.
    pub(crate) fn advance(&self, to: CreationTime) {
        self.change(|seconds| seconds.max(to.as_seconds()));
    }

    /// Replaces the moment's seconds, NaN if there is none, by what `change` returns.
    pub(crate) fn change(&self, change: impl Fn(f64) -> f64) {
        let change = |bits| Some(change(f64::from_bits(bits)).to_bits());
        // The closure always returns `Some`, so the update cannot fail. Sequentially consistent, because a creation
        // writes its stamp and then reads the last invalidation, while an invalidation does the reverse.
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, change);
    }
}

impl Default for Moment {
    fn default() -> Self {
        // NaN stands for none: no comparison with it holds, and the larger of it and a number is the number.
        Moment(AtomicU64::new(f64::NAN.to_bits()))
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Validity::{HardInvalidated, SoftInvalidated, Valid};

    const HARD: Invalidation = Invalidation::Hard;
    const SOFT: Invalidation = Invalidation::Soft;

    /// The invalidations, in their order, and the validity of values made at 99, 100, 105, 110, and 111.
    type Case<'a> = (&'a [(Invalidation, f64)], [Validity; 5]);

    #[test]
    fn default_strategy_keeps_hard_and_soft_invalidations() {
        let cases: [Case<'_>; 7] = [
            (&[], [Valid; 5]),
            (&[(HARD, 100.0)], [HardInvalidated, HardInvalidated, Valid, Valid, Valid]),
            (&[(SOFT, 100.0)], [SoftInvalidated, SoftInvalidated, Valid, Valid, Valid]),
            (
                &[(HARD, 100.0), (SOFT, 110.0)],
                [HardInvalidated, HardInvalidated, SoftInvalidated, SoftInvalidated, Valid],
            ),
            (
                &[(SOFT, 100.0), (HARD, 110.0)],
                [HardInvalidated, HardInvalidated, HardInvalidated, HardInvalidated, Valid],
            ),
            // An earlier moment takes nothing back.
            (
                &[(HARD, 110.0), (SOFT, 100.0), (HARD, 99.0)],
                [HardInvalidated, HardInvalidated, HardInvalidated, HardInvalidated, Valid],
            ),
            (
                &[(SOFT, 110.0), (HARD, 100.0)],
                [HardInvalidated, HardInvalidated, SoftInvalidated, SoftInvalidated, Valid],
            ),
        ];
        for (invalidations, expected) in cases {
            let strategy = DefaultInvalidationStrategy::default();
            for (kind, seconds) in invalidations {
                strategy.invalidate(*kind, CreationTime::from_seconds(*seconds));
            }
            let judged = [99.0, 100.0, 105.0, 110.0, 111.0]
                .map(|seconds| strategy.judge("key", &Metadata::new(CreationTime::from_seconds(seconds))));
            assert_eq!(judged, expected, "after {invalidations:?}");
            let last = invalidations.iter().map(|(_, seconds)| *seconds).reduce(f64::max);
            assert_eq!(strategy.last_invalidation(), last.map(CreationTime::from_seconds));
        }
    }

    #[test]
    fn default_strategy_without_invalidation_calls_every_time_valid() {
        let strategy = DefaultInvalidationStrategy::default();
        for seconds in [f64::NEG_INFINITY, -1.0, 0.0, f64::INFINITY, f64::NAN] {
            assert_eq!(strategy.judge("key", &Metadata::new(CreationTime::from_seconds(seconds))), Valid);
        }
    }
}
