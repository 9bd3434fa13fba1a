//! [`RegionTime`]: a region's clock and its invalidations, which stamp and judge values.
//!
//! The invariant is that an invalidation separates the values made before it from those made after it, although the
//! clock may be frozen, step back, or be too coarse to distinguish two moments:
//! * A region's time never lies at its last invalidation or before it.
//! * An invalidation lies at or after every reading of the region's time that was returned before it. Only a reading
//!   that lies more than a minute ahead of the region's time is left behind: the clock was set back since.
//! * A creation time more than a minute ahead of the region's time, or not finite, cannot be trusted.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use dogpile_sdk::{CreationTime, Metadata};

use crate::clock::Clock;
use crate::invalidation::{
    DefaultInvalidationStrategy, Invalidation, Moment, RegionInvalidationStrategy, Validity,
};

/// Seconds by which a creation time may lie ahead of the region's time and still be trusted.
const LARGEST_LEAD: f64 = 60.0;

/// Earlier than any value.
const LONG_AGO: CreationTime = CreationTime::from_seconds(f64::MIN);

/// The verdict of its metadata on a stored value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Fresh,
    /// Fresh, and due for an early refresh.
    Early,
    Stale,
    /// As good as missing, except if the creator fails.
    Grace,
    /// As good as missing.
    TooOld,
    /// Written in another format: as good as missing.
    OtherVersion,
    /// Hard-invalidated: as good as missing.
    HardInvalidated,
}

/// The time of a region.
#[derive(Debug)]
pub(crate) struct RegionTime {
    clock: Arc<dyn Clock>,
    strategy: Arc<dyn RegionInvalidationStrategy>,
    /// The strategy again, if it is the default one. Hits then read it without calls that the compiler cannot inline.
    known: Option<Arc<DefaultInvalidationStrategy>>,
    marks: Arc<Marks>,
    coarse_lag: f64,
}

/// What a region remembers of its own time. It outlives the replacement of the region's backend.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// The latest stamp returned, unless the clock was set back by more than a minute after it.
    stamp: Moment,
    /// The last invalidation that this region made, for strategies that do not report theirs.
    invalidation: Moment,
}

