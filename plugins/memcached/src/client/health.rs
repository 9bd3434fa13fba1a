//! [`Health`]: whether a server that failed is used again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::options::Patience;

/// The failures of one server, as one process sees them.
#[derive(Debug)]
pub(super) struct Health {
    patience: Patience,
    /// Whether the last exchange failed. It spares every exchange with a sound server the lock.
    has_failed: AtomicBool,
    failures: Mutex<Failures>,
}

#[derive(Debug, Default)]
struct Failures {
    /// The number of failures in a row.
    count: u32,
    /// The time of the last failure.
    last: Option<Instant>,
}

impl Failures {
    /// Returns the time after the last failure for which the server is not used.
    fn rest(&self, patience: &Patience) -> Duration {
        if self.count > patience.attempts { patience.dead_for } else { patience.retry_after }
    }

    fn is_resting(&self, patience: &Patience, now: Instant) -> bool {
        self.last.is_some_and(|last| now.saturating_duration_since(last) < self.rest(patience))
    }
}

impl Health {
    pub(super) fn new(patience: Patience) -> Self {
        Health { patience, has_failed: AtomicBool::new(false), failures: Mutex::default() }
    }

    /// Returns whether the server is not used at `now`.
    pub(super) fn is_resting(&self, now: Instant) -> bool {
        self.has_failed.load(Ordering::Relaxed) && self.failures().is_resting(&self.patience, now)
    }

    /// Returns whether other servers may have the keys of the server at `now`.
    pub(super) fn is_dead(&self, now: Instant) -> bool {
        if !self.has_failed.load(Ordering::Relaxed) {
            return false;
        }
        let failures = self.failures();
        failures.count > self.patience.attempts && failures.is_resting(&self.patience, now)
    }

    pub(super) fn succeeded(&self) {
        if self.has_failed.load(Ordering::Relaxed) {
            let mut failures = self.failures();
            *failures = Failures::default();
            self.has_failed.store(false, Ordering::Relaxed);
        }
    }

    pub(super) fn failed(&self, now: Instant) {
        let mut failures = self.failures();
        failures.count = failures.count.saturating_add(1);
        failures.last = Some(now);
        self.has_failed.store(true, Ordering::Relaxed);
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        // Ignore poison: no code panics while it holds this lock.
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_server_rests_and_dead_one_rests_longer() {
        let patience =
            Patience { attempts: 1, retry_after: Duration::from_secs(1), dead_for: Duration::from_secs(60) };
        let (health, now) = (Health::new(patience), Instant::now());
        assert!(!health.is_resting(now));
        for (rests, is_dead) in [(1, false), (60, true)] {
            health.failed(now);
            let end = now + Duration::from_secs(rests);
            let before = end - Duration::from_millis(1);
            assert!(health.is_resting(before) && !health.is_resting(end));
            assert_eq!((health.is_dead(before), health.is_dead(end)), (is_dead, false));
        }
        health.succeeded();
        assert!(!health.is_resting(now) && !health.is_dead(now));
        assert_eq!(health.failures().count, 0);
    }
}
