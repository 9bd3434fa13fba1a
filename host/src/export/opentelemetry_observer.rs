//! [`OpenTelemetryObserver`]: passes events on to OpenTelemetry, as metrics and spans.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::metrics::{Counter, Gauge, Histogram};
use opentelemetry::trace::{Link, SpanBuilder, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};

use super::breaker_seen::BreakerSeen;
use crate::observe::{CallSpan, Event, EventKind, Observer};
use crate::outage::BreakerState;

/// The name of the meter and of the tracer.
const SCOPE: &str = "dogpile";

/// Passes events on to the global providers of [OpenTelemetry](https://docs.rs/opentelemetry), version 0.33.
///
/// Set the providers before the observer is created.
///
/// **Metrics** are those of [`metric_names`](crate::metric_names), with dots and without suffix: `dogpile.requests`,
/// `dogpile.creation.duration`, and so on. Labels are attributes. Durations are in seconds.
///
/// **Spans.** A call with a creator gets a span `dogpile.get_or_create` if its first read does not find all keys fresh. The
/// span ends with the attribute `dogpile.outcome`. Spans of its creator belong to it. A refresh in the background has a span
/// `dogpile.refresh` of its own, which links to the span of the call that caused it.
///
/// ```
/// use std::sync::Arc;
///
/// use dogpile::{CacheRegion, OpenTelemetryObserver, RegionConfig};
///
/// let region = CacheRegion::new("prices");
/// let observer = Arc::new(OpenTelemetryObserver::new());
/// region.configure(RegionConfig::new("dogpile.cache.memory").observer(observer))?;
/// # Ok::<(), dogpile::RegionError>(())
/// ```
#[derive(Clone)]
pub struct OpenTelemetryObserver(Arc<Shared>);

struct Shared {
    tracer: BoxedTracer,
    instruments: Instruments,
    shows_keys: bool,
}

struct Instruments {
    requests: Counter<u64>,
    failed_creations: Counter<u64>,
    early_refreshes: Counter<u64>,
    not_stored: Counter<u64>,
    creation: Histogram<f64>,
    wait: Histogram<f64>,
    backend_call: Histogram<f64>,
    backend_errors: Counter<u64>,
    breaker_open: Gauge<u64>,
}

/// The bounds of histograms, in seconds: from 100 microseconds to about two minutes.
fn boundaries() -> Vec<f64> {
    (0..21).map(|doubling| 0.0001 * f64::from(1 << doubling)).collect()
}

impl Default for OpenTelemetryObserver {
    fn default() -> Self {
        OpenTelemetryObserver::new()
    }
}

impl OpenTelemetryObserver {
    /// Creates an observer with the global providers. Spans do not contain keys, which may be personal data, nor errors,
    /// which name keys.
    pub fn new() -> Self {
        Self::build(false)
    }

    /// Creates an observer whose spans contain keys and errors.
    ///
    /// The attribute `dogpile.key` is a call's first key, and the status of a failed call is its error.
    pub fn with_keys() -> Self {
        Self::build(true)
    }

    fn build(shows_keys: bool) -> Self {
        let meter = global::meter(SCOPE);
        let counter = |name: &'static str, description: &'static str| {
            meter.u64_counter(name).with_description(description).build()
        };
        let durations = |name: &'static str, description: &'static str| {
            let histogram = meter.f64_histogram(name).with_description(description).with_unit("s");
            histogram.with_boundaries(boundaries()).build()
        };
        let breaker_open = meter.u64_gauge("dogpile.breaker.open");
        let instruments = Instruments {
            requests: counter("dogpile.requests", "Requested keys, by how their calls ended."),
            failed_creations: counter("dogpile.failed_creations", "Calls of creators that failed."),
            early_refreshes: counter(
                "dogpile.early_refreshes",
                "Fresh values that were created again early.",
            ),
            not_stored: counter("dogpile.not_stored", "Created values that were not stored."),
            creation: durations("dogpile.creation.duration", "How long creators ran."),
            wait: durations("dogpile.wait.duration", "How long callers waited for others."),
            backend_call: durations("dogpile.backend.call.duration", "How long calls of backends took."),
            backend_errors: counter("dogpile.backend.errors", "Calls of backends that failed."),
            breaker_open: breaker_open
                .with_description("1 while the breaker of a backend is not closed.")
                .build(),
        };
        OpenTelemetryObserver(Arc::new(Shared { tracer: global::tracer(SCOPE), instruments, shows_keys }))
    }
}

impl fmt::Debug for OpenTelemetryObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenTelemetryObserver")
            .field("shows_keys", &self.0.shows_keys)
            .finish_non_exhaustive()
    }
}

impl Observer for OpenTelemetryObserver {
    fn for_region(&self, region: &str, backend: &str) -> Option<Arc<dyn Observer>> {
        let (shared, name) = (Arc::clone(&self.0), region.to_owned());
        let breaker = BreakerSeen::new("opentelemetry", region, backend);
        let region = KeyValue::new("region", name.clone());
        let backend = KeyValue::new("backend", backend.to_owned());
        let of_hits = [region.clone(), KeyValue::new("outcome", "hit")];
        let telemetry = RegionTelemetry { shared, name, region, backend, of_hits, breaker };
        telemetry.show_breaker(false);
        Some(Arc::new(telemetry))
    }
}

