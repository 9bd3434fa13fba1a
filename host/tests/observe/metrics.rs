//! Statistics as text for Prometheus, and the dashboard that shows them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use dogpile::{CacheRegion, RegionConfig, metric_names, prometheus_text};

use super::setup::{Failing, counted, memory, region};

const GUIDE: &str = include_str!("../../../docs/observability.md");
const DASHBOARD: &str = include_str!("../../../docs/grafana-dashboard.json");

/// Returns the samples of a text by their names and labels. Each family must be introduced once, before its samples.
fn parsed(text: &str) -> BTreeMap<String, f64> {
    let (mut samples, mut families) = (BTreeMap::new(), BTreeSet::new());
    for line in text.lines() {
        if let Some(introduced) = line.strip_prefix("# TYPE ") {
            let (name, kind) = introduced.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(families.insert(name.to_owned()), "{name} is introduced twice");
        } else if !line.starts_with("# HELP ") {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            let name = sample.split('{').next().unwrap();
            assert!(families.iter().any(|family| name.starts_with(family.as_str())), "{line}");
            assert!(
                samples.insert(sample.to_owned(), value.parse().unwrap()).is_none(),
                "{line} is repeated"
            );
        }
    }
    assert_eq!(families, metric_names::ALL.iter().map(ToString::to_string).collect());
    samples
}

#[test]
fn text_has_all_metrics_of_all_regions() {
    let store = Arc::new(Failing::default());
    let (one, two) = (region(memory()), CacheRegion::new("two \"quoted\"\\\n"));
    two.configure(RegionConfig::from_instance(store.clone()).statistics(true)).unwrap();
    one.get_or_create("key", || 1).unwrap();
    one.get_or_create("key", || 1).unwrap();
    two.get::<i32>("key").unwrap();
    store.fails.store(true, SeqCst);
    assert!(two.get::<i32>("key").is_err());
    let text = prometheus_text(&[counted(&one), counted(&two)]);
    let samples = parsed(&text);
    let value = |sample: &str| *samples.get(sample).unwrap_or_else(|| panic!("{sample} is missing:\n{text}"));
    assert_eq!(value("dogpile_requests_total{region=\"observed\",outcome=\"hit\"}"), 1.0);
    assert_eq!(value("dogpile_requests_total{region=\"observed\",outcome=\"created\"}"), 1.0);
    assert_eq!(value("dogpile_creation_duration_seconds_count{region=\"observed\"}"), 1.0);
    assert_eq!(value("dogpile_creation_duration_seconds_bucket{region=\"observed\",le=\"+Inf\"}"), 1.0);
    let quoted = "region=\"two \\\"quoted\\\"\\\\\\n\"";
    assert_eq!(value(&format!("dogpile_requests_total{{{quoted},outcome=\"failed\"}}")), 1.0);
    let backend = "backend=\"Failing";
    let of_two = |name: &str| {
        let sample = samples
            .iter()
            .find(|(sample, _)| sample.starts_with(&format!("{name}{{{quoted}")) && sample.contains(backend));
        *sample.unwrap_or_else(|| panic!("{name} is missing:\n{text}")).1
    };
    assert_eq!(of_two("dogpile_backend_errors_total"), 1.0);
    assert_eq!(of_two("dogpile_backend_call_duration_seconds_count"), 2.0);
    assert_eq!(of_two("dogpile_breaker_open"), 0.0);
}

/// Two samples with the same labels would make a text that Prometheus rejects.
#[test]
fn regions_of_one_name_are_added_up() {
    let store = Arc::new(Failing::default());
    let failing = || region(RegionConfig::from_instance(store.clone()).statistics(true));
    let (one, two, three) = (region(memory()), failing(), failing());
    for region in [&one, &two, &three] {
        region.get_or_create("key", || 1).unwrap();
    }
    store.fails.store(true, SeqCst);
    assert!(two.get::<i32>("key").is_err() && three.get::<i32>("key").is_err());
    let samples = parsed(&prometheus_text(&[counted(&one), counted(&two), counted(&three)]));
    for (sample, expected) in [
        ("dogpile_requests_total{region=\"observed\",outcome=\"created\"}", 2.0),
        ("dogpile_requests_total{region=\"observed\",outcome=\"hit\"}", 1.0),
        ("dogpile_requests_total{region=\"observed\",outcome=\"failed\"}", 2.0),
        ("dogpile_creation_duration_seconds_count{region=\"observed\"}", 2.0),
        ("dogpile_creation_duration_seconds_bucket{region=\"observed\",le=\"+Inf\"}", 2.0),
        ("dogpile_backend_errors_total{region=\"observed\",backend=\"Failing\"}", 2.0),
        ("dogpile_backend_errors_total{region=\"observed\",backend=\"dogpile.cache.memory\"}", 0.0),
        ("dogpile_breaker_open{region=\"observed\",backend=\"Failing\"}", 0.0),
    ] {
        assert_eq!(samples.get(sample), Some(&expected), "{sample}");
    }
}

#[test]
fn buckets_of_the_text_never_decrease() {
    let region = region(memory());
    for key in ["a", "b", "c"] {
        region.get_or_create(key, || std::thread::sleep(std::time::Duration::from_millis(1))).unwrap();
    }
    let text = prometheus_text(&[counted(&region)]);
    let buckets: Vec<f64> = text
        .lines()
        .filter(|line| line.starts_with("dogpile_creation_duration_seconds_bucket"))
        .map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
        .collect();
    assert!(buckets.len() > 20 && buckets.is_sorted() && buckets.last() == Some(&3.0), "{buckets:?}");
    assert_eq!(buckets[0], 0.0);
}

#[test]
fn guide_describes_all_metrics_and_no_others() {
    let rows = GUIDE.lines().filter_map(|line| line.strip_prefix("| `dogpile_")?.split('`').next());
    let listed: BTreeSet<String> = rows.map(|name| format!("dogpile_{name}")).collect();
    assert_eq!(listed, metric_names::ALL.iter().map(ToString::to_string).collect());
}

#[test]
fn dashboard_uses_existing_metrics_only() {
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() >= 6);
    let mut used = BTreeSet::new();
    for (at, _) in DASHBOARD.match_indices("dogpile_") {
        let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let name = DASHBOARD[at..].split(|character| !is_part(character)).next().unwrap();
        let suffix = ["_bucket", "_sum", "_count"].into_iter().find_map(|suffix| name.strip_suffix(suffix));
        let family = suffix.filter(|family| family.ends_with("_seconds")).unwrap_or(name);
        assert!(metric_names::ALL.contains(&family), "the dashboard uses {name}, which does not exist");
        used.insert(family);
    }
    assert_eq!(used, metric_names::ALL.into_iter().collect(), "the dashboard leaves a metric out");
}
