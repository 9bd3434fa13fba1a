//! What OpenTelemetry gets, with the feature `opentelemetry`.
//!
//! One test, because the providers are those of the process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dogpile::{
    CacheRegion, Creation, ManualClock, OpenTelemetryObserver, RegionConfig, Runner, metric_names,
};
use opentelemetry::global;
use opentelemetry::trace::{SpanId, Status, Tracer};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};

/// Runs each creation at once, on a thread of its own.
#[derive(Debug)]
struct Inline;

impl Runner for Inline {
    fn run(&self, creation: Creation) {
        std::thread::spawn(|| creation.run()).join().unwrap();
    }
}

fn attribute(span: &SpanData, name: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == name);
    found.map(|attribute| attribute.value.to_string()).unwrap_or_default()
}

fn query() -> i32 {
    global::tracer("database").in_span("query", |_| 1)
}

/// Returns the name of a metric as a Prometheus that reads from OpenTelemetry shows it.
fn in_prometheus(name: &str) -> String {
    let name = name.replace('.', "_");
    match metric_names::ALL.iter().find(|known| **known == format!("{name}_total")) {
        Some(counter) => (*counter).to_owned(),
        None if name.ends_with("_duration") => format!("{name}_seconds"),
        None => name,
    }
}

#[test]
fn spans_have_outcome_and_cause_and_metrics_have_stable_names() {
    let spans = InMemorySpanExporter::default();
    global::set_tracer_provider(SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build());
    let exporter = InMemoryMetricExporter::default();
    let provider =
        SdkMeterProvider::builder().with_reader(PeriodicReader::builder(exporter.clone()).build()).build();
    global::set_meter_provider(provider.clone());

    let (region, clock) = (CacheRegion::new("traced"), Arc::new(ManualClock::at(1000.0)));
    let config =
        RegionConfig::new("dogpile.cache.memory").observer(Arc::new(OpenTelemetryObserver::with_keys()));
    let config = config.async_creation_runner(Arc::new(Inline)).expiration_time(10).clock(clock.clone());
    region.configure(config).unwrap();

    // A creation, whose query belongs to it, as a thread and as a task.
    region.get_or_create("key", query).unwrap();
    smol::block_on(region.get_or_create_async("task", async || {
        smol::future::yield_now().await;
        query()
    }))
    .unwrap();
    let finished = spans.get_finished_spans().unwrap();
    let names: Vec<_> = finished.iter().map(|span| span.name.as_ref()).collect();
    assert_eq!(names, ["query", "dogpile.get_or_create", "query", "dogpile.get_or_create"]);
    for pair in finished.chunks(2) {
        assert_eq!(pair[0].parent_span_id, pair[1].span_context.span_id());
        assert_eq!(
            (attribute(&pair[1], "dogpile.outcome"), attribute(&pair[1], "dogpile.region")),
            ("created".into(), "traced".into())
        );
    }
    assert_eq!(attribute(&finished[1], "dogpile.key"), "key");
    spans.reset();

    // A failure.
    assert!(region.try_get_or_create("failing", || Err::<i32, _>("planned")).is_err());
    let finished = spans.get_finished_spans().unwrap();
    assert_eq!(finished[0].status, Status::error("planned"));
    assert_eq!(attribute(&finished[0], "dogpile.outcome"), "failed");
    spans.reset();

    // A refresh in the background links to the call that caused it, and is a trace of its own.
    clock.advance(Duration::from_secs(20));
    assert_eq!(region.options().background().get_or_create("key", query).unwrap(), 1);
    let finished = spans.get_finished_spans().unwrap();
    let of_name = |name: &str| finished.iter().find(|span| span.name == name).unwrap();
    let (call, refresh) = (of_name("dogpile.get_or_create"), of_name("dogpile.refresh"));
    assert_eq!(attribute(call, "dogpile.outcome"), "stale_served");
    assert_eq!(attribute(refresh, "dogpile.outcome"), "created");
    assert_eq!(refresh.parent_span_id, SpanId::INVALID);
    let links: Vec<_> = refresh.links.iter().map(|link| link.span_context.span_id()).collect();
    assert_eq!(links, [call.span_context.span_id()]);
    assert_eq!(of_name("query").parent_span_id, refresh.span_context.span_id());

    // Metrics of everything above, and of a hit.
    region.get::<i32>("key").unwrap();
    provider.force_flush().unwrap();
    let mut exported = BTreeSet::new();
    for resource in exporter.get_finished_metrics().unwrap() {
        for scope in resource.scope_metrics() {
            exported.extend(scope.metrics().map(|metric| in_prometheus(metric.name())));
        }
    }
    for expected in [
        metric_names::REQUESTS,
        metric_names::FAILED_CREATIONS,
        metric_names::CREATION_DURATION,
        metric_names::BREAKER_OPEN,
    ] {
        assert!(exported.contains(expected), "{expected} is missing: {exported:?}");
    }
    let known: BTreeSet<String> = metric_names::ALL.iter().map(ToString::to_string).collect();
    assert!(exported.is_subset(&known), "{exported:?}");
}
