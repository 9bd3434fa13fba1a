//! [`Slot`]: what a caller has of a key.

use dogpile_sdk::Metadata;

use super::found::Found;
use crate::decision::Reading;
use crate::outcome::Outcome;
use crate::policy::Policy;

/// A key of a call, by its place, and what the caller has of it.
#[derive(Debug)]
pub(crate) struct Slot<V> {
    pub(crate) need: Need<V>,
    /// The metadata of a value that was read, by which it is judged again after a wait.
    pub(crate) metadata: Option<Metadata>,
    /// Whether the value was created by this call, and stored.
    is_stored: bool,
}

/// What a caller has of a key, and still needs.
#[derive(Debug)]
pub(crate) enum Need<V> {
    /// The value to return, and where it came from.
    Settled(V, Outcome),
    /// A fresh value, and where it came from. A new one is created unless another caller does.
    Early(V, Outcome),
    /// A stale value. The policy decides whether the caller waits for the new one.
    Stale(V),
    /// A value that is returned only if the creator fails.
    Grace(V),
    /// No value.
    Missing,
}

/// The value of a key, and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Settled<V> {
    pub(crate) value: V,
    pub(crate) outcome: Outcome,
    /// The metadata of a value that was found, if it is known.
    pub(crate) metadata: Option<Metadata>,
    /// Whether the value was created by this call, and stored.
    pub(crate) is_stored: bool,
}

impl<V> Settled<V> {
    /// Returns a value that was created just now.
    pub(crate) fn created(value: V, is_stored: bool) -> Self {
        Settled { value, outcome: Outcome::Created, metadata: None, is_stored }
    }
}

impl<V> Slot<V> {
    /// Returns what a caller with `policy` has that `found` this.
    pub(crate) fn of(found: Found<V>, policy: &Policy) -> Self {
        let need = match found.reading {
            Reading::Fresh(value) => Need::Settled(value, policy.outcome(Outcome::Fresh)),
            Reading::Early(value) => Need::Early(value, policy.outcome(Outcome::Fresh)),
            Reading::Stale(old) => Need::Stale(old),
            Reading::Grace(old) => Need::Grace(old),
            Reading::Missing => Need::Missing,
        };
        Slot { need, metadata: found.metadata, is_stored: false }
    }

    /// Returns the value, once the protocol has settled the key.
    pub(crate) fn into_settled(self) -> Option<Settled<V>> {
        match self.need {
            Need::Settled(value, outcome) => {
                Some(Settled { value, outcome, metadata: self.metadata, is_stored: self.is_stored })
            }
            _ => None,
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        matches!(self.need, Need::Settled(..))
    }

    pub(super) fn is_early(&self) -> bool {
        matches!(self.need, Need::Early(..))
    }

    pub(super) fn is_stale(&self) -> bool {
        matches!(self.need, Need::Stale(_))
    }

    /// Returns whether the caller has a value that it may get if the creator fails.
    pub(super) fn has_old(&self) -> bool {
        matches!(self.need, Need::Early(..) | Need::Stale(_) | Need::Grace(_))
    }

    /// Returns whether the caller waits for a new value if another caller creates it.
    pub(super) fn awaits(&self, policy: &Policy) -> bool {
        match self.need {
            Need::Settled(..) | Need::Early(..) => false,
            Need::Stale(_) => policy.stale.waits(),
            Need::Grace(_) | Need::Missing => true,
        }
    }

    /// Settles for a value that the caller gets now, with an `outcome` that holds if its backend works.
    pub(super) fn settle(&mut self, value: V, outcome: Outcome, policy: &Policy) {
        self.need = Need::Settled(value, policy.outcome(outcome));
    }

    /// Settles for a value that another caller handed over, with its metadata if it was not created just now.
    pub(super) fn settle_handed(
        &mut self,
        value: V,
        metadata: Option<Metadata>,
        is_old: bool,
        policy: &Policy,
    ) {
        self.metadata = metadata;
        self.settle(value, if is_old { Outcome::FailSafe } else { Outcome::Waited }, policy);
    }

    /// Settles for what a creation ended with: a value that it created, or an old one.
    pub(super) fn settle_created(&mut self, settled: Settled<V>, policy: &Policy) {
        let Settled { value, outcome, metadata, is_stored } = settled;
        // An old value that was read before its backend failed keeps the metadata that the caller read.
        if metadata.is_some() || !matches!(outcome, Outcome::Fresh | Outcome::FailSafe) {
            self.metadata = metadata;
        }
        self.is_stored = is_stored;
        self.settle(value, outcome, policy);
    }

    /// What a caller has that read the key again after it waited. A fresh value is another caller's.
    pub(super) fn after_wait(found: Found<V>, policy: &Policy) -> Self {
        let mut slot = Slot::of(found, policy);
        if let Need::Settled(_, outcome) = &mut slot.need {
            *outcome = policy.outcome(Outcome::Waited);
        }
        slot
    }

    /// The value is no longer served. It is kept in case the creator or the mutex fails, and is judged again then.
    pub(super) fn age(&mut self) {
        self.need = match std::mem::replace(&mut self.need, Need::Missing) {
            Need::Early(old, _) | Need::Stale(old) => Need::Grace(old),
            other => other,
        };
    }

    /// Settles for the stale value, if there is one.
    pub(super) fn settle_for_stale(&mut self) {
        self.need = match std::mem::replace(&mut self.need, Need::Missing) {
            Need::Early(old, outcome) => Need::Settled(old, outcome),
            Need::Stale(old) => Need::Settled(old, Outcome::Stale),
            other => other,
        };
    }

    /// Settles for the old value, whatever its stage.
    pub(super) fn settle_for_old(&mut self) {
        self.need = match std::mem::replace(&mut self.need, Need::Missing) {
            Need::Early(old, outcome) => Need::Settled(old, outcome),
            Need::Stale(old) | Need::Grace(old) => Need::Settled(old, Outcome::FailSafe),
            other => other,
        };
    }
}
