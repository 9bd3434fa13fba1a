//! [`Histogram`]: the distribution of durations.

use std::time::Duration;

/// The significant digits of a duration. A quantile is right to about one percent.
const DIGITS: u8 = 2;

/// The longest duration that is counted as it is, in nanoseconds: more than a hundred years.
const LONGEST: u64 = 1 << 62;

/// Counts of durations, by their length.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    /// In nanoseconds.
    counts: hdrhistogram::Histogram<u64>,
    longest: Duration,
}

/// The calls of one range of durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bar {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    pub(crate) count: u64,
}

impl Default for Histogram {
    #[allow(clippy::expect_used, reason = "the number of digits is a constant in the valid range")]
    fn default() -> Self {
        let counts = hdrhistogram::Histogram::new(DIGITS).expect("two digits are valid");
        Histogram { counts, longest: Duration::ZERO }
    }
}

impl Histogram {
    pub(crate) fn add(&mut self, took: Duration) {
        // The counts resize themselves, so that all of these lengths fit.
        let _ = self.counts.record(nanoseconds(took).clamp(1, LONGEST));
        self.longest = self.longest.max(took);
    }

    /// Adds the counts of `other`.
    pub(crate) fn merge(&mut self, other: &Histogram) {
        // Both resize themselves, so that all values of the other fit.
        let _ = self.counts.add(&other.counts);
        self.longest = self.longest.max(other.longest);
    }

    pub(crate) fn count(&self) -> u64 {
        self.counts.len()
    }

    pub(crate) fn longest(&self) -> Duration {
        self.longest
    }

    pub(crate) fn mean(&self) -> Duration {
        Duration::from_nanos(self.counts.mean() as u64)
    }

    /// Returns the duration within which `share` of all calls, from 0 to 1, ended.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        Duration::from_nanos(self.counts.value_at_quantile(share)).min(self.longest)
    }

    /// Returns the calls by doublings of their length, from the shortest to the longest.
    pub(crate) fn bars(&self) -> Vec<Bar> {
        let mut bars: Vec<Bar> = Vec::new();
        for counted in self.counts.iter_recorded() {
            let from = octave(counted.value_iterated_to());
            let count = counted.count_at_value();
            while bars.last().is_some_and(|bar| bar.to < from) {
                let from = bars.last().map_or(from, |bar| bar.to);
                bars.push(Bar { from, to: from * 2, count: 0 });
            }
            match bars.last_mut() {
                Some(bar) if bar.from == from => bar.count += count,
                _ => bars.push(Bar { from, to: from * 2, count }),
            }
        }
        bars
    }
}

/// Returns the largest power of two, in nanoseconds, that is not above `nanoseconds`.
fn octave(nanoseconds: u64) -> Duration {
    Duration::from_nanos(1 << nanoseconds.max(1).ilog2())
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(nanoseconds: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::default();
        nanoseconds.into_iter().for_each(|it| histogram.add(Duration::from_nanos(it)));
        histogram
    }

    #[test]
    fn quantiles_are_right_to_one_percent() {
        let histogram = of((1..=1000).map(|number| number * 1000));
        for (share, expected) in [(0.5, 500_000.0), (0.99, 990_000.0), (1.0, 1_000_000.0)] {
            let found = histogram.quantile(share).as_nanos() as f64;
            assert!((found / expected - 1.0).abs() < 0.011, "{share}: {found}");
        }
        assert_eq!(histogram.longest(), Duration::from_millis(1));
        let mean = histogram.mean().as_nanos() as f64;
        assert!((mean / 500_500.0 - 1.0).abs() < 0.011, "{mean}");
        assert_eq!(of([]).quantile(0.5), Duration::ZERO);
    }

    #[test]
    fn bars_follow_each_other_and_lose_no_call() {
        let mut histogram = of([100, 130, 1000]);
        histogram.merge(&of([0, 9000, u64::MAX]));
        let bars = histogram.bars();
        assert!(bars.windows(2).all(|pair| pair[0].to == pair[1].from), "{bars:?}");
        assert_eq!(bars.iter().map(|bar| bar.count).sum::<u64>(), histogram.count());
        assert_eq!(bars.first().unwrap().from, Duration::from_nanos(1));
    }
}
