//! [`Histogram`]: how often durations of each length occurred.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The number of buckets between a duration and its double.
const PER_DOUBLING: u32 = 4;

/// The bounds of the first doubling, in nanoseconds: each is 2^(1/4) times the one before it.
const FIRST: [u64; PER_DOUBLING as usize] = [1_000, 1_189, 1_414, 1_682];

/// How often the bounds double: from a microsecond to about 18 minutes.
const DOUBLINGS: u32 = 30;

/// The number of bounds. The last one is that of the longest duration with a bucket of its own.
const BOUNDS: usize = (PER_DOUBLING * DOUBLINGS + 1) as usize;

/// Returns the upper bound of a bucket, in nanoseconds, or `None` for the last bucket, which has none.
fn bound(bucket: usize) -> Option<u64> {
    let (doubling, part) = (bucket / FIRST.len(), bucket % FIRST.len());
    (bucket < BOUNDS).then(|| FIRST[part] << doubling)
}

/// Returns the first bucket whose bound is at least `nanos`.
fn bucket_of(nanos: u64) -> usize {
    if nanos <= FIRST[0] {
        return 0;
    }
    // The doubling whose first bound is the last one below or at `nanos`.
    let doubling = ((nanos / FIRST[0]).ilog2()) as usize;
    let first = doubling * FIRST.len();
    if first >= BOUNDS {
        return BOUNDS;
    }
    (first..BOUNDS).find(|bucket| bound(*bucket).is_some_and(|bound| nanos <= bound)).unwrap_or(BOUNDS)
}

/// How often durations of each length occurred.
///
/// The buckets have fixed bounds from one microsecond to 18 minutes, four for each doubling. A quantile is therefore at most 19%
/// too long.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u64>,
    sum: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { counts: vec![0; BOUNDS + 1], sum: Duration::ZERO }
    }
}

impl Histogram {
    /// Returns the number of durations.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns the sum of all durations.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// Returns the mean duration, or `None` if there is none.
    pub fn mean(&self) -> Option<Duration> {
        let count = self.count();
        (count > 0).then(|| Duration::from_nanos((self.sum.as_nanos() / u128::from(count)) as u64))
    }

    /// Returns the duration that a share of `quantile` did not exceed.
    ///
    /// The share, such as 0.99, is limited to the range from 0 to 1. Returns `None` if there is no duration.
    ///
    /// A duration of more than 18 minutes counts as 18 minutes.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is between 1 and the count"
        )]
        let rank = ((count as f64 * quantile.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let mut passed = 0;
        let bucket = self.counts.iter().position(|count| {
            passed += count;
            passed >= rank
        });
        let longest = bound(BOUNDS - 1);
        bucket.and_then(|bucket| bound(bucket).or(longest)).map(Duration::from_nanos)
    }

    /// Returns one bound per doubling, with the number of durations that did not exceed it.
    ///
    /// Those longer than the last bound are only part of [`count`](Self::count).
    pub fn cumulative(&self) -> impl Iterator<Item = (Duration, u64)> {
        let mut passed = 0;
        self.counts.iter().enumerate().filter_map(move |(bucket, count)| {
            passed += count;
            let bound = bound(bucket).filter(|_| bucket % FIRST.len() == 0)?;
            Some((Duration::from_nanos(bound), passed))
        })
    }

    /// Returns the upper bound of each bucket, and the number of durations in it alone. The last bucket has no bound.
    #[cfg(all(unix, feature = "toml"))]
    pub(crate) fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        self.counts
            .iter()
            .enumerate()
            .map(|(bucket, count)| (bound(bucket).map(Duration::from_nanos), *count))
    }

    /// Adds the durations of `other`.
    pub(super) fn add(&mut self, other: &Histogram) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, other)| *count += other);
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// Returns these durations without those of `earlier`, which was taken from the same region before.
    pub fn since(&self, earlier: &Histogram) -> Histogram {
        let counts = self.counts.iter().zip(&earlier.counts);
        let counts = counts.map(|(now, before)| now.saturating_sub(*before)).collect();
        Histogram { counts, sum: self.sum.saturating_sub(earlier.sum) }
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count())
            .field("mean", &self.mean())
            .field("p99", &self.quantile(0.99))
            .finish()
    }
}

