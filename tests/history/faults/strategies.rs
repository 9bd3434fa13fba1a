//! Invalidation strategies with the faults that the region's own once had.

use dogpile::sdk::{CreationTime, Metadata};
use dogpile::{Invalidation, RegionInvalidationStrategy, Validity};
use parking_lot::Mutex;

/// E4: remembers the last invalidation alone, so that a soft one undoes a hard one.
#[derive(Debug, Default)]
pub(super) struct SoftReplacesHard(Mutex<Option<(Invalidation, CreationTime)>>);

impl RegionInvalidationStrategy for SoftReplacesHard {
    fn invalidate(&self, kind: Invalidation, now: CreationTime) {
        *self.0.lock() = Some((kind, now));
    }

    fn judge(&self, _key: &str, metadata: &Metadata) -> Validity {
        let made = metadata.creation_time;
        match *self.0.lock() {
            Some((Invalidation::Hard, hard)) if made <= hard => Validity::HardInvalidated,
            Some((Invalidation::Soft, soft)) if made <= soft => Validity::SoftInvalidated,
            _ => Validity::Valid,
        }
    }
}

/// E5: values that were stamped just before the invalidation stay valid. A region invalidates just after its last
/// stamp, so this strategy moves the invalidation back to that stamp.
#[derive(Debug, Default)]
pub(super) struct EqualTimesAreValid {
    hard: Mutex<Option<CreationTime>>,
    soft: Mutex<Option<CreationTime>>,
}

impl RegionInvalidationStrategy for EqualTimesAreValid {
    fn invalidate(&self, kind: Invalidation, now: CreationTime) {
        let now = CreationTime::from_seconds(now.as_seconds().next_down());
        let mut last = if kind == Invalidation::Hard { self.hard.lock() } else { self.soft.lock() };
        if last.is_none_or(|last| last < now) {
            *last = Some(now);
        }
    }

    fn judge(&self, _key: &str, metadata: &Metadata) -> Validity {
        let made = metadata.creation_time;
        if self.hard.lock().is_some_and(|hard| made < hard) {
            Validity::HardInvalidated
        } else if self.soft.lock().is_some_and(|soft| made < soft) {
            Validity::SoftInvalidated
        } else {
            Validity::Valid
        }
    }
}
