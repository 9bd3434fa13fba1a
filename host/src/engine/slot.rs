//! [`Slot`]: what a caller has of a key.

use crate::decision::Reading;

/// A key of a call, by its place, and what the caller has of it.
#[derive(Debug)]
pub(crate) struct Slot<V> {
    pub(crate) need: Need<V>,
}

/// What a caller has of a key, and still needs.
#[derive(Debug)]
pub(crate) enum Need<V> {
    /// The value to return.
    Settled(V),
    /// A stale value. A new one is created unless another caller does.
    Stale(V),
    /// No value.
    Missing,
}

impl<V> From<Reading<V>> for Slot<V> {
    fn from(reading: Reading<V>) -> Self {
        let need = match reading {
            Reading::Fresh(value) => Need::Settled(value),
            Reading::Stale(old) => Need::Stale(old),
            Reading::Missing => Need::Missing,
        };
        Slot { need }
    }
}

impl<V> Slot<V> {
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.need, Need::Settled(_))
    }

    pub(super) fn is_missing(&self) -> bool {
        matches!(self.need, Need::Missing)
    }

    pub(super) fn settle(&mut self, value: V) {
        self.need = Need::Settled(value);
    }

    /// Settles for the stale value, if there is one.
    pub(super) fn settle_for_stale(&mut self) {
        self.need = match std::mem::replace(&mut self.need, Need::Missing) {
            Need::Stale(old) => Need::Settled(old),
            other => other,
        };
    }
}
