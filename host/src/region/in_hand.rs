//! [`InHand`]: what a caller has while a task creates, and when it takes that.

use crate::decision::Reading;
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

impl<T: Clone> InHand<Vec<T>> {
    /// Returns what a caller has that read these values and goes by `policy`.
    pub(super) fn of(readings: &[Reading<T>], policy: &Policy) -> Self {
        let all = |accepts: fn(&Reading<T>) -> Option<&T>| {
            readings.iter().map(|reading| accepts(reading).cloned()).collect::<Option<Vec<T>>>()
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

fn fresh<T>(reading: &Reading<T>) -> Option<&T> {
    if let Reading::Fresh(value) | Reading::Early(value) = reading { Some(value) } else { None }
}

fn stale<T>(reading: &Reading<T>) -> Option<&T> {
    if let Reading::Stale(value) = reading { Some(value) } else { fresh(reading) }
}

fn old<T>(reading: &Reading<T>) -> Option<&T> {
    if let Reading::Grace(value) = reading { Some(value) } else { stale(reading) }
}
