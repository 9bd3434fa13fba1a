//! [`MetricsObserver`]: passes events on to the crate metrics.

use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram};
use metrics::{Unit, gauge, histogram};

use super::breaker_seen::BreakerSeen;
use crate::metric_names::{
    BACKEND_CALL_DURATION, BACKEND_ERRORS, BREAKER_OPEN, CREATION_DURATION, EARLY_REFRESHES,
    FAILED_CREATIONS, NOT_STORED, REQUESTS, WAIT_DURATION,
};
use crate::observe::{Event, EventKind, Observer};
use crate::outage::BreakerState;

/// The endings, by their names. The first one is that of hits.
const ENDINGS: [&str; 10] = [
    "hit",
    "stale_served",
    "created",
    "waited",
    "fail_safe",
    "degraded",
    "miss",
    "failed",
    "timed_out",
    "canceled",
];

/// Passes events on to the recorder of the crate [metrics](https://docs.rs/metrics), version 0.24.
///
/// The names are those of [`metric_names`](crate::metric_names). Install the recorder before regions are configured, because a
/// region keeps its handles.
///
/// ```
/// use std::sync::Arc;
///
/// use dogpile::{CacheRegion, MetricsObserver, RegionConfig};
///
/// let region = CacheRegion::new("prices");
/// region.configure(RegionConfig::new("dogpile.cache.memory").observer(Arc::new(MetricsObserver::new())))?;
/// # Ok::<(), dogpile::RegionError>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct MetricsObserver {}

impl MetricsObserver {
    /// Creates an observer, and describes all metrics to the recorder.
    #[allow(clippy::new_without_default, reason = "it has an effect on the recorder")]
    pub fn new() -> Self {
        describe_counter!(REQUESTS, "Requested keys, by how their calls ended.");
        describe_counter!(FAILED_CREATIONS, "Calls of creators that failed.");
        describe_counter!(EARLY_REFRESHES, "Fresh values that were created again early.");
        describe_counter!(NOT_STORED, "Created values that were not stored.");
        describe_histogram!(CREATION_DURATION, Unit::Seconds, "How long creators ran.");
        describe_histogram!(WAIT_DURATION, Unit::Seconds, "How long callers waited for others.");
        describe_histogram!(BACKEND_CALL_DURATION, Unit::Seconds, "How long calls of backends took.");
        describe_counter!(BACKEND_ERRORS, "Calls of backends that failed.");
        describe_gauge!(BREAKER_OPEN, "1 while the breaker of a backend is not closed.");
        MetricsObserver {}
    }
}

impl Observer for MetricsObserver {
    fn for_region(&self, region: &str, backend: &str) -> Option<Arc<dyn Observer>> {
        Some(Arc::new(RegionMetrics::new(region, backend)))
    }
}

/// The handles of a region.
struct RegionMetrics {
    requests: [Counter; ENDINGS.len()],
    failed_creations: Counter,
    early_refreshes: Counter,
    superseded: Counter,
    lost_leases: Counter,
    not_stored: Counter,
    not_serialized: Counter,
    creation: Histogram,
    wait: Histogram,
    backend_call: Histogram,
    backend_errors: Counter,
    breaker_open: Gauge,
    breaker: BreakerSeen,
}

impl RegionMetrics {
    fn new(region: &str, backend: &str) -> Self {
        let (region, backend) = (region.to_owned(), backend.to_owned());
        let not_stored =
            |reason: &'static str| counter!(NOT_STORED, "region" => region.clone(), "reason" => reason);
        let breaker_open = gauge!(BREAKER_OPEN, "region" => region.clone(), "backend" => backend.clone());
        let breaker = BreakerSeen::new("metrics", &region, &backend);
        let metrics = RegionMetrics {
            requests: ENDINGS
                .map(|ending| counter!(REQUESTS, "region" => region.clone(), "outcome" => ending)),
            failed_creations: counter!(FAILED_CREATIONS, "region" => region.clone()),
            early_refreshes: counter!(EARLY_REFRESHES, "region" => region.clone()),
            superseded: not_stored("superseded"),
            lost_leases: not_stored("lease_lost"),
            not_stored: not_stored("backend"),
            not_serialized: not_stored("serialization"),
            creation: histogram!(CREATION_DURATION, "region" => region.clone()),
            wait: histogram!(WAIT_DURATION, "region" => region.clone()),
            backend_call: histogram!(BACKEND_CALL_DURATION, "region" => region.clone(), "backend" => backend.clone()),
            backend_errors: counter!(BACKEND_ERRORS, "region" => region.clone(), "backend" => backend.clone()),
            breaker_open,
            breaker,
        };
        metrics.show_breaker(false);
        metrics
    }

    fn show_breaker(&self, is_open: bool) {
        self.breaker.show(is_open, |is_open| self.breaker_open.set(f64::from(u8::from(is_open))));
    }
}

/// The region was dropped or configured again. A breaker that it saw is not shown as open any more.
impl Drop for RegionMetrics {
    fn drop(&mut self) {
        self.show_breaker(false);
    }
}

impl std::fmt::Debug for RegionMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegionMetrics").finish_non_exhaustive()
    }
}

impl Observer for RegionMetrics {
    fn wants_hits(&self) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>) {
        let keys = event.keys.len() as u64;
        match event.kind {
            EventKind::Hit => self.requests[0].increment(keys),
            EventKind::Creation { took, succeeded } => {
                self.creation.record(took.as_secs_f64());
                self.failed_creations.increment(u64::from(!succeeded));
            }
            EventKind::Wait { took } => self.wait.record(took.as_secs_f64()),
            EventKind::Early => self.early_refreshes.increment(keys),
            EventKind::Superseded => self.superseded.increment(keys),
            EventKind::LeaseLost => self.lost_leases.increment(keys),
            EventKind::NotStored => self.not_stored.increment(keys),
            EventKind::NotSerialized => self.not_serialized.increment(keys),
            EventKind::BackendCall { took, error, .. } => {
                if let Some(took) = took {
                    self.backend_call.record(took.as_secs_f64());
                }
                self.backend_errors.increment(u64::from(error.is_some()));
            }
            EventKind::Breaker { state, .. } => self.show_breaker(state != BreakerState::Closed),
            ending => {
                let place = ENDINGS.iter().position(|name| *name == ending.name());
                if let Some(requests) = place.map(|place| &self.requests[place]) {
                    requests.increment(keys);
                }
            }
        }
    }
}
