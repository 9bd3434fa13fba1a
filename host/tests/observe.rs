//! What regions count, and what they report to observers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "observe/backend.rs"]
mod backend;
#[path = "observe/counts.rs"]
mod counts;
#[path = "observe/degraded.rs"]
mod degraded;
#[path = "observe/events.rs"]
mod events;
#[path = "observe/load.rs"]
mod load;
#[path = "observe/log_targets.rs"]
mod log_targets;
#[path = "observe/metrics.rs"]
mod metrics;
#[path = "observe/outcomes.rs"]
mod outcomes;
#[path = "observe/reconfigured.rs"]
mod reconfigured;
#[path = "observe/setup.rs"]
mod setup;
#[path = "observe/spans.rs"]
mod spans;
#[path = "observe/stored.rs"]
mod stored;
