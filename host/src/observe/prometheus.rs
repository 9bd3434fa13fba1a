//! [`prometheus_text`]: statistics in the text format of Prometheus.

use std::fmt::{Display, Write};

use super::histogram::Histogram;
use super::merged::merged;
use super::statistics::{BackendStatistics, RegionStatistics};
use crate::metric_names::{
    BACKEND_CALL_DURATION, BACKEND_ERRORS, BREAKER_OPEN, CREATION_DURATION, EARLY_REFRESHES,
    FAILED_CREATIONS, NOT_STORED, REQUESTS, WAIT_DURATION,
};
use crate::outage::BreakerState;

/// Returns the statistics of regions in the text format of Prometheus, version 0.0.4.
///
/// The names are those of [`metric_names`](crate::metric_names). Regions that have one name are added up. Serve the text with
/// the type `text/plain; version=0.0.4`.
///
/// ```
/// use dogpile::{CacheRegion, RegionConfig, prometheus_text};
///
/// let region = CacheRegion::new("prices");
/// region.configure(RegionConfig::new("dogpile.cache.memory").statistics(true))?;
/// region.get_or_create("tea", || 350)?;
/// let statistics: Vec<_> = region.statistics()?.into_iter().collect();
/// assert!(prometheus_text(&statistics).contains("dogpile_requests_total{region=\"prices\",outcome=\"created\"} 1\n"));
/// # Ok::<(), dogpile::RegionError>(())
/// ```
pub fn prometheus_text(regions: &[RegionStatistics]) -> String {
    let regions = &merged(regions)[..];
    let mut text = Text::default();
    text.family(REQUESTS, "counter", "Requested keys, by how their calls ended.");
    for (region, (outcome, count)) in
        regions.iter().flat_map(|region| region.outcomes().map(|outcome| (region, outcome)))
    {
        text.sample(REQUESTS, &[("region", &region.region), ("outcome", outcome)], count);
    }
    text.family(FAILED_CREATIONS, "counter", "Calls of creators that failed.");
    regions.iter().for_each(|region| text.of_region(FAILED_CREATIONS, region, region.failed_creations));
    text.family(EARLY_REFRESHES, "counter", "Fresh values that were created again early.");
    regions.iter().for_each(|region| text.of_region(EARLY_REFRESHES, region, region.early_refreshes));
    text.family(NOT_STORED, "counter", "Created values that were not stored.");
    for region in regions {
        let reasons = [
            ("superseded", region.superseded),
            ("lease_lost", region.lost_leases),
            ("backend", region.not_stored),
            ("serialization", region.not_serialized),
        ];
        for (reason, count) in reasons {
            text.sample(NOT_STORED, &[("region", &region.region), ("reason", reason)], count);
        }
    }
    text.family(CREATION_DURATION, "histogram", "How long creators ran.");
    for region in regions {
        text.histogram(CREATION_DURATION, &[("region", &region.region)], &region.creation);
    }
    text.family(WAIT_DURATION, "histogram", "How long callers waited for others.");
    for region in regions {
        text.histogram(WAIT_DURATION, &[("region", &region.region)], &region.wait);
    }
    text.backends(regions);
    text.0
}

#[derive(Default)]
struct Text(String);

type Labels<'a> = [(&'a str, &'a str)];

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn line(&mut self, line: impl Display) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{line}");
    }

    fn sample(&mut self, name: &str, labels: &Labels<'_>, value: impl Display) {
        self.0.push_str(name);
        for (number, (label, text)) in labels.iter().enumerate() {
            self.0.push(if number == 0 { '{' } else { ',' });
            self.0.push_str(label);
            self.0.push_str("=\"");
            for character in text.chars() {
                match character {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    other => self.0.push(other),
                }
            }
            self.0.push('"');
        }
        self.line(format_args!("}} {value}"));
    }

    fn of_region(&mut self, name: &str, region: &RegionStatistics, value: u64) {
        self.sample(name, &[("region", &region.region)], value);
    }

    fn histogram(&mut self, name: &str, labels: &Labels<'_>, histogram: &Histogram) {
        let bucket = format!("{name}_bucket");
        let count = histogram.count();
        let bounds = histogram.cumulative().map(|(bound, count)| (bound.as_secs_f64().to_string(), count));
        for (bound, count) in bounds.chain([("+Inf".to_owned(), count)]) {
            self.sample(&bucket, &[labels, &[("le", &*bound)]].concat(), count);
        }
        self.sample(&format!("{name}_sum"), labels, histogram.sum().as_secs_f64());
        self.sample(&format!("{name}_count"), labels, count);
    }

    fn backends(&mut self, regions: &[RegionStatistics]) {
        let backends: Vec<(&str, &BackendStatistics)> = regions
            .iter()
            .flat_map(|region| region.backends.iter().map(|backend| (region.region.as_str(), backend)))
            .collect();
        self.family(BACKEND_CALL_DURATION, "histogram", "How long calls of backends took.");
        for (region, backend) in &backends {
            let labels = [("region", *region), ("backend", &backend.backend)];
            self.histogram(BACKEND_CALL_DURATION, &labels, &backend.call);
        }
        self.family(BACKEND_ERRORS, "counter", "Calls of backends that failed.");
        for (region, backend) in &backends {
            let labels = [("region", *region), ("backend", &backend.backend)];
            self.sample(BACKEND_ERRORS, &labels, backend.errors);
        }
        self.family(BREAKER_OPEN, "gauge", "1 while the breaker of a backend is not closed.");
        for (region, backend) in &backends {
            let labels = [("region", *region), ("backend", &backend.backend)];
            let is_open = backend.state.breaker != BreakerState::Closed;
            self.sample(BREAKER_OPEN, &labels, u8::from(is_open));
        }
    }
}