/// The observer of a region.
struct RegionTelemetry {
    shared: Arc<Shared>,
    name: String,
    region: KeyValue,
    backend: KeyValue,
    of_hits: [KeyValue; 2],
    breaker: BreakerSeen,
}

impl RegionTelemetry {
    fn over_backend(&self) -> [KeyValue; 2] {
        [self.region.clone(), self.backend.clone()]
    }

    fn show_breaker(&self, is_open: bool) {
        let gauge = &self.shared.instruments.breaker_open;
        self.breaker.show(is_open, |is_open| gauge.record(u64::from(is_open), &self.over_backend()));
    }
}

/// The region was dropped or configured again. A breaker that it saw is not shown as open any more.
impl Drop for RegionTelemetry {
    fn drop(&mut self) {
        self.show_breaker(false);
    }
}

impl fmt::Debug for RegionTelemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegionTelemetry").field("region", &self.name).finish_non_exhaustive()
    }
}

impl Observer for RegionTelemetry {
    fn wants_hits(&self) -> bool {
        true
    }

    fn begin(&self, region: &str, keys: &[&str]) -> Option<Arc<dyn CallSpan>> {
        Some(Telemetry::begin(&self.shared, region, keys, "dogpile.get_or_create", &Context::current(), None))
    }

    fn event(&self, event: &Event<'_>) {
        let (of, keys) = (&self.shared.instruments, event.keys.len() as u64);
        let region = std::slice::from_ref(&self.region);
        let not_stored = |reason: &'static str| {
            of.not_stored.add(keys, &[self.region.clone(), KeyValue::new("reason", reason)]);
        };
        match event.kind {
            EventKind::Hit => of.requests.add(keys, &self.of_hits),
            EventKind::Creation { took, succeeded } => {
                of.creation.record(took.as_secs_f64(), region);
                of.failed_creations.add(u64::from(!succeeded), region);
            }
            EventKind::Wait { took } => of.wait.record(took.as_secs_f64(), region),
            EventKind::Early => of.early_refreshes.add(keys, region),
            EventKind::Superseded => not_stored("superseded"),
            EventKind::LeaseLost => not_stored("lease_lost"),
            EventKind::NotStored => not_stored("backend"),
            EventKind::NotSerialized => not_stored("serialization"),
            EventKind::BackendCall { took, error, .. } => {
                if let Some(took) = took {
                    of.backend_call.record(took.as_secs_f64(), &self.over_backend());
                }
                of.backend_errors.add(u64::from(error.is_some()), &self.over_backend());
            }
            EventKind::Breaker { state, .. } => self.show_breaker(state != BreakerState::Closed),
            ending => {
                let outcome = KeyValue::new("outcome", ending.name());
                of.requests.add(keys, &[self.region.clone(), outcome]);
            }
        }
    }
}

/// The span of a call or of a refresh.
struct Telemetry {
    shared: Arc<Shared>,
    region: String,
    /// Contains the span.
    context: Context,
}

impl Telemetry {
    fn begin(
        shared: &Arc<Shared>,
        region: &str,
        keys: &[&str],
        name: &'static str,
        parent: &Context,
        cause: Option<Link>,
    ) -> Arc<dyn CallSpan> {
        let count = i64::try_from(keys.len()).unwrap_or(i64::MAX);
        let mut attributes = vec![
            KeyValue::new("dogpile.region", region.to_owned()),
            KeyValue::new("dogpile.key_count", count),
        ];
        if let Some(key) = keys.first().filter(|_| shared.shows_keys) {
            attributes.push(KeyValue::new("dogpile.key", (*key).to_owned()));
        }
        let links: Vec<Link> = cause.into_iter().collect();
        let builder = SpanBuilder::from_name(name).with_attributes(attributes).with_links(links);
        let span = shared.tracer.build_with_context(builder, parent);
        let (shared, region) = (Arc::clone(shared), region.to_owned());
        Arc::new(Telemetry { shared, region, context: parent.with_span(span) })
    }
}

impl CallSpan for Telemetry {
    fn enter(&self) -> Option<Box<dyn Any>> {
        Some(Box::new(self.context.clone().attach()))
    }

    fn refresh(&self, keys: &[&str]) -> Option<Arc<dyn CallSpan>> {
        let cause = Link::with_context(self.context.span().span_context().clone());
        let parent = Context::new();
        Some(Telemetry::begin(&self.shared, &self.region, keys, "dogpile.refresh", &parent, Some(cause)))
    }

    fn end(&self, ending: &EventKind<'_>) {
        let span = self.context.span();
        span.set_attribute(KeyValue::new("dogpile.outcome", ending.name()));
        if let EventKind::Failed { error } | EventKind::TimedOut { error } = ending {
            // The errors of regions name the key.
            let shown = self.shared.shows_keys.then(|| format!("{error:#}"));
            span.set_status(Status::error(shown.unwrap_or_else(|| ending.name().to_owned())));
        }
        span.end();
    }
}
