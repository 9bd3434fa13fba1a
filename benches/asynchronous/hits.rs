//! Hits of tasks, beside hits of threads and of rivals.

use std::sync::Arc;

use dogpile_benches::rivals::verdict;
use dogpile_benches::{Dice, Failure, OURS_ASYNC, Subject, Summary, Team, Workload};

use super::{HIT_TARGETS, hit_subjects};

/// How much is measured.
#[derive(Clone, Copy)]
struct Effort {
    /// How often all caches are created and filled again, each time in another order.
    fillings: usize,
    /// In each filling.
    rounds: usize,
    /// For each thread, in each round.
    hits: usize,
}

const FULL: Effort = Effort { fillings: 3, rounds: 15, hits: 30_000 };
const QUICK: Effort = Effort { fillings: 1, rounds: 1, hits: 5_000 };

/// Of each cache, nanoseconds for a hit in each round.
type Times = Vec<(&'static str, Vec<f64>)>;

pub(crate) fn measure(quick: bool) -> Result<(), Failure> {
    let effort = if quick { QUICK } else { FULL };
    println!("hits of tasks, ns, median of {} rounds (1st to 9th decile)", effort.fillings * effort.rounds);
    for workload in [Workload::hot(1), Workload::hot(2), Workload::zipf(1), Workload::zipf(2)] {
        println!("\n{}, threads: {}", workload.name, workload.orders.len());
        print(&times(workload, effort)?);
    }
    Ok(())
}

fn times(workload: Workload, effort: Effort) -> Result<Times, Failure> {
    let workload = Arc::new(workload);
    let team = Team::new(&workload);
    let mut dice = Dice::default();
    let mut times: Times = Vec::new();
    for _ in 0..effort.fillings {
        let mut all: Vec<Arc<Subject>> = hit_subjects()?.into_iter().map(Arc::new).collect();
        if times.is_empty() {
            times = all.iter().map(|subject| (subject.name, Vec::new())).collect();
        }
        dice.shuffle(&mut all);
        all.iter().for_each(|subject| subject.fill(&workload.keys));
        // The first round only warms up.
        for round in 0..=effort.rounds {
            dice.shuffle(&mut all);
            for subject in &all {
                let time = team.time(subject, effort.hits).as_nanos() as f64 / effort.hits as f64;
                if round > 0 {
                    of(&mut times, subject.name).push(time);
                }
            }
        }
    }
    Ok(times)
}

fn of<'t>(times: &'t mut Times, name: &str) -> &'t mut Vec<f64> {
    let found = times.iter_mut().find(|(subject, _)| *subject == name);
    &mut found.expect("every cache has a place").1
}

fn print(times: &Times) {
    for (name, measured) in times {
        let Summary { median, low, high, .. } = Summary::of(measured.iter().copied());
        println!("{name:48}{median:>7.0} {:>13}", format!("({low:.0}-{high:.0})"));
    }
    for (name, most) in HIT_TARGETS {
        let theirs = times.iter().find(|(subject, _)| *subject == name);
        let (ours, theirs) = (&times[0].1, &theirs.expect("every cache was measured").1);
        let ratio = Summary::of(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs)).median;
        println!("{:48}{ratio:>7.2}{}", format!("{OURS_ASYNC} / {name}"), verdict(ratio, most));
    }
}
