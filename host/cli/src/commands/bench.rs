//! `dogpile bench REGION`.

mod load;

use std::time::Duration;

use serde::Serialize;

use self::load::Noted;
use crate::answer::{Answer, Answered, to_json};
use crate::arguments::Bench;
use crate::error::causes;
use crate::histogram::{Bar, Histogram};
use crate::page::{Colour, Page, padded};
use crate::svg::Svg;
use crate::{times, workplace};

/// How many columns the longest bar has.
const LONGEST_BAR: usize = 40;

/// What was measured.
#[derive(Serialize)]
struct Measured {
    region: String,
    threads: u64,
    seconds: f64,
    per_second: f64,
    misses: u64,
    failures: u64,
    first_failure: Vec<String>,
    reads: Option<Latencies>,
    writes: Option<Latencies>,
}

/// How long calls of one sort took, in microseconds.
#[derive(Serialize)]
struct Latencies {
    count: u64,
    #[serde(rename = "mean_us")]
    mean: f64,
    #[serde(rename = "p50_us")]
    p50: f64,
    #[serde(rename = "p90_us")]
    p90: f64,
    #[serde(rename = "p99_us")]
    p99: f64,
    #[serde(rename = "p999_us")]
    p999: f64,
    #[serde(rename = "longest_us")]
    longest: f64,
    #[serde(skip)]
    bars: Vec<Bar>,
}

/// Reads and writes keys of its own, and removes them afterwards.
pub(super) fn run(asked: &Bench, json: bool) -> Answered {
    let region = workplace::open(&asked.region)?;
    let keys = load::keys(asked.keys);
    let value = "x".repeat(usize::try_from(asked.size).unwrap_or(usize::MAX));
    let all = || keys.chunks(500);
    all().try_for_each(|keys| region.set_multi(keys.iter().map(|key| (key, value.clone()))))?;
    let noted = load::run(&region, &keys, asked, !json);
    all().try_for_each(|keys| region.delete_multi(keys))?;
    let measured = Measured::of(asked, &noted);
    if let Some(path) = &asked.svg {
        workplace::write(path, measured.drawing())?;
    }
    Ok(Box::new(measured))
}

impl Measured {
    fn of(asked: &Bench, noted: &Noted) -> Self {
        let seconds = noted.took.as_secs_f64();
        let count = noted.reads.count() + noted.writes.count();
        Measured {
            region: asked.region.region.clone(),
            threads: asked.threads,
            seconds,
            per_second: if seconds > 0.0 { count as f64 / seconds } else { 0.0 },
            misses: noted.misses,
            failures: noted.failures,
            first_failure: noted.first_failure.as_ref().map(|error| causes(error)).unwrap_or_default(),
            reads: Latencies::of(&noted.reads),
            writes: Latencies::of(&noted.writes),
        }
    }

    fn sorts(&self) -> impl Iterator<Item = (&'static str, &Latencies)> {
        let sorts = [("reads", &self.reads), ("writes", &self.writes)];
        sorts.into_iter().filter_map(|(name, latencies)| Some((name, latencies.as_ref()?)))
    }

    fn drawing(&self) -> String {
        let rows: usize = self.sorts().map(|(_, latencies)| latencies.bars.len() + 3).sum();
        let mut svg = Svg::new(760.0, 40.0 + 16.0 * rows as f64);
        svg.text(
            (20.0, 24.0),
            &format!("{}: {:.0} calls a second on {} threads", self.region, self.per_second, self.threads),
        );
        let mut y = 56.0;
        for (name, latencies) in self.sorts() {
            svg.text((20.0, y), &format!("{name}: {}", latencies.summary()));
            for bar in &latencies.bars {
                y += 16.0;
                let width = 400.0 * bar.count as f64 / latencies.tallest() as f64;
                svg.text((20.0, y + 10.0), &range(bar));
                svg.rectangle((220.0, y), (width, 12.0), "steelblue", &format!("{} calls", bar.count));
                svg.text((228.0 + width, y + 10.0), &latencies.share(bar));
            }
            y += 48.0;
        }
        svg.finish()
    }
}

impl Latencies {
    fn of(histogram: &Histogram) -> Option<Self> {
        let us = |time: Duration| time.as_secs_f64() * 1e6;
        let quantile = |share| us(histogram.quantile(share));
        (histogram.count() > 0).then(|| Latencies {
            count: histogram.count(),
            mean: us(histogram.mean()),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p999: quantile(0.999),
            longest: us(histogram.longest()),
            bars: histogram.bars(),
        })
    }

    fn summary(&self) -> String {
        let short = |us: f64| times::short(Duration::from_secs_f64(us / 1e6));
        let [p50, p90, p99, longest] = [self.p50, self.p90, self.p99, self.longest].map(short);
        format!("{}, half within {p50}, 90% {p90}, 99% {p99}, longest {longest}", self.count)
    }

    fn tallest(&self) -> u64 {
        self.bars.iter().map(|bar| bar.count).max().unwrap_or(1).max(1)
    }

    fn share(&self, bar: &Bar) -> String {
        format!("{:.1}%", 100.0 * bar.count as f64 / self.count as f64)
    }

    fn show(&self, page: &mut Page) {
        for bar in &self.bars {
            let length = (bar.count as f64 / self.tallest() as f64 * LONGEST_BAR as f64).ceil() as usize;
            let drawn = page.paint(Colour::Blue, &"#".repeat(length));
            page.line(format!("  {}  {drawn} {}", padded(&range(bar), 18), self.share(bar)));
        }
    }
}

fn range(bar: &Bar) -> String {
    format!("{:>8}-{}", times::short(bar.from), times::short(bar.to))
}

impl Answer for Measured {
    fn json(&self) -> serde_json::Value {
        to_json(self)
    }

    fn show(&self, page: &mut Page) {
        let rate = page.paint(Colour::Bold, &format!("{:.0} calls a second", self.per_second));
        page.line(format!("{rate} on {} threads, in {:.2} s", self.threads, self.seconds));
        for (name, latencies) in self.sorts() {
            page.line("");
            page.wrapped(&format!("{name}: "), "  ", &latencies.summary());
            latencies.show(page);
        }
        if self.misses > 0 {
            page.line(format!("reads that found nothing: {}", self.misses));
        }
        if self.failures > 0 {
            let mark = page.paint(Colour::Red, &format!("calls that failed: {}", self.failures));
            page.wrapped(&format!("{mark}: "), "  ", &self.first_failure.join(": "));
        }
    }

    fn is_good(&self) -> bool {
        self.failures == 0
    }
}
