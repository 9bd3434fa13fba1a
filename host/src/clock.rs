//! [`Clock`]: the source of the present time. It is the system's clock, or one that a test moves.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dogpile_sdk::CreationTime;

/// A source of the present time.
///
/// A region reads it to stamp values and to judge their age.
///
/// # For implementors
/// Only [`now`](Self::now) is required. A clock that has a cheaper and less precise reading overrides
/// [`coarse_now`](Self::coarse_now) and [`coarse_lag`](Self::coarse_lag) together. Hits then use that reading, except
/// close to the expiration time.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Returns the present time.
    fn now(&self) -> CreationTime;

    /// Returns a cheap reading, never ahead of [`now`](Self::now). Default: `now()`.
    #[inline]
    fn coarse_now(&self) -> CreationTime {
        self.now()
    }

    /// Returns how far [`coarse_now`](Self::coarse_now) may lie behind [`now`](Self::now). Default: zero.
    ///
    /// A region calls it once, when it is configured.
    fn coarse_lag(&self) -> Duration {
        Duration::ZERO
    }
}

const _: fn(&dyn Clock) = |_| {};

/// The system's clock, shared with every process that shares the cache. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[inline]
    fn now(&self) -> CreationTime {
        CreationTime::now()
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[inline]
    fn coarse_now(&self) -> CreationTime {
        let reading = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        // The sum is rounded once, as in `CreationTime::now`: both readings of one moment are equal.
        CreationTime::from_seconds(reading.tv_sec as f64 + reading.tv_nsec as f64 / 1e9)
    }

    /// Returns eight ticks of the kernel, at least 10 ms. If the processor that keeps the time stalls, the kernel
    /// gives its work to another one after five ticks.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn coarse_lag(&self) -> Duration {
        let tick = rustix::time::clock_getres(rustix::time::ClockId::RealtimeCoarse);
        let tick = Duration::try_from(tick).unwrap_or_default();
        (8 * tick).clamp(Duration::from_millis(10), Duration::from_secs(1))
    }
}

/// A clock that does not move by itself, for tests of expiration without sleeping.
///
/// ```
/// use std::time::Duration;
///
/// use dogpile::{Clock, ManualClock};
///
/// let clock = ManualClock::at(100.0);
/// clock.advance(Duration::from_secs(5));
/// assert_eq!(clock.now().as_seconds(), 105.0);
/// clock.set(60.0);
/// assert_eq!(clock.now().as_seconds(), 60.0);
/// ```
#[derive(Debug)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// Creates a clock that shows `seconds` since the Unix epoch.
    pub fn at(seconds: f64) -> Self {
        ManualClock(AtomicU64::new(seconds.to_bits()))
    }

    /// Moves the clock forward by `time`.
    pub fn advance(&self, time: Duration) {
        let later = |bits| Some((f64::from_bits(bits) + time.as_secs_f64()).to_bits());
        // The closure always returns `Some`, so the update cannot fail.
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later);
    }

    /// Sets the clock to `seconds` since the Unix epoch, which may lie in its past.
    pub fn set(&self, seconds: f64) {
        self.0.store(seconds.to_bits(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> CreationTime {
        CreationTime::from_seconds(f64::from_bits(self.0.load(Ordering::SeqCst)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coarse_reading_lies_within_its_lag() {
        let lag = SystemClock.coarse_lag().as_secs_f64();
        for _ in 0..10_000 {
            let coarse = SystemClock.coarse_now().as_seconds();
            let precise = SystemClock.now().as_seconds();
            // One tick of an f64 is 238 ns. The upper bound is loose: this thread may be suspended between the readings.
            assert!(coarse <= precise + 1e-6, "{coarse} {precise}");
            assert!(precise - coarse <= lag + 60.0, "{coarse} {precise}");
        }
    }
}
