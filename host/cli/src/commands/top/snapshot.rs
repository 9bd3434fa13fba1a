//! [`Snapshot`]: the reply of a statistics socket. `docs/observability.md` describes it.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The version of the protocol that this command reads.
const VERSION: u64 = 1;

/// What a process counted so far.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Snapshot {
    version: u64,
    pub(super) pid: u64,
    pub(super) program: String,
    pub(super) uptime_seconds: f64,
    pub(super) regions: Vec<Region>,
    error: Option<String>,
}

/// What a region counted so far.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Region {
    pub(super) region: String,
    pub(super) requests: BTreeMap<String, u64>,
    pub(super) failed_creations: u64,
    pub(super) creation: Histogram,
    pub(super) creations_in_progress: InProgress,
    pub(super) backends: Vec<Backend>,
}

/// The creations of a region that are in progress.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct InProgress {
    pub(super) count: u64,
    pub(super) waiters: u64,
    pub(super) oldest_seconds: Option<f64>,
}

/// What a region counted about a backend.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Backend {
    pub(super) backend: String,
    pub(super) errors: u64,
    pub(super) breaker: String,
    pub(super) last_error: Option<String>,
}

/// How often durations of each length occurred.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Histogram {
    pub(super) count: u64,
    /// The upper bounds in seconds, in order, each with the number of durations in its bucket alone.
    pub(super) buckets: Vec<(Option<f64>, u64)>,
}

impl Snapshot {
    /// Reads a reply.
    ///
    /// # Errors
    /// If it is not a reply of this protocol.
    pub(super) fn read(reply: &[u8]) -> Result<Self, String> {
        let snapshot: Snapshot = serde_json::from_slice(reply)
            .map_err(|error| format!("its reply is not that of a statistics socket: {error}"))?;
        match snapshot {
            Snapshot { version: VERSION, error: None, .. } => Ok(snapshot),
            Snapshot { version: VERSION, error: Some(error), .. } => {
                Err(format!("it refused the request: {error}"))
            }
            Snapshot { version, .. } => Err(format!(
                "it has version {version} of the protocol; use the command dogpile of its version"
            )),
        }
    }
}

impl Histogram {
    /// Returns these durations without those of `earlier`.
    pub(super) fn since(&self, earlier: &Histogram) -> Histogram {
        let before: BTreeMap<u64, u64> =
            earlier.buckets.iter().map(|(bound, count)| (bits(*bound), *count)).collect();
        let left = |(bound, count): &(Option<f64>, u64)| {
            let left = grown(*count, before.get(&bits(*bound)).copied().unwrap_or_default());
            (left > 0).then_some((*bound, left))
        };
        let buckets = self.buckets.iter().filter_map(left).collect();
        Histogram { count: grown(self.count, earlier.count), buckets }
    }

    /// Adds the durations of another process.
    pub(super) fn add(&mut self, other: &Histogram) {
        let mut sum = BTreeMap::new();
        for (bound, count) in self.buckets.iter().chain(&other.buckets) {
            let bucket: &mut (Option<f64>, u64) = sum.entry(bits(*bound)).or_insert((*bound, 0));
            bucket.1 = bucket.1.saturating_add(*count);
        }
        self.buckets = sum.into_values().collect();
        self.count = self.count.saturating_add(other.count);
    }

    /// Returns the duration in seconds that a share of `quantile` did not exceed, or `None` if there is no duration.
    pub(super) fn quantile(&self, quantile: f64) -> Option<f64> {
        let count: u64 = self.buckets.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count));
        let rank = (count as f64 * quantile).ceil().max(1.0);
        let mut passed = 0.0;
        let bucket = self.buckets.iter().find(|(_, count)| {
            passed += *count as f64;
            passed >= rank
        });
        // The last bound stands for everything above it.
        let longest = || self.buckets.iter().rev().find_map(|(bound, _)| *bound);
        bucket.filter(|_| count > 0).and_then(|(bound, _)| bound.or_else(longest))
    }
}

/// Returns by how much a counter has grown. One that is smaller than before began again.
pub(super) fn grown(now: u64, before: u64) -> u64 {
    now.checked_sub(before).unwrap_or(now)
}

/// Returns bits that have the order of the bounds. The bucket without a bound is the last.
fn bits(bound: Option<f64>) -> u64 {
    bound.map_or(u64::MAX, |bound| bound.max(0.0).to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reply_of_another_kind_is_refused() {
        let refused = |reply: &str| Snapshot::read(reply.as_bytes()).unwrap_err();
        assert!(refused("HTTP/1.1 400").starts_with("its reply is not that of a statistics socket: "));
        assert_eq!(
            refused(r#"{"version":2,"regions":[]}"#),
            "it has version 2 of the protocol; use the command dogpile of its version"
        );
        assert_eq!(refused(r#"{"version":1,"error":"x"}"#), "it refused the request: x");
        let later = r#"{"version":1,"pid":7,"regions":[{"region":"a","more":1}],"more":{}}"#;
        assert_eq!(Snapshot::read(later.as_bytes()).unwrap().regions[0].region, "a");
    }

    #[test]
    fn quantiles_are_those_of_the_interval() {
        let before = Histogram { count: 10, buckets: vec![(Some(0.001), 10)] };
        let now = Histogram { count: 20, buckets: vec![(Some(0.001), 11), (Some(0.5), 8), (None, 1)] };
        let since = now.since(&before);
        assert_eq!((since.count, since.buckets.len()), (10, 3));
        assert_eq!(
            (since.quantile(0.05), since.quantile(0.5), since.quantile(0.99)),
            (Some(0.001), Some(0.5), Some(0.5))
        );
        assert_eq!(now.since(&now).quantile(0.5), None);
        let mut both = before.clone();
        both.add(&since);
        assert_eq!(both, Histogram { count: 20, ..now });
    }

    #[test]
    fn counter_that_began_again_counts_from_zero() {
        assert_eq!((grown(5, 3), grown(2, 3)), (2, 2));
    }
}
