//! The reply of a statistics socket. `docs/observability.md` describes it, and its members are stable.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::engine::CreationInfo;
use crate::observe::{BackendStatistics, Histogram, RegionStatistics};
use crate::outage::BreakerState;

/// The version of the protocol. It changes if a member changes its meaning or is removed, and not if one is added.
const VERSION: u32 = 1;

/// What a region counted, and what it creates now.
pub(crate) struct RegionReading {
    pub(crate) statistics: RegionStatistics,
    pub(crate) creations: Vec<CreationInfo>,
}

/// Returns the reply of a process that opened its socket `uptime` ago.
pub(super) fn snapshot(program: &str, uptime: Duration, regions: &[RegionReading]) -> Value {
    let regions: Vec<Value> = regions.iter().map(region).collect();
    json!({
        "version": VERSION,
        "pid": std::process::id(),
        "program": program,
        "uptime_seconds": uptime.as_secs_f64(),
        "regions": regions,
    })
}

/// Returns the reply to a request that is not known.
pub(super) fn refusal(problem: &str) -> Value {
    json!({ "version": VERSION, "error": problem })
}

fn region(RegionReading { statistics, creations }: &RegionReading) -> Value {
    let requests: BTreeMap<&str, u64> = statistics.outcomes().into_iter().collect();
    let backends: Vec<Value> = statistics.backends.iter().map(backend).collect();
    json!({
        "region": statistics.region,
        "requests": requests,
        "failed_creations": statistics.failed_creations,
        "early_refreshes": statistics.early_refreshes,
        "not_stored": {
            "superseded": statistics.superseded,
            "lease_lost": statistics.lost_leases,
            "backend": statistics.not_stored,
            "serialization": statistics.not_serialized,
        },
        "creation": histogram(&statistics.creation),
        "wait": histogram(&statistics.wait),
        // Without keys, which may be personal data.
        "creations_in_progress": {
            "count": creations.len(),
            "waiters": creations.iter().map(|creation| creation.waiters).sum::<usize>(),
            "oldest_seconds": creations.iter().map(|creation| creation.age).max().map(|age| age.as_secs_f64()),
        },
        "backends": backends,
    })
}

fn backend(backend: &BackendStatistics) -> Value {
    let state = &backend.state;
    json!({
        "backend": backend.backend,
        "is_tier": backend.is_tier,
        "errors": backend.errors,
        "call": histogram(&backend.call),
        "breaker": breaker(state.breaker),
        "breaker_open_seconds": state.open_for.map(|open_for| open_for.as_secs_f64()),
        "last_error": state.last_error,
        "refused_calls": state.refused_calls,
        "dropped_writes": state.dropped_writes,
        "queued_deletions": state.queued_deletions,
        "replayed_deletions": state.replayed_deletions,
        "lost_deletions": state.lost_deletions,
    })
}

fn breaker(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed => "closed",
        BreakerState::Open => "open",
        BreakerState::HalfOpen => "half_open",
    }
}

fn histogram(histogram: &Histogram) -> Value {
    let filled = histogram.buckets().filter(|(_, count)| *count > 0);
    let buckets: Vec<Value> =
        filled.map(|(bound, count)| json!([bound.map(|bound| bound.as_secs_f64()), count])).collect();
    json!({ "count": histogram.count(), "sum_seconds": histogram.sum().as_secs_f64(), "buckets": buckets })
}
