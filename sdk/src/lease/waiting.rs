//! [`Pause`]: the pauses between polls of a lock that another holder has.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(1);

/// The longest pause is the time waited so far, divided by this. A waiter therefore notices a release late by at most
/// that share of its wait.
const PART: u32 = 16;

/// The pauses of one wait. All times are counted from its start.
#[derive(Debug)]
pub(super) struct Pause {
    longest: Duration,
    since: Duration,
}

impl Pause {
    pub(super) fn new(longest: Duration) -> Self {
        Pause { longest, since: Duration::ZERO }
    }

    /// Returns the pause to make `now`. It is randomized, so that waiters do not poll at the same time.
    pub(super) fn next(&self, now: Duration) -> Duration {
        let due = (now.saturating_sub(self.since) / PART).max(SHORTEST).min(self.longest);
        let random = RandomState::new().hash_one(()) >> 32;
        due / 2 + due.mul_f64(random as f64 / u32::MAX as f64) / 2
    }

    /// Starts again with short pauses, because the lock was just released.
    pub(super) fn restart(&mut self, now: Duration) {
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_millis(100);

    #[test]
    fn pause_grows_with_time_waited_up_to_its_bound() {
        let pause = Pause::new(LONGEST);
        for (waited, at_most) in [(0, 1), (16, 1), (160, 10), (1_600, 100), (60_000, 100)] {
            let at_most = Duration::from_millis(at_most);
            for _ in 0..100 {
                let next = pause.next(Duration::from_millis(waited));
                assert!(next <= at_most && next >= at_most / 2, "{next:?} after {waited} ms");
            }
        }
    }

    #[test]
    fn pause_after_release_is_short() {
        let mut pause = Pause::new(LONGEST);
        pause.restart(Duration::from_secs(60));
        assert!(pause.next(Duration::from_secs(60)) <= SHORTEST);
    }

    #[test]
    fn pauses_of_one_wait_differ() {
        let pause = Pause::new(LONGEST);
        let pauses: Vec<_> = (0..10).map(|_| pause.next(Duration::from_secs(60))).collect();
        assert!(pauses.iter().any(|other| *other != pauses[0]), "{pauses:?}");
    }
}
