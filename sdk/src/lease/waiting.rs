//! [`Pause`]: how long to leave a lock alone that somebody else holds.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(1);

/// The part of the time waited that a pause may take: whoever waits long need not look often, and is late by no more
/// than this part of what they waited.
const PART: u32 = 16;

/// The pauses of one wait. The moments are counted from when it began.
#[derive(Debug)]
pub(super) struct Pause {
    longest: Duration,
    since: Duration,
}

impl Pause {
    pub(super) fn new(longest: Duration) -> Self {
        Pause { longest, since: Duration::ZERO }
    }

    /// The pause to make now: a random half to whole of what is due, so that those who wait do not meet.
    pub(super) fn next(&self, now: Duration) -> Duration {
        let due = (now.saturating_sub(self.since) / PART).max(SHORTEST).min(self.longest);
        let random = RandomState::new().hash_one(()) >> 32;
        due / 2 + due.mul_f64(random as f64 / u32::MAX as f64) / 2
    }

    /// Begins again with short pauses: the lock was released a moment ago.
    pub(super) fn restart(&mut self, now: Duration) {
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_millis(100);

    #[test]
    fn pauses_grow_with_the_time_waited_and_are_bounded() {
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
    fn pauses_are_short_again_after_a_release() {
        let mut pause = Pause::new(LONGEST);
        pause.restart(Duration::from_secs(60));
        assert!(pause.next(Duration::from_secs(60)) <= SHORTEST);
    }

    #[test]
    fn pauses_differ() {
        let pause = Pause::new(LONGEST);
        let pauses: Vec<_> = (0..10).map(|_| pause.next(Duration::from_secs(60))).collect();
        assert!(pauses.iter().any(|other| *other != pauses[0]), "{pauses:?}");
    }
}
