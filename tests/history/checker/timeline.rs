//! [`Timeline`]: the events of one key in a history.

use super::super::operations::{Call, Creation, History, Key, Moment, Operation, Outcome, Value};

/// The events of one key.
pub(super) struct Timeline<'h> {
    pub(super) key: Key,
    pub(super) evicts: bool,
    /// All operations on the key, invalidations included.
    pub(super) operations: Vec<&'h Operation>,
    pub(super) made: Vec<Made<'h>>,
    pub(super) writes: Vec<&'h Operation>,
    pub(super) reads: Vec<Read<'h>>,
    pub(super) misses: Vec<Miss<'h>>,
    pub(super) creations: Vec<(&'h Operation, &'h Creation)>,
}

/// A value that a `set` or a creator made.
#[derive(Clone, Copy)]
pub(super) struct Made<'h> {
    pub(super) value: Value,
    pub(super) by: &'h Operation,
    /// The creation, unless it was a `set`.
    pub(super) creation: Option<&'h Creation>,
    /// The earliest moment at which a read may return the value.
    pub(super) visible: Moment,
}

/// A call that returned a value.
#[derive(Clone, Copy)]
pub(super) struct Read<'h> {
    pub(super) value: Value,
    pub(super) by: &'h Operation,
    pub(super) end: Moment,
}

/// A call that found nothing, at a moment between its beginning and `end`.
#[derive(Clone, Copy)]
pub(super) struct Miss<'h> {
    pub(super) by: &'h Operation,
    pub(super) end: Moment,
}

impl<'h> Timeline<'h> {
    /// Returns the timeline of `key`.
    pub(super) fn of(history: &'h History, key: Key) -> Self {
        let mut timeline = Timeline {
            key,
            evicts: history.evicts,
            operations: history.operations.iter().filter(|operation| operation.concerns(key)).collect(),
            made: Vec::new(),
            writes: Vec::new(),
            reads: Vec::new(),
            misses: Vec::new(),
            creations: Vec::new(),
        };
        timeline.operations.clone().into_iter().for_each(|operation| timeline.add(operation));
        timeline
    }

    fn add(&mut self, operation: &'h Operation) {
        if operation.call.writes() {
            self.writes.push(operation);
        }
        let key = self.key;
        let positions = operation.keys.iter().enumerate().filter(|(_, asked)| **asked == key);
        for (position, _) in positions {
            self.add_set(operation, position);
            self.add_read(operation, position);
        }
        operation.creations.iter().filter(|creation| creation.key == key).for_each(|creation| {
            self.add_creation(operation, creation);
        });
    }

    fn add_set(&mut self, by: &'h Operation, position: usize) {
        if let Some(&value) = by.values.get(position) {
            self.made.push(Made { value, by, creation: None, visible: by.begin });
        }
    }

    fn add_read(&mut self, by: &'h Operation, position: usize) {
        let (Outcome::Succeeded, Some(end)) = (&by.outcome, by.end) else { return };
        match by.found.get(position) {
            Some(&Some(value)) => self.reads.push(Read { value, by, end }),
            Some(None) => self.misses.push(Miss { by, end }),
            None => {}
        }
    }

    fn add_creation(&mut self, by: &'h Operation, creation: &'h Creation) {
        self.creations.push((by, creation));
        self.misses.push(Miss { by, end: creation.called });
        if let (Some(value), Some(visible)) = (creation.value, creation.returned) {
            self.made.push(Made { value, by, creation: Some(creation), visible });
        }
    }

    /// Returns whether another creation may have replaced what `made` stored by `end` with a value that an earlier
    /// invalidation rules out.
    pub(super) fn is_replaced(&self, made: &Made<'_>, end: Moment) -> bool {
        let later =
            self.creations.iter().filter(|(_, later)| later.called > made.since() && later.called < end);
        let mut windows = later.map(|(_, later)| (later.ready, later.called));
        windows.any(|(ready, called)| {
            self.invalidations().any(|invalidation| is_in_progress(invalidation, ready, called))
        })
    }

    fn invalidations(&self) -> impl Iterator<Item = &Operation> {
        let is_invalidation = |call| matches!(call, Call::Invalidate | Call::InvalidateSoft);
        self.writes.iter().copied().filter(move |write| is_invalidation(write.call))
    }

    /// Returns what made the value that `read` returned.
    pub(super) fn origin(&self, read: &Read<'_>) -> Option<&Made<'h>> {
        self.made.iter().find(|made| made.value == read.value)
    }
}

impl Made<'_> {
    /// Returns whether the call that made the value stores it.
    pub(super) fn is_cacheable(&self) -> bool {
        self.creation.is_none_or(|creation| creation.cacheable)
    }

    /// Returns whether the value is ruled out once `write` is over.
    pub(super) fn is_ruled_out_by(&self, write: &Operation) -> bool {
        match (self.creation, self.by.settled()) {
            // A creation that was dropped is stored before a newer write, or not at all.
            (Some(creation), _) if self.by.outcome == Outcome::Dropped => write.at_work > creation.called,
            // It may be stored at any later time.
            (_, None) => false,
            (Some(creation), Some(_)) => write.at_work > creation.called,
            (None, Some(set)) => write.begin > set,
        }
    }

    /// Returns the earliest moment from which a write may excuse that the value is missing.
    pub(super) fn since(&self) -> Moment {
        let own_creation = self.creation.filter(|_| !self.by.call.sees_old_values());
        own_creation.map_or(self.by.begin, |creation| creation.ready)
    }

    /// Returns whether `write` may excuse that the value is missing at `end`.
    pub(super) fn is_disturbed_by(&self, write: &Operation, end: Moment) -> bool {
        write.begin != self.by.begin && is_in_progress(write, self.since(), end)
    }
}

impl Read<'_> {
    /// Returns whether the call returns fresh values only.
    pub(super) fn is_fresh_only(&self) -> bool {
        self.by.call == Call::Get
    }

    /// Returns whether `write` was over when the call began.
    pub(super) fn is_after(&self, write: &Operation) -> bool {
        write.settled().is_some_and(|over| over < self.by.begin)
    }
}

/// Returns whether `write` may have been in progress at any moment from `since` until `end`.
fn is_in_progress(write: &Operation, since: Moment, end: Moment) -> bool {
    write.settled().unwrap_or(Moment::MAX) > since && write.begin < end
}
