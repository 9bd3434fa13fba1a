//! [`InHand`]: what a caller has while a task creates, and when it takes that.

use crate::decision::Reading;
use crate::engine::{Found, Settled};
use crate::outcome::Outcome;
use crate::policy::{OnStale, Policy};

/// What a caller has while a task creates.
pub(super) struct InHand<R> {
    /// What the caller gets without waiting.
    pub(super) at_once: Option<R>,
    /// What it gets after the `soft` limit.
    pub(super) stale: Option<R>,
    /// What it gets after the `hard` limit.
    pub(super) old: Option<R>,
}

impl<T: Clone> InHand<Vec<Settled<T>>> {
    /// Returns what a caller that read these values has under `policy`.
    pub(super) fn of(found: &[Found<T>], policy: &Policy) -> Self {
        let all = |accepts: fn(&Reading<T>) -> Option<(&T, Outcome)>| {
            let settled = |found: &Found<T>| {
                let (value, outcome) = accepts(&found.reading)?;
                Some(Settled {
                    value: value.clone(),
                    outcome: policy.outcome(outcome),
                    metadata: found.metadata.clone(),
                    is_stored: false,
                })
            };
            found.iter().map(settled).collect::<Option<Vec<_>>>()
        };
        let serves_all = policy.stale == OnStale::ServeAll;
        let at_once = if serves_all { all(stale) } else { all(fresh) };
        let stale = policy.stale_limit().and_then(|_| all(stale));
        let may_rescue = policy.fail_safe.is_on() && policy.creator_timeout.hard.is_some();
        InHand { at_once, stale, old: if may_rescue { all(old) } else { None } }
    }
}

impl<R> InHand<R> {
    pub(super) fn map<S>(self, map: impl Fn(R) -> S) -> InHand<S> {
        let InHand { at_once, stale, old } = self;
        InHand { at_once: at_once.map(&map), stale: stale.map(&map), old: old.map(&map) }
    }
}

fn fresh<T>(reading: &Reading<T>) -> Option<(&T, Outcome)> {
    match reading {
        Reading::Fresh(value) | Reading::Early(value) => Some((value, Outcome::Fresh)),
        _ => None,
    }
}

fn stale<T>(reading: &Reading<T>) -> Option<(&T, Outcome)> {
    if let Reading::Stale(value) = reading { Some((value, Outcome::Stale)) } else { fresh(reading) }
}

fn old<T>(reading: &Reading<T>) -> Option<(&T, Outcome)> {
    match reading {
        Reading::Stale(value) | Reading::Grace(value) => Some((value, Outcome::FailSafe)),
        other => fresh(other),
    }
}
