//! What the crate metrics gets, with the feature `metrics`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dogpile::sdk::{BackendError, CacheBackend, CachedValue, ErrorKind, StoreOptions};
use dogpile::{BreakerConfig, CacheRegion, MetricsObserver, RegionConfig, metric_names};
use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// Keeps all metrics by their names and labels.
#[derive(Debug, Default)]
struct Keeping {
    counters: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    gauges: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    histograms: Mutex<BTreeMap<String, Arc<Values>>>,
    described: Mutex<BTreeSet<String>>,
}

#[derive(Debug, Default)]
struct Values(Mutex<Vec<f64>>);

impl HistogramFn for Values {
    fn record(&self, value: f64) {
        self.0.lock().unwrap().push(value);
    }
}

fn shown(key: &Key) -> String {
    let labels: Vec<String> =
        key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
    format!("{}{{{}}}", key.name(), labels.join(","))
}

impl Recorder for Keeping {
    fn describe_counter(&self, key: KeyName, _unit: Option<Unit>, _description: SharedString) {
        self.described.lock().unwrap().insert(key.as_str().to_owned());
    }

    fn describe_gauge(&self, key: KeyName, _unit: Option<Unit>, _description: SharedString) {
        self.described.lock().unwrap().insert(key.as_str().to_owned());
    }

    fn describe_histogram(&self, key: KeyName, _unit: Option<Unit>, _description: SharedString) {
        self.described.lock().unwrap().insert(key.as_str().to_owned());
    }

    fn register_counter(&self, key: &Key, _metadata: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::clone(self.counters.lock().unwrap().entry(shown(key)).or_default()))
    }

    fn register_gauge(&self, key: &Key, _metadata: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::clone(self.gauges.lock().unwrap().entry(shown(key)).or_default()))
    }

    fn register_histogram(&self, key: &Key, _metadata: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::clone(self.histograms.lock().unwrap().entry(shown(key)).or_default()))
    }
}

#[test]
fn recorder_gets_all_metrics_under_their_stable_names() {
    let recorder = Keeping::default();
    metrics::with_local_recorder(&recorder, || {
        let region = CacheRegion::new("metered");
        let config = RegionConfig::new("dogpile.cache.memory").observer(Arc::new(MetricsObserver::new()));
        region.configure(config).unwrap();
        region.get::<i32>("key").unwrap();
        region.get_or_create("key", || 1).unwrap();
        region.get_or_create("key", || 1).unwrap();
        region.get_multi::<i32>(&["key", "key"]).unwrap();
        assert!(region.try_get_or_create("failing", || Err::<i32, _>("planned")).is_err());
        let superseding = || {
            region.set("new", 2).unwrap();
            1
        };
        region.get_or_create("new", superseding).unwrap();
    });
    let counters = recorder.counters.lock().unwrap();
    let counted = |name: &str| {
        counters.get(name).unwrap_or_else(|| panic!("{name} is missing: {counters:?}")).load(SeqCst)
    };
    let requests =
        |outcome: &str| counted(&format!("dogpile_requests_total{{region=metered,outcome={outcome}}}"));
    let found = ["hit", "created", "miss", "failed", "waited"].map(requests);
    assert_eq!(found, [3, 2, 1, 1, 0]);
    assert_eq!(counted("dogpile_failed_creations_total{region=metered}"), 1);
    assert_eq!(counted("dogpile_not_stored_total{region=metered,reason=superseded}"), 1);
    let histograms = recorder.histograms.lock().unwrap();
    let creations = &histograms["dogpile_creation_duration_seconds{region=metered}"];
    assert_eq!(creations.0.lock().unwrap().len(), 3);
    let breaker = "dogpile_breaker_open{region=metered,backend=dogpile.cache.memory}";
    assert_eq!(f64::from_bits(recorder.gauges.lock().unwrap()[breaker].load(SeqCst)), 0.0);
    let all: BTreeSet<String> = metric_names::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(*recorder.described.lock().unwrap(), all);
    let name = |key: &String| key.split('{').next().unwrap().to_owned();
    let gauges = recorder.gauges.lock().unwrap();
    let registered: BTreeSet<String> =
        counters.keys().chain(histograms.keys()).chain(gauges.keys()).map(name).collect();
    assert_eq!(registered, all);
}

/// A backend that is down.
#[derive(Debug)]
struct Down;

impl CacheBackend for Down {
    fn get(&self, _key: &str) -> Result<Option<CachedValue>, BackendError> {
        Err(BackendError::new(ErrorKind::Unavailable, "planned: the backend is down"))
    }

    fn set(&self, _key: &str, _value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
        Ok(())
    }

    fn delete(&self, _key: &str) -> Result<(), BackendError> {
        Ok(())
    }
}

/// Nothing learns that a breaker closes once its region is gone. Its gauge would raise an alarm until the process ends.
#[test]
fn breaker_is_not_open_once_its_region_is_gone() {
    let recorder = Keeping::default();
    let is_open = |backend: &str| {
        let gauge = format!("dogpile_breaker_open{{region=gone,backend={backend}}}");
        f64::from_bits(recorder.gauges.lock().unwrap()[&gauge].load(SeqCst)) == 1.0
    };
    metrics::with_local_recorder(&recorder, || {
        let (region, down) = (CacheRegion::new("gone"), Arc::new(Down));
        let breaker = BreakerConfig::default().failures(1).open_for(Duration::from_secs(3600));
        let over = || RegionConfig::from_instance(down.clone()).breaker(breaker);
        let observed = |config: RegionConfig| config.observer(Arc::new(MetricsObserver::new()));
        region.configure(observed(over())).unwrap();
        assert!(region.get::<i32>("key").is_err() && is_open("Down"));
        region.configure(observed(over()).replace_existing_backend()).unwrap();
        assert!(is_open("Down"), "it has the same backend");
        let memory = RegionConfig::new("dogpile.cache.memory").replace_existing_backend();
        region.configure(observed(memory)).unwrap();
        assert!(!is_open("Down") && !is_open("dogpile.cache.memory"));
        region.configure(observed(over()).replace_existing_backend()).unwrap();
        assert!(region.get::<i32>("key").is_err() && is_open("Down"));
        drop(region);
        assert!(!is_open("Down"));
    });
}
