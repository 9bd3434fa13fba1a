//! Where the time comes from: the system, or a test's own hands.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dogpile_sdk::CreationTime;

/// Tells the time. A region asks it when it judges a value's age and when a value was made.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> CreationTime;
}

/// The system's clock, shared with every process that shares the cache. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> CreationTime {
        CreationTime::now()
    }
}

/// A clock that stands still until it is moved: for tests that want to see an expiry without sleeping.
///
/// ```
/// use std::time::Duration;
///
/// use dogpile::{Clock, ManualClock};
///
/// let clock = ManualClock::at(100.0);
/// clock.advance(Duration::from_secs(5));
/// assert_eq!(clock.now().as_seconds(), 105.0);
/// ```
#[derive(Debug)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that shows `seconds` since the Unix epoch.
    pub fn at(seconds: f64) -> Self {
        ManualClock(AtomicU64::new(seconds.to_bits()))
    }

    /// Moves the clock on.
    pub fn advance(&self, time: Duration) {
        let later = |bits| Some((f64::from_bits(bits) + time.as_secs_f64()).to_bits());
        // The closure always answers `Some`, so there is nothing to refuse.
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> CreationTime {
        CreationTime::from_seconds(f64::from_bits(self.0.load(Ordering::SeqCst)))
    }
}
