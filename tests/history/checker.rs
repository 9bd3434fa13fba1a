//! [`check`]: compares a history with what a region promises.
//!
//! The checker knows only the moments before and after each call, the moments inside creators, and the moments inside
//! the store. Between them it assumes the order that excuses the region. A violation is therefore never a matter of
//! timing, because no order of the effects explains the results.
//!
//! Two terms recur. A value is *made* by a `set` or by a creator. A *write* is a `set`, a `delete`, or an invalidation.
//! A write is *over* once its call has returned; a write that failed or was dropped is never over, because the store may
//! apply it at any later time.
//!
//! 1. [`Rule::Origin`]: a call returns only values that were made for the requested key. The `set` began, or the
//!    creator returned, before the call ended. A value that is not cacheable is returned only by the call that created
//!    it and by calls that began before that call ended, and never by `get`.
//! 2. [`Rule::Superseded`]: a call never returns a value that a `set` or `delete` superseded before the call began.
//!    * A created value is superseded by every write that was in progress at any moment after its creator was called.
//!      If the write came before the store, the creation stores nothing; if it came after it, it wins anyway.
//!      "In progress" is what is certain: the write began after the creator was called, or it was seen in the
//!      store after that.
//!      The same holds if the call of the creation was dropped: its value is stored before the write, or not at all.
//!    * A value that was `set` is superseded by every write that began after that `set` had returned. Of two writes at
//!      the same time, either may win.
//! 3. [`Rule::Invalidated`]: a call never returns a value that an invalidation ruled out before the call began.
//!    An invalidation rules out created values whose creator was called before the invalidation began, and `set` values
//!    whose `set` had returned by then. A hard invalidation rules them out for every call, a soft one only for
//!    `get`, because `get_or_create` may serve stale values. [`Rule::Weakened`] is the same for a `get_or_create` that
//!    returned such a value after a soft invalidation that came after, or together with, the hard one.
//! 4. [`Rule::Lost`]: a value that was stored is there. After a call that made and stored a value, a read that finds
//!    nothing is a violation if no write of the key was in progress between the call of the creator (or the
//!    beginning of the `set`) and the end of the read. A `delete` that was over when the creator was called does
//!    not excuse it. The moment that counts is the last one before the creator at which its call was in the store, because
//!    the thread may be held up between what the region notes before it calls a creator and the creator itself.
//!    For the same reason, a later creation may replace the value by one that an invalidation of just that time rules
//!    out.
//!    A call of a creator is such a read too: its call began, read, and found nothing. Stores that evict are exempt.
//! 5. [`Rule::Exclusion`]: the creators of one key run one at a time in this process.
//! 6. [`Rule::Hang`]: every call returns.
//!
//! What the waiters of a creation receive needs no exception. A waiter came before the creation ended, and a write that
//! is over when a call begins rules a value out only for calls that come later.

#[path = "checker/rules.rs"]
mod rules;
#[path = "checker/timeline.rs"]
mod timeline;

use std::collections::BTreeSet;
use std::fmt;

use self::timeline::Timeline;
use super::operations::{History, Key, Moment, Operation, Outcome};

/// A promise of the region. See the module documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    Hang,
    Origin,
    Superseded,
    Weakened,
    Invalidated,
    Lost,
    Exclusion,
}

/// A promise that was broken, with the operations that show it.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    /// The promise.
    pub(crate) rule: Rule,
    /// What happened, in one sentence.
    pub(crate) what: String,
    /// Operations on the key, and whether each is part of the proof.
    operations: Vec<(bool, Operation)>,
}

/// Checks a history.
///
/// # Errors
/// The first violation.
pub(crate) fn check(history: &History) -> Result<(), Violation> {
    violations(history).into_iter().next().map_or(Ok(()), Err)
}

/// Returns all violations of a history, ordered by rule.
pub(crate) fn violations(history: &History) -> Vec<Violation> {
    let keys: BTreeSet<Key> =
        history.operations.iter().flat_map(|operation| operation.keys.clone()).collect();
    let mut violations = hangs(history);
    for key in keys {
        violations.extend(rules::violations(&Timeline::of(history, key)));
    }
    violations.sort_by_key(|violation| violation.rule);
    violations
}

fn hangs(history: &History) -> Vec<Violation> {
    let hanging = history.operations.iter().filter(|operation| operation.outcome == Outcome::Unfinished);
    let report = |operation: &Operation| Violation {
        rule: Rule::Hang,
        what: "a call does not return".to_owned(),
        operations: vec![(true, operation.clone())],
    };
    hanging.map(report).collect()
}

impl Violation {
    /// Returns the violation that `culprits` show. The explanation also has the writes and creations of the same
    /// time.
    fn new(rule: Rule, timeline: &Timeline<'_>, what: String, culprits: &[&Operation]) -> Self {
        let first = culprits.iter().map(|culprit| culprit.begin).min().unwrap_or(0);
        let last = culprits.iter().map(|culprit| end(culprit)).max().unwrap_or(Moment::MAX);
        let is_culprit =
            |operation: &Operation| culprits.iter().any(|culprit| culprit.begin == operation.begin);
        let explains = |operation: &Operation| {
            let changes =
                operation.call.writes() || operation.creations.iter().any(|made| made.key == timeline.key);
            is_culprit(operation) || (changes && operation.begin <= last && end(operation) >= first)
        };
        let nearby = timeline.operations.iter().filter(|operation| explains(operation));
        let mut operations: Vec<_> =
            nearby.map(|&operation| (is_culprit(operation), operation.clone())).collect();
        operations.sort_by_key(|(_, operation)| operation.begin);
        Violation { rule, what, operations }
    }

    /// Whether an operation for which `holds` is part of the proof.
    pub(crate) fn is_shown_by(&self, holds: impl Fn(&Operation) -> bool) -> bool {
        self.operations.iter().any(|(culprit, operation)| *culprit && holds(operation))
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.what)?;
        self.operations.iter().try_for_each(|(culprit, operation)| {
            let mark = if *culprit { '>' } else { ' ' };
            write!(f, "\n{mark} {operation}")
        })
    }
}

fn end(operation: &Operation) -> Moment {
    operation.end.unwrap_or(Moment::MAX)
}
