//! [`Deadline`]: the time limit of one call.

use std::time::Duration;

/// The least time that a call has for its own work, even with a `busy_timeout` of zero.
const LEAST_WORK: Duration = Duration::from_secs(1);

/// The end of a call, and the end of its waits for other processes, in milliseconds of [`coarse_now`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    waits: u64,
    end: u64,
}

impl Deadline {
    /// No limit for the call itself. It waits for others for at most five seconds.
    pub(crate) fn of_maintenance() -> Self {
        Deadline { end: u64::MAX, ..Deadline::after(Duration::from_secs(5)) }
    }

    /// Returns the deadline of a call that begins now and waits for at most `busy_timeout`.
    pub(crate) fn after(busy_timeout: Duration) -> Self {
        let now = coarse_now();
        let later = |time: Duration| now.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        Deadline { waits: later(busy_timeout), end: later(busy_timeout.max(LEAST_WORK)) }
    }

    /// Returns how long the call may still wait for others.
    pub(crate) fn left(self) -> Duration {
        Duration::from_millis(self.waits.saturating_sub(coarse_now()))
    }

    /// Returns whether the call has had all its time.
    pub(crate) fn is_over(self) -> bool {
        coarse_now() > self.end
    }

    /// Returns the moment at which the call is interrupted.
    pub(crate) fn end(self) -> u64 {
        self.end
    }
}

/// Returns a cheap clock in milliseconds, with an accuracy of a few milliseconds.
#[cfg(target_os = "linux")]
pub(crate) fn coarse_now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    now.tv_sec.unsigned_abs() * 1000 + now.tv_nsec.unsigned_abs() / 1_000_000
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn coarse_now() -> u64 {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_without_waits_has_time_to_work() {
        let deadline = Deadline::after(Duration::ZERO);
        assert_eq!(deadline.left(), Duration::ZERO);
        assert!(deadline.end() > coarse_now());
    }
}