impl RegionTime {
    /// Creates the time of a region from its `clock`, its `strategy`, and what it remembers.
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        strategy: Arc<dyn RegionInvalidationStrategy>,
        marks: Arc<Marks>,
    ) -> Self {
        let coarse_lag = clock.coarse_lag().as_secs_f64();
        let any: Arc<dyn Any + Send + Sync> = strategy.clone();
        let known = any.downcast().ok();
        RegionTime { clock, strategy, known, marks, coarse_lag }
    }

    /// Returns the stamp for a value or for the beginning of a creation: now, but after the last invalidation.
    ///
    /// An invalidation that comes later covers the stamp.
    pub(crate) fn stamp(&self) -> CreationTime {
        let stamp = self.clock_reading().max(self.last_invalidation().next_up());
        self.marks
            .stamp
            .change(|latest| if latest > stamp + LARGEST_LEAD { stamp } else { stamp.max(latest) });
        CreationTime::from_seconds(stamp)
    }

    /// Invalidates all values stamped so far.
    pub(crate) fn invalidate(&self, kind: Invalidation) {
        let moment = self.invalidate_from(kind, f64::NAN);
        // A creation that began before may have taken its stamp after we read the latest one, and may have found no
        // invalidation. Its stamp is visible now. Later ones find the invalidation.
        if self.latest_stamp(moment) >= moment {
            self.invalidate_from(kind, moment);
        }
    }

    /// Returns the present time of the region, for ages.
    pub(crate) fn present(&self) -> CreationTime {
        CreationTime::from_seconds(self.clock_reading().max(self.last_invalidation()))
    }

    /// Returns the age of a value made at `made`, or `None` if that time cannot be trusted.
    pub(crate) fn age(&self, made: CreationTime) -> Option<Duration> {
        let now = self.present();
        let lead = made.as_seconds() - now.as_seconds();
        (lead.is_finite() && lead <= LARGEST_LEAD).then(|| made.age(now))
    }

    /// Returns the verdict on a value of `key` in the current format, which is stale past the age `limit`. The verdict is
    /// `Fresh`, `Stale`, or `HardInvalidated`.
    ///
    /// The clock is read only if there is a limit or was an invalidation: without both, a value does not age.
    pub(crate) fn judge(&self, key: &str, metadata: &Metadata, limit: Option<Duration>) -> Verdict {
        let made = metadata.creation_time;
        match self.strategy.judge(key, metadata) {
            Validity::HardInvalidated => Verdict::HardInvalidated,
            Validity::SoftInvalidated => Verdict::Stale,
            Validity::Valid if self.is_young(made.as_seconds(), limit, self.last_invalidation()) => {
                Verdict::Fresh
            }
            Validity::Valid => self.judge_precisely(key, metadata, limit),
        }
    }

    /// Returns whether [`judge`](Self::judge) would call the value fresh, as far as that can be known cheaply.
    ///
    /// This is for hits. It knows the default strategy only, and reads one atomic and at most the coarse clock.
    #[inline]
    pub(crate) fn is_surely_fresh(&self, made: CreationTime, limit: Option<Duration>) -> bool {
        let Some(known) = &self.known else { return false };
        let (made, last) = (made.as_seconds(), known.last_seconds());
        // Without an invalidation, `last` is not a number and no comparison with it holds.
        let is_invalid = made <= last;
        !is_invalid && self.is_young(made, limit, last)
    }

    /// Returns whether a valid value is young enough by what can be known cheaply. `last` is the last invalidation.
    #[inline]
    fn is_young(&self, made: f64, limit: Option<Duration>, last: f64) -> bool {
        let Some(limit) = limit else {
            // The region's time never lies before the last invalidation.
            return if last.is_nan() { made.is_finite() } else { made <= last + LARGEST_LEAD };
        };
        let age = self.clock.coarse_now().as_seconds() - made;
        // Both comparisons are false for an age that is not a number.
        age >= -LARGEST_LEAD && age + self.coarse_lag < limit.as_secs_f64()
    }

    #[cold]
    fn judge_precisely(&self, key: &str, metadata: &Metadata, limit: Option<Duration>) -> Verdict {
        match (self.age(metadata.creation_time), limit) {
            (None, _) => self.judge_untrusted(key, metadata.clone()),
            (Some(age), Some(limit)) if age > limit => Verdict::Stale,
            _ => Verdict::Fresh,
        }
    }

    /// Returns the verdict on a value whose creation time cannot be trusted.
    fn judge_untrusted(&self, key: &str, mut metadata: Metadata) -> Verdict {
        metadata.creation_time = LONG_AGO;
        match self.strategy.judge(key, &metadata) {
            Validity::HardInvalidated => Verdict::HardInvalidated,
            Validity::SoftInvalidated | Validity::Valid => Verdict::Stale,
        }
    }

    /// Invalidates at the present moment, but after `least`, the last invalidation, and the latest stamp, and returns
    /// the moment.
    fn invalidate_from(&self, kind: Invalidation, least: f64) -> f64 {
        let last = self.last_invalidation().max(least);
        let now = self.clock_reading().max(last.next_up());
        // Later than the latest stamp, not equal to it, because a user's strategy may call equal moments valid.
        let moment = now.max(self.latest_stamp(now).next_up());
        self.marks.invalidation.advance(CreationTime::from_seconds(moment));
        self.strategy.invalidate(kind, CreationTime::from_seconds(moment));
        moment
    }

    /// Returns the latest stamp, or NaN if there is none that can be trusted at `now`.
    fn latest_stamp(&self, now: f64) -> f64 {
        let latest = seconds(self.marks.stamp.get());
        if latest <= now + LARGEST_LEAD { latest } else { f64::NAN }
    }

    /// Returns the last invalidation, or NaN if there was none.
    #[inline]
    fn last_invalidation(&self) -> f64 {
        seconds(self.strategy.last_invalidation()).max(seconds(self.marks.invalidation.get()))
    }

    /// Returns the clock's reading, or the Unix epoch if that is not a number.
    fn clock_reading(&self) -> f64 {
        let now = self.clock.now().as_seconds();
        if now.is_finite() { now } else { 0.0 }
    }
}

/// A region's time as a clock. It never stands at the region's last invalidation or before it.
///
/// Each reading counts as a stamp: the next invalidation lies after it.
impl Clock for RegionTime {
    fn now(&self) -> CreationTime {
        self.stamp()
    }
}

