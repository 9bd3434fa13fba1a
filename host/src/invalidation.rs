//! Hard and soft invalidation of a whole region.
//!
//! Source: dogpile.cache `region.py`, `RegionInvalidationStrategy` and `DefaultInvalidationStrategy`.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use dogpile_sdk::CreationTime;

/// What an invalidation says of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Made since the last invalidation, or there was none.
    Valid,
    /// Made before a soft invalidation: one caller makes a new one, the others are served the old one.
    SoftInvalidated,
    /// Made before a hard invalidation: all callers wait for a new one.
    HardInvalidated,
}

/// Remembers when a region was invalidated. The default keeps it in the process; one that is to reach other
/// processes keeps it in a place they share.
///
/// # For implementors
/// `judge` is called on every read, and should not block.
pub trait RegionInvalidationStrategy: fmt::Debug + Send + Sync + 'static {
    /// Invalidates all that was made before `now`, hard or softly, in place of any earlier invalidation.
    fn invalidate(&self, hard: bool, now: CreationTime);

    /// What the invalidation says of a value made at `made`.
    fn judge(&self, made: CreationTime) -> Validity;
}

/// Keeps the last invalidation in this process.
///
/// ```
/// use dogpile::sdk::CreationTime;
/// use dogpile::{DefaultInvalidationStrategy, RegionInvalidationStrategy, Validity};
///
/// let strategy = DefaultInvalidationStrategy::default();
/// strategy.invalidate(true, CreationTime::from_seconds(100.0));
/// assert_eq!(strategy.judge(CreationTime::from_seconds(99.0)), Validity::HardInvalidated);
/// assert_eq!(strategy.judge(CreationTime::from_seconds(101.0)), Validity::Valid);
/// ```
#[derive(Debug, Default)]
pub struct DefaultInvalidationStrategy {
    /// The moment's bits, the sign saying that it was a soft one; zero for none. One word, so that moment and
    /// kind are always read together.
    last: AtomicU64,
}

impl RegionInvalidationStrategy for DefaultInvalidationStrategy {
    fn invalidate(&self, hard: bool, now: CreationTime) {
        let moment = now.as_seconds().max(f64::MIN_POSITIVE);
        let signed = if hard { moment } else { -moment };
        self.last.store(signed.to_bits(), Ordering::Release);
    }

    #[inline]
    fn judge(&self, made: CreationTime) -> Validity {
        let last = f64::from_bits(self.last.load(Ordering::Acquire));
        if made.as_seconds() >= last.abs() {
            Validity::Valid
        } else if last > 0.0 {
            Validity::HardInvalidated
        } else if last < 0.0 {
            Validity::SoftInvalidated
        } else {
            // No invalidation, and a value made before 1970.
            Validity::Valid
        }
    }
}
