//! [`RecentWrites`]: which keys a replica may not have the last value of yet.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a write takes to reach the replicas, at most; one that is further behind is no replica to read from.
const LAG: Duration = Duration::from_secs(1);

/// When keys were last written by this process. Keys share places, so that there is a bound to them: one may be taken
/// for written that was not, never the reverse.
#[derive(Debug)]
pub(super) struct RecentWrites {
    hasher: RandomState,
    begin: Instant,
    /// Until when the keys of each place are recent, in milliseconds from `begin`.
    until: Box<[AtomicU64]>,
}

impl RecentWrites {
    pub(super) fn new() -> Self {
        let until = (0..4096).map(|_| AtomicU64::new(0)).collect();
        RecentWrites { hasher: RandomState::new(), begin: Instant::now(), until }
    }

    pub(super) fn note(&self, key: &str, now: Instant) {
        self.place(key).fetch_max(self.millis(now + LAG), Ordering::Relaxed);
    }

    pub(super) fn has(&self, key: &str, now: Instant) -> bool {
        self.place(key).load(Ordering::Relaxed) > self.millis(now)
    }

    fn place(&self, key: &str) -> &AtomicU64 {
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
    fn a_key_is_recent_for_as_long_as_a_write_travels() {
        let recent = RecentWrites::new();
        let now = Instant::now();
        assert!(!recent.has("key", now));
        recent.note("key", now);
        assert!(recent.has("key", now));
        assert!(!recent.has("key", now + LAG + Duration::from_millis(1)));
    }
}