/// Counts durations. What it times takes longer than an atomic addition by far, so that all threads share it.
#[derive(Debug)]
pub(super) struct Durations {
    counts: Box<[AtomicU64]>,
    nanos: AtomicU64,
}

impl Default for Durations {
    fn default() -> Self {
        Durations { counts: (0..=BOUNDS).map(|_| AtomicU64::new(0)).collect(), nanos: AtomicU64::new(0) }
    }
}

impl Durations {
    pub(super) fn add(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket_of(nanos)].fetch_add(1, Relaxed);
        self.nanos.fetch_add(nanos, Relaxed);
    }

    pub(super) fn histogram(&self) -> Histogram {
        let counts = self.counts.iter().map(|count| count.load(Relaxed)).collect();
        Histogram { counts, sum: Duration::from_nanos(self.nanos.load(Relaxed)) }
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use super::*;

    #[test]
    fn bounds_grow_by_a_fifth_at_most() {
        let bounds: Vec<u64> = (0..BOUNDS).map_while(bound).collect();
        assert_eq!(bounds.len(), BOUNDS);
        assert_eq!((bounds[0], bounds[BOUNDS - 1]), (1_000, 1_000 << DOUBLINGS));
        assert_eq!(bound(BOUNDS), None);
        for pair in bounds.windows(2) {
            assert!(pair[0] < pair[1] && pair[1] as f64 / pair[0] as f64 <= 1.19, "{pair:?}");
        }
    }

    #[test]
    fn duration_counts_in_the_first_bucket_that_holds_it() {
        let nanos = (0..BOUNDS).map_while(bound).flat_map(|bound| [bound - 1, bound, bound + 1]);
        for nanos in nanos.chain([0, u64::MAX]) {
            let expected =
                (0..BOUNDS).find(|bucket| nanos <= bound(*bucket).unwrap_or(u64::MAX)).unwrap_or(BOUNDS);
            assert_eq!(bucket_of(nanos), expected, "{nanos} ns");
        }
    }

    #[test]
    fn quantiles_are_within_a_fifth() {
        let durations = Durations::default();
        (1..=1_000).for_each(|millis| durations.add(Duration::from_millis(millis)));
        let histogram = durations.histogram();
        assert_eq!(histogram.count(), 1_000);
        assert_eq!(histogram.sum(), Duration::from_millis(500_500));
        assert_eq!(histogram.mean(), Some(Duration::from_micros(500_500)));
        for (quantile, exact) in [(0.0, 0.001), (0.5, 0.5), (0.99, 0.99), (1.0, 1.0)] {
            let found = histogram.quantile(quantile).map(|found| found.as_secs_f64()).unwrap();
            assert!((exact..=exact * 1.19).contains(&found), "{quantile}: {found} instead of {exact}");
        }
        assert_eq!(Histogram::default().quantile(0.5), None);
        assert_eq!(Histogram::default().mean(), None);
    }

    #[test]
    fn cumulative_counts_double_their_bounds() {
        let durations = Durations::default();
        [1, 2, 3, 4_000_000_000]
            .into_iter()
            .map(Duration::from_micros)
            .for_each(|duration| durations.add(duration));
        let histogram = durations.histogram();
        let cumulative: Vec<_> = histogram.cumulative().collect();
        let micros = Duration::from_micros;
        assert_eq!(cumulative[..3], [(micros(1), 1), (micros(2), 2), (micros(4), 3)]);
        assert_eq!(cumulative.len(), DOUBLINGS as usize + 1);
        assert_eq!((cumulative[DOUBLINGS as usize].1, histogram.count()), (3, 4));
    }

    #[test]
    fn earlier_durations_are_taken_off() {
        let durations = Durations::default();
        durations.add(Duration::from_millis(1));
        let earlier = durations.histogram();
        durations.add(Duration::from_millis(3));
        let since = durations.histogram().since(&earlier);
        assert_eq!((since.count(), since.sum()), (1, Duration::from_millis(3)));
    }
}
