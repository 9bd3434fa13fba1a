//! [`Features`]: the features that were verified.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The slots of the first table. Each further one is four times as large.
const FIRST: usize = 128;

/// The slots of the last table. A type with more features is read back more often than necessary.
const LAST: usize = FIRST << 6;

/// How many slots of a table a feature can be in.
const PROBES: usize = 8;

/// A set of features that only grows, and is read without a lock. Zero is not a feature.
///
/// It is a chain of hash tables. A feature that finds no free slot in a table goes to the next one. A feature that is
/// added by two threads at once may be in the set twice, which does no harm.
#[derive(Debug)]
pub(super) struct Features {
    slots: Box<[AtomicU64]>,
    next: OnceLock<Box<Features>>,
}

impl Default for Features {
    fn default() -> Self {
        Features::of_size(FIRST)
    }
}

impl Features {
    fn of_size(size: usize) -> Self {
        Features { slots: (0..size).map(|_| AtomicU64::new(0)).collect(), next: OnceLock::new() }
    }

    /// Returns whether `feature` is in its first slot, as most features are.
    #[inline(always)]
    pub(super) fn surely_contains(&self, feature: u64) -> bool {
        self.slots[self.home(feature)].load(Relaxed) == feature
    }

    pub(super) fn contains(&self, feature: u64) -> bool {
        for slot in self.probed(feature) {
            match slot.load(Relaxed) {
                0 => return false,
                found if found == feature => return true,
                _ => {}
            }
        }
        self.next.get().is_some_and(|next| next.contains(feature))
    }

    /// Adds `feature`, unless the set is full.
    pub(super) fn add(&self, feature: u64) {
        let is_added = |slot: &AtomicU64| match slot.compare_exchange(0, feature, Relaxed, Relaxed) {
            Ok(_) => true,
            Err(found) => found == feature,
        };
        if !self.probed(feature).any(is_added) && self.slots.len() < LAST {
            self.next.get_or_init(|| Box::new(Features::of_size(4 * self.slots.len()))).add(feature);
        }
    }

    /// Returns the slots in which `feature` can be, in the order of the search.
    fn probed(&self, feature: u64) -> impl Iterator<Item = &AtomicU64> {
        let (home, mask) = (self.home(feature), self.slots.len() - 1);
        (home..home + PROBES).map(move |at| &self.slots[at & mask])
    }

    #[inline(always)]
    fn home(&self, feature: u64) -> usize {
        // The upper half of a product is mixed best. The size is a power of two.
        (feature >> 32) as usize & (self.slots.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_contains_what_was_added() {
        let features = Features::default();
        assert!(!features.contains(7));
        // These all have one home, so that they fill several tables.
        (1..30).for_each(|feature| features.add(feature));
        (1..30).for_each(|feature| features.add(feature));
        assert!((1..30).all(|feature| features.contains(feature)));
        assert!(!features.contains(30) && !features.contains(1 << 32));
    }

    #[test]
    fn full_set_refuses_further_features() {
        let features = Features::default();
        // There are four tables.
        (1..=4 * PROBES as u64 + 1).for_each(|feature| features.add(feature));
        assert!(features.contains(4 * PROBES as u64) && !features.contains(4 * PROBES as u64 + 1));
    }
}
