//! `dogpile bench REGION`.

mod load;

use std::time::Duration;

use serde::Serialize;

use self::load::Noted;
use crate::answer::{Answer, Answered, to_json};
use crate::arguments::Bench;
use crate::error::causes;
use crate::histogram::{Bar, Histogram};
use crate::page::{Color, Page, padded};
use crate::svg::Svg;
use crate::{times, workplace};

/// How many columns a bar of the whole axis has. A multiple of 4.
const LONGEST_BAR: usize = 40;
/// How many bytes of values are stored or removed in one call, if they are not those of one value.
const BATCH: usize = 16 << 20;
/// How many columns the durations of a bar have.
const RANGE: usize = 20;

/// The results of a measurement.
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

/// The durations of calls of one kind, in microseconds.
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
    workplace::check_writable(asked.svg.as_deref())?;
    let region = workplace::open(&asked.region)?;
    let keys = load::keys(asked.keys);
    let value = "x".repeat(usize::try_from(asked.size).unwrap_or(usize::MAX));
    // A store that fails is reported for one key, and not for hundreds of them.
    keys.first().map_or(Ok(()), |key| region.set(key, value.clone()))?;
    let all = || keys.chunks((BATCH / value.len().max(1)).clamp(1, 500));
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

    fn heading(&self) -> String {
        let threads =
            if self.threads == 1 { "1 thread".to_owned() } else { format!("{} threads", self.threads) };
        format!("{:.0} calls a second on {threads}, in {:.2} s", self.per_second, self.seconds)
    }

    fn drawing(&self) -> String {
        let rows: usize = self.sorts().map(|(_, latencies)| latencies.bars.len() + 5).sum();
        let mut svg = Svg::new(800.0, 60.0 + 16.0 * rows as f64);
        svg.title((20.0, 24.0), &format!("Durations of calls of region {:?}", self.region));
        svg.text((20.0, 42.0), &self.heading());
        let mut y = 76.0;
        for ((name, latencies), color) in self.sorts().zip(["steelblue", "goldenrod"]) {
            svg.rectangle((20.0, y - 10.0), (12.0, 12.0), color, name);
            svg.text((38.0, y), &format!("{name}: {}", latencies.summary()));
            latencies.draw(&mut svg, y + 34.0, color);
            y += 16.0 * (latencies.bars.len() + 5) as f64;
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
        format!("{} calls, half within {p50}, 90% {p90}, 99% {p99}, longest {longest}", self.count)
    }

    fn tallest(&self) -> u64 {
        self.bars.iter().map(|bar| bar.count).max().unwrap_or(1).max(1)
    }

    fn share(&self, bar: &Bar) -> String {
        match self.percent(bar) {
            percent if bar.count > 0 && percent < 0.05 => "<0.1%".to_owned(),
            percent => format!("{percent:.1}%"),
        }
    }

    /// Draws the histogram below `y`. Its axis is the share of the calls.
    fn draw(&self, svg: &mut Svg, y: f64, color: &str) {
        let (left, wide) = (200.0, 480.0);
        let bottom = y + 16.0 * self.bars.len() as f64;
        let all = self.axis();
        svg.text_before((left - 24.0, y - 8.0), "took");
        for number in 0..=4 {
            let x = left + wide * f64::from(number) / 4.0;
            svg.vertical(x, y - 4.0, bottom + 4.0);
            svg.text_around((x, y - 8.0), &format!("{:.0}%", all * f64::from(number) / 4.0));
        }
        svg.text((left + wide + 24.0, y - 8.0), "of calls");
        for (number, bar) in self.bars.iter().enumerate() {
            let y = y + 16.0 * number as f64;
            let width = wide * self.percent(bar) / all;
            svg.text_before((left - 10.0, y + 12.0), &range(bar));
            svg.rectangle((left, y + 2.0), (width, 12.0), color, &format!("{} calls", bar.count));
            svg.text((left + width + 6.0, y + 12.0), &self.share(bar));
        }
    }

    /// Returns the end of the axis: a round percentage that no bar exceeds.
    fn axis(&self) -> f64 {
        let tallest = 100.0 * self.tallest() as f64 / self.count as f64;
        [20.0, 40.0, 60.0, 80.0].into_iter().find(|end| tallest <= *end).unwrap_or(100.0)
    }

    fn percent(&self, bar: &Bar) -> f64 {
        100.0 * bar.count as f64 / self.count as f64
    }

    fn show(&self, page: &mut Page) {
        let all = self.axis();
        let marks: String = (1..=4)
            .map(|number| format!("{:>10}", format!("{:.0}%", all * f64::from(number) / 4.0)))
            .collect();
        page.line(format!("  {}  0{} of calls", padded("took", RANGE), &marks[1..]));
        page.line(format!(
            "  {}  |{}",
            " ".repeat(RANGE),
            format!("{}|", " ".repeat(LONGEST_BAR / 4 - 1)).repeat(4)
        ));
        for bar in &self.bars {
            let length = (self.percent(bar) / all * LONGEST_BAR as f64).ceil() as usize;
            let drawn = page.paint(Color::Blue, &"#".repeat(length));
            page.line(format!("  {}  {drawn} {}", padded(&range(bar), RANGE), self.share(bar)));
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
        let region = page.paint(Color::Bold, &format!("{:?}", self.region));
        page.line(format!("region {region}: {}", self.heading()));
        for (name, latencies) in self.sorts() {
            page.line("");
            page.wrapped(&format!("{name}: "), "  ", &latencies.summary());
            latencies.show(page);
        }
        if self.misses > 0 {
            page.line(format!("reads that found nothing: {}", self.misses));
        }
        if self.failures > 0 {
            let mark = page.paint(Color::Red, &format!("calls that failed: {}", self.failures));
            page.wrapped(&format!("{mark}: "), "  ", &self.first_failure.join(": "));
        }
    }

    fn is_good(&self) -> bool {
        self.failures == 0
    }
}
