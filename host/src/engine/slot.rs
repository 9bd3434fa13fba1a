//! [`Slot`]: what a caller has of a key.

use dogpile_sdk::Metadata;

use super::port::Found;
use crate::decision::Reading;
use crate::policy::Policy;

/// A key of a call, by its place, and what the caller has of it.
#[derive(Debug)]
pub(crate) struct Slot<V> {
    pub(crate) need: Need<V>,
    /// The metadata of the value, if it was read under the lock or after a wait.
    pub(super) metadata: Option<Metadata>,
}

/// What a caller has of a key, and still needs.
#[derive(Debug)]
pub(crate) enum Need<V> {
    /// The value to return.
    Settled(V),
    /// A fresh value. A new one is created unless another caller does.
    Early(V),
    /// A stale value. The policy decides whether the caller waits for the new one.
    Stale(V),
    /// A value that is returned only if the creator fails.
    Grace(V),
    /// No value.
    Missing,
}

impl<V> From<Reading<V>> for Slot<V> {
    fn from(reading: Reading<V>) -> Self {
        let need = match reading {
            Reading::Fresh(value) => Need::Settled(value),
            Reading::Early(value) => Need::Early(value),
            Reading::Stale(old) => Need::Stale(old),
            Reading::Grace(old) => Need::Grace(old),
            Reading::Missing => Need::Missing,
        };
        Slot { need, metadata: None }
    }
}

impl<V> From<Found<V>> for Slot<V> {
    fn from(found: Found<V>) -> Self {
        Slot { metadata: found.metadata, ..Slot::from(found.reading) }
    }
}

impl<V> Slot<V> {
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.need, Need::Settled(_))
    }

    pub(super) fn is_early(&self) -> bool {
        matches!(self.need, Need::Early(_))
    }

    pub(super) fn is_stale(&self) -> bool {
        matches!(self.need, Need::Stale(_))
    }

    /// Returns whether the caller has a value that it may get if the creator fails.
    pub(super) fn has_old(&self) -> bool {
        matches!(self.need, Need::Early(_) | Need::Stale(_) | Need::Grace(_))
    }

    /// Returns whether the caller waits for a new value if another caller creates it.
    pub(super) fn awaits(&self, policy: &Policy) -> bool {
        match self.need {
            Need::Settled(_) | Need::Early(_) => false,
            Need::Stale(_) => policy.stale.waits(),
            Need::Grace(_) | Need::Missing => true,
        }
    }

    pub(super) fn settle(&mut self, value: V) {
        self.need = Need::Settled(value);
    }

    /// Settles for the stale value, if there is one.
    pub(super) fn settle_for_stale(&mut self) {
        self.need = match std::mem::replace(&mut self.need, Need::Missing) {
            Need::Early(old) | Need::Stale(old) => Need::Settled(old),
            other => other,
        };
    }

    /// Settles for the old value, whatever its stage.
    pub(super) fn settle_for_old(&mut self) {
        self.need = match std::mem::replace(&mut self.need, Need::Missing) {
            Need::Early(old) | Need::Stale(old) | Need::Grace(old) => Need::Settled(old),
            other => other,
        };
    }
}
