//! What statistics and observers cost a hit, on one thread and on two.
//!
//! `cargo bench -p dogpile-benches --bench observing` (`-- --quick`: some seconds, to see that it runs), with `--features exporters`
//! to measure those too. In each round each region is measured once, and differences are taken within a round.

#[cfg(feature = "exporters")]
#[path = "observing/exporters.rs"]
mod exporters;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use dogpile::{CacheRegion, Event, Observer, RegionConfig};
use dogpile_benches::{Dice, Failure, Subject, Summary, Team, Workload, is_quick, linked_config};

/// A region that nothing observes.
const OFF: &str = "off";
/// A region with statistics.
const STATISTICS: &str = "statistics";

/// The most nanoseconds that statistics may add to a hit of a hot key.
const MOST: f64 = 5.0;

/// How often all regions are made again, and measured in another order: where a region comes to lie in memory is worth some
/// nanoseconds.
const FILLINGS: usize = 7;

/// Receives all events except hits, and ignores them.
#[derive(Debug)]
struct Ignoring;

impl Observer for Ignoring {}

/// Counts hits.
#[derive(Debug, Default)]
struct Counting(AtomicU64);

impl Observer for Counting {
    fn wants_hits(&self) -> bool {
        true
    }

    fn event(&self, _event: &Event<'_>) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[cfg(not(feature = "exporters"))]
mod exporters {
    use super::RegionConfig;

    pub(super) fn regions() -> Vec<(&'static str, RegionConfig)> {
        Vec::new()
    }
}

/// Returns the regions that are measured.
fn regions() -> Vec<(&'static str, RegionConfig)> {
    let mut all = vec![
        (OFF, linked_config()),
        (STATISTICS, linked_config().statistics(true)),
        ("an observer of all except hits", linked_config().observer(Arc::new(Ignoring))),
        ("an observer of hits", linked_config().observer(Arc::new(Counting::default()))),
    ];
    all.extend(exporters::regions());
    all
}

fn subjects() -> Result<Vec<Subject>, Failure> {
    let subject = |(name, config)| {
        let region = CacheRegion::new(name);
        region.configure(config)?;
        Ok(Subject::new(name, region))
    };
    regions().into_iter().map(subject).collect()
}

fn main() -> Result<(), Failure> {
    let (rounds, hits) = if is_quick()? { (1, 10_000) } else { (10, 200_000) };
    println!("a hit of a hot key, in ns: median of {} rounds", rounds * FILLINGS);
    for threads in [1, 2] {
        measure(threads, rounds, hits)?;
    }
    Ok(())
}

fn measure(threads: usize, rounds: usize, hits: usize) -> Result<(), Failure> {
    let workload = Arc::new(Workload::hot(threads));
    let (team, mut dice) = (Team::new(&workload), Dice::default());
    let mut times: Vec<(&'static str, Vec<f64>)> =
        regions().into_iter().map(|(name, _)| (name, Vec::new())).collect();
    for _ in 0..FILLINGS {
        let mut all: Vec<Arc<Subject>> = subjects()?.into_iter().map(Arc::new).collect();
        dice.shuffle(&mut all);
        all.iter().for_each(|subject| subject.fill(&workload.keys));
        // The first round warms up.
        for round in 0..=rounds {
            for subject in &all {
                let nanos = team.time(subject, hits).as_nanos() as f64 / hits as f64;
                let found = times.iter_mut().find(|(name, _)| *name == subject.name);
                if let Some((_, times)) = found.filter(|_| round > 0) {
                    times.push(nanos);
                }
            }
        }
    }
    println!("\n{:34}{:>8}{:>12}", format!("threads: {threads}"), "a hit", "more");
    let off = times[0].1.clone();
    for (name, times) in &times {
        let more = Summary::of(times.iter().zip(&off).map(|(time, off)| time - off)).median;
        let hit = Summary::of(times.iter().copied()).median;
        let verdict = if *name != STATISTICS {
            ""
        } else if more <= MOST {
            "  at most 5: yes"
        } else {
            "  at most 5: NO"
        };
        println!("{name:34}{hit:>8.1}{more:>12.1}{verdict}");
    }
    Ok(())
}
