//! [`Request`]: the keys of a call, each of which gets one ending.

use std::fmt;

use super::event::EventKind;
use super::spans::Spans;
use super::watch::Watch;
use crate::outcome::Outcome;

/// The keys of a call that did not end with a hit at once. Dropped without an ending, the call was canceled.
#[must_use = "a request that is dropped counts as canceled"]
pub(crate) struct Request<'w>(Option<Open<'w>>);

struct Open<'w> {
    watch: &'w Watch,
    keys: &'w [&'w str],
    spans: Option<Spans>,
}

impl<'w> Request<'w> {
    /// Begins a call.
    pub(crate) fn new(watch: &'w Watch, keys: &'w [&'w str]) -> Self {
        Request(watch.is_on().then_some(Open { watch, keys, spans: None }))
    }

    /// Begins the spans of a call with a creator, once the call has read its keys and not found all of them fresh.
    pub(crate) fn begin_spans(&mut self) -> Option<Spans> {
        let open = self.0.as_mut()?;
        open.spans = open.watch.begin(open.keys);
        open.spans.clone()
    }

    /// Ends each key with its outcome.
    pub(crate) fn served(mut self, outcomes: impl IntoIterator<Item = Outcome>) {
        let Some(Open { watch, keys, spans }) = self.0.take() else { return };
        let mut whole = EventKind::Hit;
        for (key, outcome) in keys.iter().zip(outcomes) {
            let ending = ending(outcome);
            if let EventKind::Hit = whole {
                whole = ending;
            }
            watch.note(&[key], ending);
        }
        if let Some(spans) = spans {
            spans.end(&whole);
        }
    }

    /// Ends each key of a call that does not create: with the outcome of its value, or without a value.
    pub(crate) fn read(mut self, found: impl IntoIterator<Item = Option<Outcome>>) {
        let Some(Open { watch, keys, .. }) = self.0.take() else { return };
        for (key, outcome) in keys.iter().zip(found) {
            watch.note(&[key], outcome.map_or(EventKind::Miss, ending));
        }
    }

    /// Ends all keys with an error.
    pub(crate) fn failed(mut self, error: &dyn fmt::Display, is_timeout: bool) {
        self.end(if is_timeout { EventKind::TimedOut { error } } else { EventKind::Failed { error } });
    }

    fn end(&mut self, ending: EventKind<'_>) {
        let Some(Open { watch, keys, spans }) = self.0.take() else { return };
        watch.note(keys, ending);
        if let Some(spans) = spans {
            spans.end(&ending);
        }
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        self.end(EventKind::Canceled);
    }
}

fn ending(outcome: Outcome) -> EventKind<'static> {
    match outcome {
        Outcome::Fresh => EventKind::Hit,
        Outcome::Stale => EventKind::StaleServed,
        Outcome::Created => EventKind::Created,
        Outcome::Waited => EventKind::Waited,
        Outcome::FailSafe => EventKind::FailSafe,
        Outcome::Degraded => EventKind::Degraded,
    }
}
