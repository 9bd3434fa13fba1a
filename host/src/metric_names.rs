//! The names of all metrics. They are stable: a name changes its meaning only with a new major version.
//!
//! [`prometheus_text`](crate::prometheus_text) and the exporter for the crate `metrics` use them. The exporter for
//! OpenTelemetry uses dots and no suffix, so that a Prometheus that reads from OpenTelemetry shows the same names.
//! `docs/observability.md` describes each metric.

/// Counter of requested keys. Labels: `region`, and `outcome`, which is the name of an ending.
pub const REQUESTS: &str = "dogpile_requests_total";
/// Counter of calls of creators that failed. Label: `region`.
pub const FAILED_CREATIONS: &str = "dogpile_failed_creations_total";
/// Counter of keys of fresh values that were created again early. Label: `region`.
pub const EARLY_REFRESHES: &str = "dogpile_early_refreshes_total";
/// Counter of created values that were not stored. Labels: `region`, and `reason`: `superseded`, `lease_lost`, `backend`, or
/// `serialization`.
pub const NOT_STORED: &str = "dogpile_not_stored_total";
/// Histogram of the time that creators ran, in seconds. Label: `region`.
pub const CREATION_DURATION: &str = "dogpile_creation_duration_seconds";
/// Histogram of the time that callers waited for others, in seconds. Label: `region`.
pub const WAIT_DURATION: &str = "dogpile_wait_duration_seconds";
/// Histogram of the time that calls of backends took, in seconds. Labels: `region` and `backend`.
pub const BACKEND_CALL_DURATION: &str = "dogpile_backend_call_duration_seconds";
/// Counter of calls of backends that failed. Labels: `region` and `backend`.
pub const BACKEND_ERRORS: &str = "dogpile_backend_errors_total";
/// Gauge: 1 while the breaker of a backend is not closed, and 0 otherwise. Labels: `region` and `backend`.
pub const BREAKER_OPEN: &str = "dogpile_breaker_open";

/// All names.
pub const ALL: [&str; 9] = [
    REQUESTS,
    FAILED_CREATIONS,
    EARLY_REFRESHES,
    NOT_STORED,
    CREATION_DURATION,
    WAIT_DURATION,
    BACKEND_CALL_DURATION,
    BACKEND_ERRORS,
    BREAKER_OPEN,
];
