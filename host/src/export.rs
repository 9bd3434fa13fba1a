//! Observers that pass events on to other crates.

mod breaker_seen;
#[cfg(feature = "metrics")]
mod metrics_observer;
#[cfg(feature = "opentelemetry")]
mod opentelemetry_observer;

#[cfg(feature = "metrics")]
pub use self::metrics_observer::MetricsObserver;
#[cfg(feature = "opentelemetry")]
pub use self::opentelemetry_observer::OpenTelemetryObserver;
