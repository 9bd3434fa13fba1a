//! [`History`]: the calls that threads made, the results of the region, and the creators that ran.
//!
//! All moments are numbers of one counter, from which every event takes the next number. A smaller number therefore
//! means an earlier moment in real time, whatever the machine's clocks show.

use std::fmt;

/// A moment: the number that one event took from the counter.
pub(crate) type Moment = u64;

/// A key of a round: its number.
pub(crate) type Key = usize;

/// What is stored under a key. No two writes or creations of a history make the same value.
pub(crate) type Value = u64;

/// The operations of one round, in any order.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// The operations.
    pub(crate) operations: Vec<Operation>,
    /// Whether the store may drop values on its own.
    pub(crate) evicts: bool,
}

/// One call of the region.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    /// The thread or task that made the call.
    pub(crate) thread: usize,
    /// The method that was called.
    pub(crate) call: Call,
    /// Whether its creation goes on without the call.
    pub(crate) detached: bool,
    /// The keys it was called with. Invalidations have none, and concern every key.
    pub(crate) keys: Vec<Key>,
    /// For `set`: the value of each key.
    pub(crate) values: Vec<Value>,
    /// A moment before the call.
    pub(crate) begin: Moment,
    /// The latest moment at which a write was seen in the store. The write is in progress from a moment after
    /// `begin` until after this one.
    pub(crate) at_work: Moment,
    /// A moment after the call; `None` while it runs.
    pub(crate) end: Option<Moment>,
    /// How the call ended.
    pub(crate) outcome: Outcome,
    /// For a read that succeeded: the value of each key.
    pub(crate) found: Vec<Option<Value>>,
    /// The creators that the call ran.
    pub(crate) creations: Vec<Creation>,
}

/// A method of the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Get,
    Set,
    Delete,
    GetOrCreate,
    GetOrCreateWith,
    Invalidate,
    InvalidateSoft,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It has not ended.
    Unfinished,
    /// It succeeded.
    Succeeded,
    /// Its own creator failed.
    CreatorFailed,
    /// Its future was dropped. A write may take effect at any later time, and a creation may be stored.
    Dropped,
    /// The region or the store failed. A write that failed may take effect at any later time.
    Failed(String),
}

/// One run of a creator, for one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Creation {
    /// The key.
    pub(crate) key: Key,
    /// The latest moment before the call of the creator at which its operation was seen in the store.
    pub(crate) ready: Moment,
    /// The first moment in the creator.
    pub(crate) called: Moment,
    /// The last moment in the creator; `None` while it runs.
    pub(crate) returned: Option<Moment>,
    /// What it made; `None` if it failed.
    pub(crate) value: Option<Value>,
    /// Whether the call wants the value to be stored.
    pub(crate) cacheable: bool,
}

impl Call {
    /// Returns whether the call changes the values in the store, or which of them are valid.
    pub(crate) fn writes(self) -> bool {
        matches!(self, Call::Set | Call::Delete | Call::Invalidate | Call::InvalidateSoft)
    }

    /// Returns whether its creator sees the old value, so that a write since that value was read supersedes the
    /// creation.
    pub(crate) fn sees_old_values(self) -> bool {
        self == Call::GetOrCreateWith
    }

    fn name(self) -> &'static str {
        match self {
            Call::Get => "get",
            Call::Set => "set",
            Call::Delete => "delete",
            Call::GetOrCreate => "get_or_create",
            Call::GetOrCreateWith => "get_or_create_with",
            Call::Invalidate => "invalidate",
            Call::InvalidateSoft => "invalidate_soft",
        }
    }
}

impl Operation {
    /// An operation that has just begun.
    pub(crate) fn begun(thread: usize, call: Call, keys: &[Key], values: &[Value], begin: Moment) -> Self {
        Operation {
            thread,
            call,
            detached: false,
            keys: keys.to_vec(),
            values: values.to_vec(),
            begin,
            at_work: begin,
            end: None,
            outcome: Outcome::Unfinished,
            found: Vec::new(),
            creations: Vec::new(),
        }
    }

    /// Returns whether it reads, writes, or invalidates `key`.
    pub(crate) fn concerns(&self, key: Key) -> bool {
        self.keys.is_empty() || self.keys.contains(&key)
    }

    /// Returns the last moment of the operation, if its effects end with it.
    pub(crate) fn settled(&self) -> Option<Moment> {
        match self.outcome {
            Outcome::Succeeded | Outcome::CreatorFailed => self.end,
            Outcome::Unfinished | Outcome::Dropped | Outcome::Failed(_) => None,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.end.map_or_else(|| "…".to_owned(), |end| end.to_string());
        write!(f, "[{}–{end}] thread {}: {}", self.begin, self.thread, self.call.name())?;
        let multi = if self.keys.len() > 1 { "_multi" } else { "" };
        let values =
            self.values.iter().map(|value| format!("={value}")).chain(std::iter::repeat(String::new()));
        let keys: Vec<String> =
            self.keys.iter().zip(values).map(|(key, value)| format!("k{key}{value}")).collect();
        write!(f, "{multi}({})", keys.join(", "))?;
        if self.detached {
            f.write_str(", detached")?;
        }
        if self.call.writes() && self.at_work > self.begin {
            write!(f, ", in the store until {}", self.at_work)?;
        }
        self.creations.iter().try_for_each(|creation| write!(f, ", {creation}"))?;
        match &self.outcome {
            Outcome::Unfinished => f.write_str(" has not returned"),
            Outcome::CreatorFailed => f.write_str(" -> creator error"),
            Outcome::Dropped => f.write_str(" was dropped"),
            Outcome::Failed(why) => write!(f, " -> failed: {why}"),
            Outcome::Succeeded if self.call.writes() => Ok(()),
            Outcome::Succeeded => write!(f, " -> {}", spelled(&self.found)),
        }
    }
}

impl fmt::Display for Creation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let returned = self.returned.map_or_else(|| "…".to_owned(), |returned| returned.to_string());
        write!(f, "creator of k{} [{}–{returned}]", self.key, self.called)?;
        match self.value {
            None => Ok(()),
            Some(value) if self.cacheable => write!(f, " made {value}"),
            Some(value) => write!(f, " made {value}, which is not cacheable"),
        }
    }
}

fn spelled(found: &[Option<Value>]) -> String {
    let spell = |found: &Option<Value>| found.map_or_else(|| "None".to_owned(), |value| value.to_string());
    found.iter().map(spell).collect::<Vec<_>>().join(", ")
}
