//! Deadlines at the FFI boundary: they cross as the time that remains.

use std::time::{Duration, Instant};

/// Stands for a time that no wait reaches, where a deadline cannot be represented.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Returns the nanoseconds from now until `deadline`: 0 if it has passed, `u64::MAX` if they do not fit.
pub(super) fn nanoseconds_until(deadline: Instant) -> u64 {
    let remaining = deadline.saturating_duration_since(Instant::now());
    u64::try_from(remaining.as_nanos()).unwrap_or(u64::MAX)
}

/// Returns the moment `nanoseconds` from now.
pub(super) fn after(nanoseconds: u64) -> Instant {
    let now = Instant::now();
    now.checked_add(Duration::from_nanos(nanoseconds)).unwrap_or(now + CENTURY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_deadline_leaves_no_time() {
        assert_eq!(nanoseconds_until(Instant::now()), 0);
        assert!(after(0) <= Instant::now());
    }

    #[test]
    fn deadline_survives_the_crossing() {
        let begun = Instant::now();
        let crossed = after(nanoseconds_until(begun + Duration::from_secs(60)));
        // Only the time between the two readings of the clock may be added.
        assert!(crossed >= begun + Duration::from_secs(60));
        assert!(crossed <= Instant::now() + Duration::from_secs(60));
    }

    #[test]
    fn distant_deadline_saturates() {
        let distant = Instant::now() + Duration::from_secs(u64::from(u32::MAX) * 10);
        assert_eq!(nanoseconds_until(distant), u64::MAX);
        assert!(after(u64::MAX) > Instant::now() + CENTURY);
    }
}
