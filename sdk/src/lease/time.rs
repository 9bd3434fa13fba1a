//! Times that are added without overflow.

use std::time::{Duration, Instant};

/// Stands for a time that no lease reaches.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Returns the time `duration` after `start`, at most a century.
pub(super) fn after(start: Instant, duration: Duration) -> Instant {
    start + duration.min(CENTURY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endless_duration_does_not_overflow() {
        let now = Instant::now();
        assert_eq!(after(now, Duration::MAX), after(now, CENTURY));
        assert_eq!(after(now, Duration::from_secs(1)), now + Duration::from_secs(1));
    }
}
