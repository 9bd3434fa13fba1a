//! [`BackendState`]: what a region reports about its backend.

use std::time::Duration;

use super::breaker::BreakerState;

/// The state of a backend, as this process sees it. All regions over one store share it.
///
/// [`CacheRegion::backend_state`](crate::CacheRegion::backend_state) returns it. Counts begin with the process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackendState {
    /// The state of the breaker. It is always closed if no breaker is configured.
    pub breaker: BreakerState,
    /// How long the breaker has not been closed, if it is not.
    pub open_for: Option<Duration>,
    /// The number of consecutive calls that failed because the backend was unreachable or too slow.
    pub consecutive_failures: u32,
    /// The last such failure, with its causes.
    pub last_error: Option<String>,
    /// The number of calls that failed at once, because the breaker was open.
    pub refused_calls: u64,
    /// The number of values that were not stored under `on_backend_failure = "degrade"`.
    pub dropped_writes: u64,
    /// The number of keys that the backend has still to delete. Reads of them are misses.
    pub queued_deletions: usize,
    /// The number of queued deletions that the backend made later.
    pub replayed_deletions: u64,
    /// The number of deletions that could not be queued or were rejected by the backend.
    ///
    /// After such a loss, this process treats every value made before it as missing. Other processes may still see the
    /// old values.
    pub lost_deletions: u64,
}
