//! Regions with exporters.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Once};

use dogpile::{MetricsObserver, OpenTelemetryObserver, RegionConfig};
use dogpile_benches::linked_config;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use opentelemetry::global;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};

/// Counts in atomics, as the exporter for Prometheus does.
struct Atomics;

impl Recorder for Atomics {
    fn describe_counter(&self, _key: KeyName, _unit: Option<Unit>, _description: SharedString) {}

    fn describe_gauge(&self, _key: KeyName, _unit: Option<Unit>, _description: SharedString) {}

    fn describe_histogram(&self, _key: KeyName, _unit: Option<Unit>, _description: SharedString) {}

    fn register_counter(&self, _key: &Key, _metadata: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(AtomicU64::new(0)))
    }

    fn register_gauge(&self, _key: &Key, _metadata: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::new(AtomicU64::new(0)))
    }

    fn register_histogram(&self, _key: &Key, _metadata: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

pub(super) fn regions() -> Vec<(&'static str, RegionConfig)> {
    static ONCE: Once = Once::new();

    ONCE.call_once(|| {
        // Nothing else in this program sets one.
        let _ = metrics::set_global_recorder(Atomics);
        let reader = PeriodicReader::builder(InMemoryMetricExporter::default()).build();
        global::set_meter_provider(SdkMeterProvider::builder().with_reader(reader).build());
    });
    vec![
        ("exporter: metrics", linked_config().observer(Arc::new(MetricsObserver::new()))),
        ("exporter: opentelemetry", linked_config().observer(Arc::new(OpenTelemetryObserver::new()))),
    ]
}
