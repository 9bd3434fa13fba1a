//! The log of failing backends. A breaker logs when it opens and closes, and all other events are bounded.

use std::fmt::Debug;
use std::time::Duration;

use dogpile_sdk::{BackendError, CreationTime, LogLimit, Suppressed};

use super::breaker::Change;
use crate::shorten::Shortened;

/// The target of these events.
pub(crate) const TARGET: &str = crate::log_targets::OUTAGE;

/// A failure of a backend: its error with all causes, and the server that failed.
#[derive(Clone, Debug, Default)]
pub(super) struct Failure {
    pub(super) error: String,
    pub(super) server: Option<String>,
}

impl Failure {
    pub(super) fn of(error: &BackendError) -> Self {
        Failure { error: format!("{error:#}"), server: error.server().map(str::to_owned) }
    }
}

/// A call that goes on without its backend.
pub(crate) struct DegradedCall<'a> {
    pub(crate) region: &'a str,
    pub(crate) operation: &'static str,
    /// The key or keys, unless the mutex of a key failed.
    pub(crate) key: Option<&'a dyn Debug>,
    pub(crate) error: &'a BackendError,
}

impl DegradedCall<'_> {
    pub(super) fn log(&self, backend: &str, suppressed: u64) {
        let DegradedCall { region, operation, key, error } = self;
        tracing::warn!(
            target: TARGET,
            backend,
            region,
            operation,
            key = key.map(|key| display(Shortened(key))),
            server = error.server(),
            error = format_args!("{error:#}"),
            suppressed,
            "a backend failed; the call goes on without it"
        );
    }
}

/// Something to log. It is logged without a lock, because a subscriber is foreign code that may use a region.
#[derive(Debug)]
pub(super) enum Event {
    Opened {
        failures: u32,
        suppressed: u64,
        last: Failure,
    },
    OpenedAgain,
    Closed {
        after: Duration,
        refused: u64,
        dropped: u64,
        queued: usize,
    },
    /// Deletions were lost.
    Lost {
        keys: usize,
        problem: String,
    },
    Replayed {
        keys: usize,
    },
}

impl Event {
    /// Logs the event of a backend, which `regions` use.
    pub(super) fn log(&self, backend: &str, regions: &str) {
        match self {
            Event::Opened { failures, suppressed, last: Failure { error, server } } => tracing::warn!(
                target: TARGET,
                backend,
                regions,
                failures,
                server,
                %error,
                suppressed,
                "the breaker of a backend opened; its calls fail at once until a probe succeeds"
            ),
            Event::OpenedAgain => {
                tracing::debug!(target: TARGET, backend, regions, "a probe of a backend failed; its breaker stays open");
            }
            Event::Closed { after, refused, dropped, queued } => tracing::info!(
                target: TARGET,
                backend,
                regions,
                ?after,
                refused_calls = refused,
                dropped_writes = dropped,
                queued_deletions = queued,
                "the breaker of a backend closed; its calls are made again"
            ),
            Event::Lost { keys, problem } => tracing::error!(
                target: TARGET,
                backend,
                regions,
                keys,
                %problem,
                "deletions were lost; this process ignores all values from before, and others may see the old ones"
            ),
            Event::Replayed { keys } => {
                tracing::info!(target: TARGET, backend, regions, keys, "a backend made the deletions that waited for it");
            }
        }
    }
}

/// Which changes of the breaker are logged: the first opening within ten seconds, and the closing after it.
#[derive(Debug, Default)]
pub(super) struct TransitionLog {
    limit: LogLimit,
    /// Whether the last opening was logged.
    is_told: bool,
}

impl TransitionLog {
    /// Returns how many openings were suppressed before, if this change is to be logged.
    pub(super) fn pass(&mut self, change: Change, now: CreationTime) -> Option<u64> {
        match change {
            Change::Opened => {
                let passed = self.limit.pass_at(now).map(Suppressed::count);
                self.is_told = passed.is_some();
                passed
            }
            Change::OpenedAgain => Some(0),
            Change::Closed => std::mem::take(&mut self.is_told).then_some(0),
        }
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use super::*;

    #[test]
    fn closing_is_logged_if_its_opening_was() {
        let (mut log, now) = (TransitionLog::default(), CreationTime::from_seconds(1000.0));
        let changes = [Change::Opened, Change::Closed, Change::Opened, Change::Closed];
        assert_eq!(changes.map(|change| log.pass(change, now)), [Some(0), Some(0), None, None]);
    }
}
