//! [`Histogram`]: how many calls took how long.

use std::time::Duration;

/// Into how many parts each doubling is cut: a quantile is right to about three percent.
const PARTS: u64 = 32;
/// Below this many nanoseconds each has a count of its own.
const EXACT: u64 = PARTS;

/// Counts of durations, by their length.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    sum: Duration,
    longest: Duration,
}

/// The calls between two lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bar {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    pub(crate) count: u64,
}

impl Histogram {
    pub(crate) fn add(&mut self, took: Duration) {
        let part = part_of(took);
        if self.counts.len() <= part {
            self.counts.resize(part + 1, 0);
        }
        self.counts[part] += 1;
        self.total += 1;
        self.sum += took;
        self.longest = self.longest.max(took);
    }

    /// Takes the counts of `other` in.
    pub(crate) fn merge(&mut self, other: &Histogram) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.total += other.total;
        self.sum += other.sum;
        self.longest = self.longest.max(other.longest);
    }

    pub(crate) fn count(&self) -> u64 {
        self.total
    }

    pub(crate) fn longest(&self) -> Duration {
        self.longest
    }

    pub(crate) fn mean(&self) -> Duration {
        if self.total == 0 { Duration::ZERO } else { self.sum.div_f64(self.total as f64) }
    }

    /// How long the call took that `share` of all, from 0 to 1, were not slower than.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let wanted = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (part, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return start_of(part + 1).min(self.longest);
            }
        }
        self.longest
    }

    /// The calls by doublings of their length, from the first that there are to the last.
    pub(crate) fn bars(&self) -> Vec<Bar> {
        let mut bars: Vec<Bar> = Vec::new();
        let filled = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        for (part, count) in filled {
            let from = octave(start_of(part));
            while bars.last().is_some_and(|bar| bar.to < from) {
                let from = bars.last().map_or(from, |bar| bar.to);
                bars.push(Bar { from, to: from * 2, count: 0 });
            }
            match bars.last_mut() {
                Some(bar) if bar.from == from => bar.count += count,
                _ => bars.push(Bar { from, to: from * 2, count: *count }),
            }
        }
        bars
    }
}

/// The power of two, in nanoseconds, at or below `length`; 1 for less.
fn octave(length: Duration) -> Duration {
    let nanoseconds = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX).max(1);
    Duration::from_nanos(1 << nanoseconds.ilog2())
}

fn part_of(took: Duration) -> usize {
    let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    if nanoseconds < EXACT {
        return nanoseconds as usize;
    }
    let doublings = u64::from(nanoseconds.ilog2() - EXACT.ilog2());
    let within = (nanoseconds >> doublings) - EXACT;
    (EXACT + doublings * PARTS + within) as usize
}

/// The shortest duration that is counted in `part`.
fn start_of(part: usize) -> Duration {
    let part = part as u64;
    if part < EXACT {
        return Duration::from_nanos(part);
    }
    let (doublings, within) = ((part - EXACT) / PARTS, (part - EXACT) % PARTS);
    Duration::from_nanos((EXACT + within) << doublings.min(58))
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
    fn every_part_begins_where_the_one_before_ends() {
        for nanoseconds in (0..5000).chain([1 << 20, (1 << 40) + 12_345]) {
            let part = part_of(Duration::from_nanos(nanoseconds));
            let (from, to) = (start_of(part), start_of(part + 1));
            assert!(
                from.as_nanos() <= nanoseconds.into() && to.as_nanos() > nanoseconds.into(),
                "{nanoseconds}"
            );
        }
    }

    #[test]
    fn quantiles_are_right_to_three_percent() {
        let histogram = of((1..=1000).map(|number| number * 1000));
        for (share, expected) in [(0.5, 500_000.0), (0.99, 990_000.0), (1.0, 1_000_000.0)] {
            let found = histogram.quantile(share).as_nanos() as f64;
            assert!((found / expected - 1.0).abs() < 0.04, "{share}: {found}");
        }
        assert_eq!(histogram.longest(), Duration::from_millis(1));
        assert_eq!(histogram.mean(), Duration::from_nanos(500_500));
        assert_eq!(of([]).quantile(0.5), Duration::ZERO);
    }

    #[test]
    fn bars_follow_each_other_and_lose_no_call() {
        let mut histogram = of([100, 130, 1000]);
        histogram.merge(&of([0, 9000]));
        let bars = histogram.bars();
        assert!(bars.windows(2).all(|pair| pair[0].to == pair[1].from), "{bars:?}");
        assert_eq!(bars.iter().map(|bar| bar.count).sum::<u64>(), histogram.count());
        assert_eq!(bars.first().unwrap().from, Duration::from_nanos(1));
    }
}