/// Returns the seconds of `moment`, or NaN if there is none.
#[inline]
fn seconds(moment: Option<CreationTime>) -> f64 {
    moment.map_or(f64::NAN, CreationTime::as_seconds)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::clock::ManualClock;

    const HARD: Invalidation = Invalidation::Hard;
    const SOFT: Invalidation = Invalidation::Soft;

    fn region_time(seconds: f64) -> (Arc<ManualClock>, RegionTime) {
        let clock = Arc::new(ManualClock::at(seconds));
        let strategy = Arc::new(DefaultInvalidationStrategy::default());
        (clock.clone(), RegionTime::new(clock, strategy, Arc::default()))
    }

    fn verdict(time: &RegionTime, made: CreationTime, limit: Option<Duration>) -> Verdict {
        time.judge("key", &Metadata::new(made), limit)
    }

    fn at(seconds: f64) -> CreationTime {
        CreationTime::from_seconds(seconds)
    }

    fn limit(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    #[test]
    fn invalidation_separates_stamps_whatever_the_clock_does() {
        for step in [0.0, 1.0, -1.0, -50.0, -70.0, -3600.0] {
            for kind in [HARD, SOFT] {
                let (clock, time) = region_time(10_000.0);
                let expected = if kind == HARD { Verdict::HardInvalidated } else { Verdict::Stale };
                for round in 0..5 {
                    let before = time.stamp();
                    assert_eq!(verdict(&time, before, None), Verdict::Fresh);
                    assert_eq!(verdict(&time, before, limit(0)), Verdict::Fresh);
                    clock.set(clock.now().as_seconds() + step);
                    time.invalidate(kind);
                    let after = time.stamp();
                    assert_eq!(verdict(&time, before, None), expected, "step {step}, round {round}");
                    assert_eq!(verdict(&time, after, None), Verdict::Fresh, "step {step}, round {round}");
                    assert_eq!(
                        verdict(&time, after, limit(10)),
                        Verdict::Fresh,
                        "step {step}, round {round}"
                    );
                }
            }
        }
    }

    /// The clock stands at 1000.
    #[test]
    fn creation_time_ahead_of_the_clock_is_trusted_for_a_minute() {
        use Verdict::{Fresh, HardInvalidated, Stale};
        // When the value was made, and the verdict without an invalidation, after a soft one, and after a hard one.
        let cases = [
            (1000.5, [Fresh, Fresh, Fresh]),
            (1060.0, [Fresh, Fresh, Fresh]),
            (1060.5, [Stale, Stale, HardInvalidated]),
            (f64::MAX, [Stale, Stale, HardInvalidated]),
            (f64::INFINITY, [Stale, Stale, HardInvalidated]),
            (f64::NEG_INFINITY, [Stale, Stale, HardInvalidated]),
            (f64::NAN, [Stale, Stale, HardInvalidated]),
        ];
        for (made, expected) in cases {
            for (invalidations, expected) in [[].as_slice(), &[SOFT], &[HARD, SOFT]].into_iter().zip(expected)
            {
                let (_, time) = region_time(1000.0);
                invalidations.iter().for_each(|kind| time.invalidate(*kind));
                assert_eq!(verdict(&time, at(made), limit(3600)), expected, "{made} after {invalidations:?}");
                // A region without both ages nothing, and never reads the clock.
                let unaging = invalidations.is_empty() && made.is_finite();
                let expected = if unaging { Fresh } else { expected };
                assert_eq!(verdict(&time, at(made), None), expected, "{made} after {invalidations:?}");
            }
        }
    }

    #[test]
    fn clock_set_back_behind_an_invalidation_still_caches() {
        let (clock, time) = region_time(10_000.0);
        time.invalidate(HARD);
        clock.set(100.0);
        let made = time.stamp();
        assert_eq!(verdict(&time, made, limit(5)), Verdict::Fresh);
        assert_eq!(made.age(time.present()), Duration::ZERO);
        clock.set(10_006.0);
        assert_eq!(verdict(&time, made, limit(5)), Verdict::Stale);
    }

    #[test]
    fn clock_out_of_order_serves_what_it_stamped() {
        for seconds in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let (_, time) = region_time(seconds);
            let made = time.stamp();
            assert_eq!(verdict(&time, made, None), Verdict::Fresh);
            time.invalidate(HARD);
            assert_eq!(verdict(&time, made, None), Verdict::HardInvalidated);
            assert_eq!(verdict(&time, time.stamp(), None), Verdict::Fresh);
        }
    }

    #[test]
    fn marks_outlive_a_replaced_backend() {
        let clock = Arc::new(ManualClock::at(100.0));
        let strategy = Arc::new(DefaultInvalidationStrategy::default());
        let marks = Arc::new(Marks::default());
        let [old, new] =
            [(); 2].map(|()| RegionTime::new(clock.clone(), strategy.clone(), Arc::clone(&marks)));
        let made = old.stamp();
        clock.set(99.0);
        new.invalidate(HARD);
        assert_eq!(verdict(&new, made, None), Verdict::HardInvalidated);
    }

    /// A clock whose coarse reading lies `behind`, and which counts its precise readings.
    #[derive(Debug)]
    struct Coarse {
        now: f64,
        behind: f64,
        readings: AtomicUsize,
    }

    impl Clock for Coarse {
        fn now(&self) -> CreationTime {
            self.readings.fetch_add(1, Ordering::Relaxed);
            at(self.now)
        }

        fn coarse_now(&self) -> CreationTime {
            at(self.now - self.behind)
        }

        fn coarse_lag(&self) -> Duration {
            Duration::from_millis(250)
        }
    }

    #[test]
    fn precise_clock_is_read_only_near_the_limit() {
        for behind in [0.0, 0.125, 0.25] {
            // The age in seconds, whether it is fresh at a limit of 10 s, and whether the precise clock may be read.
            let cases = [(0.0, true, false), (9.0, true, false), (9.75, true, true), (10.0, true, true)];
            let stale = [(10.0625, false, true), (11.0, false, true)];
            for (age, fresh, precise) in cases.into_iter().chain(stale) {
                let clock = Arc::new(Coarse { now: 1000.0, behind, readings: AtomicUsize::new(0) });
                let strategy = Arc::new(DefaultInvalidationStrategy::default());
                let time = RegionTime::new(clock.clone(), strategy, Arc::default());
                let verdict = verdict(&time, at(1000.0 - age), limit(10));
                assert_eq!(verdict == Verdict::Fresh, fresh, "age {age}, coarse reading {behind} behind");
                assert!(precise || clock.readings.load(Ordering::Relaxed) == 0, "age {age}");
            }
        }
    }
}
