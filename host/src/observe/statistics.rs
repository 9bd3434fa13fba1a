//! [`RegionStatistics`]: what a region counted so far.

use super::counter::{COUNTERS, Counter};
use super::histogram::Histogram;
use super::recorder::Recorder;
use crate::outage::BackendState;

/// What a region counted since it was configured with [`statistics`](crate::RegionConfig::statistics).
///
/// [`CacheRegion::statistics`](crate::CacheRegion::statistics) returns it. The first ten counters count *requests*: each key of
/// each call that reads is counted by exactly one of them, when the call ends. A `get_or_create_multi` counts each key once,
/// even if it was given twice. `set` and `delete` are calls of the backend only.
///
/// Counters grow as long as the process runs, also when the region gets another backend. A forked child begins with the
/// counts of its parent. Counts of calls that end while the statistics are read may be missing in some of the counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegionStatistics {
    /// The name of the region.
    pub region: String,

    /// Requests that found a fresh value.
    pub fresh_hits: u64,
    /// Requests that got a stale value.
    ///
    /// Another caller or a runner creates a new one, or the creator was too slow.
    pub stale_hits: u64,
    /// Requests whose own creator made the value.
    pub created: u64,
    /// Requests that got the value of another caller, for which they waited.
    pub waited: u64,
    /// Requests that got an old value because a creator failed or was too slow.
    pub fail_safe: u64,
    /// Requests that got a value without the backend, which failed.
    ///
    /// They created the value, or got one that was created a moment ago. The rule is the same for all forms of calls.
    pub degraded: u64,
    /// Requests of `get` that found no value to return, also because the backend failed.
    pub not_found: u64,
    /// Requests that returned an error.
    pub failed: u64,
    /// Requests that failed because a creator, or the wait for one, took too long.
    pub timed_out: u64,
    /// Requests that were dropped before their end, or panicked.
    pub canceled: u64,

    /// Calls of creators that failed or panicked, whatever their callers got.
    pub failed_creations: u64,
    /// Keys of fresh values for which an early refresh began.
    pub early_refreshes: u64,
    /// Created values that were not stored because their keys were set or deleted meanwhile.
    pub superseded: u64,
    /// Created values that were not stored because the locks of their creators had expired.
    pub lost_leases: u64,
    /// Created values that were not stored because the backend failed or rejected them.
    pub not_stored: u64,
    /// Created values that were not stored because they cannot be serialized.
    pub not_serialized: u64,

    /// How long creators ran, including those that failed and those of runners. One entry for each call of a creator.
    pub creation: Histogram,
    /// How long callers waited for other callers of this process. Waits that were canceled are missing.
    pub wait: Histogram,
    /// The local tiers, the uppermost first, and then the backend.
    pub backends: Vec<BackendStatistics>,
}

/// What a region counted about one of its backends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackendStatistics {
    /// The entry point of the backend, or the first word of an instance's debug form.
    pub backend: String,
    /// Whether the backend is a local tier above another one.
    pub is_tier: bool,
    /// Calls that failed. Those that were not made because the breaker was open are counted in `state`.
    pub errors: u64,
    /// How long calls took, including those that failed. Calls of a backend that never blocks are not timed, and neither are
    /// waits for the locks of other processes.
    pub call: Histogram,
    /// The state of the breaker, and what could not be written. All regions over one store share it.
    pub state: BackendState,
}

impl RegionStatistics {
    pub(crate) fn new(region: &str, recorder: &Recorder, backends: Vec<BackendStatistics>) -> Self {
        let counts: [u64; COUNTERS] = recorder.counts();
        let count = |counter: Counter| counts[counter as usize];
        RegionStatistics {
            region: region.to_owned(),
            fresh_hits: count(Counter::FreshHits),
            stale_hits: count(Counter::StaleHits),
            created: count(Counter::Created),
            waited: count(Counter::Waited),
            fail_safe: count(Counter::FailSafe),
            degraded: count(Counter::Degraded),
            not_found: count(Counter::NotFound),
            failed: count(Counter::Failed),
            timed_out: count(Counter::TimedOut),
            canceled: count(Counter::Canceled),
            failed_creations: count(Counter::FailedCreations),
            early_refreshes: count(Counter::EarlyRefreshes),
            superseded: count(Counter::Superseded),
            lost_leases: count(Counter::LostLeases),
            not_stored: count(Counter::NotStored),
            not_serialized: count(Counter::NotSerialized),
            creation: recorder.creations(),
            wait: recorder.waits(),
            backends,
        }
    }

    /// Returns the number of requests: the sum of the first ten counters.
    pub fn requests(&self) -> u64 {
        self.outcomes().iter().map(|(_, count)| count).sum()
    }

    /// Returns how many requests ended in each way, by the name in metrics.
    pub fn outcomes(&self) -> [(&'static str, u64); 10] {
        [
            ("hit", self.fresh_hits),
            ("stale_served", self.stale_hits),
            ("created", self.created),
            ("waited", self.waited),
            ("fail_safe", self.fail_safe),
            ("degraded", self.degraded),
            ("miss", self.not_found),
            ("failed", self.failed),
            ("timed_out", self.timed_out),
            ("canceled", self.canceled),
        ]
    }

    /// Returns the number of requests that found no fresh or stale value to return.
    pub fn misses(&self) -> u64 {
        self.requests().saturating_sub(self.fresh_hits + self.stale_hits)
    }

    /// Returns the share of requests that were hits, fresh or stale.
    ///
    /// Returns `None` if there was no request.
    pub fn hit_ratio(&self) -> Option<f64> {
        let (hits, requests) = (self.fresh_hits + self.stale_hits, self.requests());
        (requests > 0).then(|| hits as f64 / requests as f64)
    }

    /// Returns how many calls of creators the dogpile lock saved.
    ///
    /// These are the requests that waited and got the value of another caller. Requests that got an old value meanwhile are
    /// [hits](Self::hit_ratio). `dogpile top` shows the rate as `saved/s`.
    pub fn waiters_saved(&self) -> u64 {
        self.waited
    }
}
