//! [`Retries`]: the rules for retrying failed operations.

use std::time::{Duration, Instant};

use serde::Deserialize;

/// A kind of failure that may be retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The server could not be reached, or closed the connection.
    Unavailable,
    /// The server did not reply in time.
    Timeout,
}

/// The rules for retrying failed operations.
#[derive(Clone, Debug)]
pub(crate) struct Retries {
    pub(crate) attempts: u32,
    pub(crate) delay: Duration,
    pub(super) only: Option<Vec<Failure>>,
    pub(super) never: Vec<Failure>,
}

impl Retries {
    /// Returns the deadline of an attempt after `made` others, which leaves time for the next ones.
    pub(crate) fn share(&self, deadline: Instant, made: u32) -> Instant {
        let left = self.attempts.saturating_sub(made);
        if left <= 1 {
            return deadline;
        }
        let now = Instant::now();
        now + deadline.saturating_duration_since(now) / left
    }

    /// Returns whether an operation that failed in this way is retried.
    pub(crate) fn allow(&self, failure: Failure) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&failure)) && !self.never.contains(&failure)
    }
}
