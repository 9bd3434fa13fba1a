//! Operations for histories that are written by hand.

use super::super::operations::{Call, Creation, Key, Moment, Operation, Outcome, Value};

pub(super) fn get(begin: Moment, end: Moment, found: Option<Value>) -> Operation {
    ended(begin, end, Operation { found: vec![found], ..begun(Call::Get, begin) })
}

/// Returns a `get_or_create` that runs no creator.
pub(super) fn hit(begin: Moment, end: Moment, found: Value) -> Operation {
    ended(begin, end, Operation { found: vec![Some(found)], ..begun(Call::GetOrCreate, begin) })
}

pub(super) fn set(begin: Moment, end: Moment, value: Value) -> Operation {
    ended(begin, end, Operation { values: vec![value], ..begun(Call::Set, begin) })
}

pub(super) fn delete(begin: Moment, end: Moment) -> Operation {
    ended(begin, end, begun(Call::Delete, begin))
}

pub(super) fn invalidate(begin: Moment, end: Moment) -> Operation {
    ended(begin, end, begun(Call::Invalidate, begin).on([]))
}

pub(super) fn invalidate_soft(begin: Moment, end: Moment) -> Operation {
    ended(begin, end, begun(Call::InvalidateSoft, begin).on([]))
}

/// Returns a `get_or_create` that creates, with the first and the last moment of the creator.
pub(super) fn create(begin: Moment, end: Moment, creator: (Moment, Moment), value: Value) -> Operation {
    let mut operation = hit(begin, end, value);
    operation.creations.push(creation(0, creator, value));
    operation
}

/// Returns a `get_or_create_multi` that creates keys 0 and 1 at once.
pub(super) fn create_multi(
    begin: Moment,
    end: Moment,
    creator: (Moment, Moment),
    values: [Value; 2],
) -> Operation {
    let mut operation = create(begin, end, creator, values[0]).on([0, 1]);
    operation.creations = values.iter().zip(0..).map(|(value, key)| creation(key, creator, *value)).collect();
    operation.found = values.map(Some).into();
    operation
}

fn begun(call: Call, begin: Moment) -> Operation {
    Operation::begun(0, call, &[0], &[], begin)
}

fn ended(begin: Moment, end: Moment, operation: Operation) -> Operation {
    Operation { begin, end: Some(end), outcome: Outcome::Succeeded, ..operation }
}

fn creation(key: Key, (called, returned): (Moment, Moment), value: Value) -> Creation {
    Creation { key, ready: called, called, returned: Some(returned), value: Some(value), cacheable: true }
}

impl Operation {
    /// Returns the same operation on other keys.
    pub(super) fn on<const N: usize>(mut self, keys: [Key; N]) -> Self {
        self.keys = keys.into();
        let moved = self.creations.iter_mut().zip(keys);
        moved.for_each(|(creation, key)| creation.key = key);
        self
    }

    /// Returns the same write, seen in the store until `moment`.
    pub(super) fn in_store_until(self, moment: Moment) -> Self {
        Operation { at_work: moment, ..self }
    }

    /// Returns the same creation, last seen before its creator at `moment`.
    pub(super) fn ready_at(mut self, moment: Moment) -> Self {
        self.creations[0].ready = moment;
        self
    }

    /// Returns the same creation, of a value that is not cacheable.
    pub(super) fn uncacheable(mut self) -> Self {
        self.creations[0].cacheable = false;
        self
    }

    /// Returns the same creation, whose creator fails.
    pub(super) fn creator_failed(mut self) -> Self {
        self.creations[0].value = None;
        Operation { outcome: Outcome::CreatorFailed, found: Vec::new(), ..self }
    }

    /// Returns the same operation, which the store fails.
    pub(super) fn failed(self) -> Self {
        Operation { outcome: Outcome::Failed("the store is down".to_owned()), found: Vec::new(), ..self }
    }

    /// Returns the same operation, whose future was dropped at its end.
    pub(super) fn dropped(self) -> Self {
        Operation { outcome: Outcome::Dropped, found: Vec::new(), ..self }
    }

    /// Returns the same operation, before it ends.
    pub(super) fn unfinished(self) -> Self {
        Operation { outcome: Outcome::Unfinished, found: Vec::new(), end: None, ..self }
    }
}
