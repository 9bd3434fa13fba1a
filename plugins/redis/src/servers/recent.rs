//! [`RecentWrites`]: the keys whose last value may not have reached the replicas yet.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The longest time that a write may take to reach a usable replica.
const LAG: Duration = Duration::from_secs(1);

/// The times of this process's last writes, by key.
///
/// Keys share a fixed number of slots. A key may therefore count as recent by mistake, but a recent key is never
/// missed.
#[derive(Debug)]
pub(super) struct RecentWrites {
    hasher: RandomState,
    begin: Instant,
    /// The end of the recent period of each slot, in milliseconds from `begin`.
    until: Box<[AtomicU64]>,
}

impl RecentWrites {
    pub(super) fn new() -> Self {
        let until = (0..4096).map(|_| AtomicU64::new(0)).collect();
        RecentWrites { hasher: RandomState::new(), begin: Instant::now(), until }
    }

    pub(super) fn note(&self, key: &str, now: Instant) {
        self.slot(key).fetch_max(self.millis(now + LAG), Ordering::Relaxed);
    }

    pub(super) fn has(&self, key: &str, now: Instant) -> bool {
        self.slot(key).load(Ordering::Relaxed) > self.millis(now)
    }

    fn slot(&self, key: &str) -> &AtomicU64 {
        let number = self.hasher.hash_one(key) as usize;
        &self.until[number % self.until.len()]
    }

    fn millis(&self, moment: Instant) -> u64 {
        moment.saturating_duration_since(self.begin).as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_key_is_recent_until_replicas_caught_up() {
        let recent = RecentWrites::new();
        let now = Instant::now();
        assert!(!recent.has("key", now));
        recent.note("key", now);
        assert!(recent.has("key", now));
        assert!(!recent.has("key", now + LAG + Duration::from_millis(1)));
    }
}
