//! What a hit costs, as ratios to the cost of other caches, compared with the targets.
//!
//! `cargo bench -p dogpile-benches --bench ratios` (about a minute; `-- --quick`: some seconds, to see that it
//! runs). In each round, every cache is measured once, and ratios are taken within a round. Other load on the machine
//! therefore affects all of them alike.

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use dogpile_benches::versus::{BARE_MAP, MOKA, MOKA_BOUNDED, QUICK_CACHE};
use dogpile_benches::{
    Dice, Failure, LINKED, LINKED_BOUNDED, LINKED_EXPIRING, LINKED_STAGED, LOADED, LOADED_EXPIRING, Summary,
    Team, Workload, is_quick, subjects,
};

/// How much is measured.
#[derive(Clone, Copy)]
struct Effort {
    /// In each filling.
    rounds: usize,
    /// For each thread, in each round.
    hits: usize,
}

const FULL: Effort = Effort { rounds: 10, hits: 150_000 };
const QUICK: Effort = Effort { rounds: 1, hits: 10_000 };

/// How often all caches are created and filled again, each time in another order. The place of a cache in memory
/// makes a difference of some nanoseconds.
const FILLINGS: usize = 5;

/// What was measured of one workload.
struct Column {
    heading: String,
    /// Of each cache, nanoseconds for a hit in each round.
    times: Vec<(&'static str, Vec<f64>)>,
}

impl Column {
    fn add(&mut self, name: &str, time: f64) {
        let found = self.times.iter_mut().find(|(subject, _)| *subject == name);
        found.expect("every cache has a place").1.push(time);
    }

    fn of(&self, name: &str) -> &[f64] {
        let found = self.times.iter().find(|(subject, _)| *subject == name);
        found.map(|(_, times)| times.as_slice()).expect("every cache was measured")
    }

    /// Returns `compare` of two caches, round by round.
    fn compared(&self, ours: &str, theirs: &str, compare: fn(f64, f64) -> f64) -> Summary {
        let rounds = self.of(ours).iter().zip(self.of(theirs));
        Summary::of(rounds.map(|(ours, theirs)| compare(*ours, *theirs)))
    }
}

/// Two caches compared, and the most that the outcome may be.
struct Target {
    ours: &'static str,
    theirs: &'static str,
    /// On the hot key, and on the Zipf keys.
    most: Option<[f64; 2]>,
}

const fn target(ours: &'static str, theirs: &'static str, most: [f64; 2]) -> Target {
    Target { ours, theirs, most: Some(most) }
}

const fn no_target(ours: &'static str, theirs: &'static str) -> Target {
    Target { ours, theirs, most: None }
}

/// Pairs of caches, and how many times as long the first may take for a hit.
const RATIOS: [Target; 9] = [
    target(LINKED, MOKA, [0.5, 0.42]),
    no_target(LINKED_EXPIRING, MOKA),
    target(LINKED_EXPIRING, LINKED, [1.25, 1.25]),
    no_target(LOADED, MOKA),
    no_target(LINKED_BOUNDED, MOKA_BOUNDED),
    target(LINKED_BOUNDED, QUICK_CACHE, [f64::INFINITY, 1.5]),
    target(LINKED, BARE_MAP, [2.6, 1.8]),
    no_target(LINKED_EXPIRING, BARE_MAP),
    no_target(LOADED, BARE_MAP),
];

/// Pairs of caches, and how many nanoseconds more the first may take for a hit.
const DIFFERENCES: [Target; 3] = [
    target(LOADED, LINKED, [20.0, 25.0]),
    target(LOADED_EXPIRING, LINKED_EXPIRING, [20.0, 25.0]),
    target(LINKED_STAGED, LINKED_EXPIRING, [3.0, 3.0]),
];

fn main() -> Result<(), Failure> {
    let effort = if is_quick()? { QUICK } else { FULL };
    let mut columns = Vec::new();
    for threads in [1, 2] {
        columns.push(measure(Workload::hot(threads), effort)?);
    }
    for threads in [1, 2] {
        columns.push(measure(Workload::zipf(threads), effort)?);
    }
    print_times(&columns, effort);
    println!("\ntimes as long, median of the rounds");
    print_compared(&columns, &RATIOS, |ours, theirs| ours / theirs);
    println!("\nns more, median of the rounds");
    print_compared(&columns, &DIFFERENCES, |ours, theirs| ours - theirs);
    Ok(())
}

fn measure(workload: Workload, effort: Effort) -> Result<Column, Failure> {
    let workload = Arc::new(workload);
    let threads = workload.orders.len();
    let mut column = Column { heading: format!("{}, {threads}", workload.name), times: Vec::new() };
    let team = Team::new(&workload);
    let mut dice = Dice::default();
    for filling in 0..FILLINGS {
        let mut all: Vec<_> = subjects()?.into_iter().map(Arc::new).collect();
        if column.times.is_empty() {
            column.times = all.iter().map(|subject| (subject.name, Vec::new())).collect();
        }
        dice.shuffle(&mut all);
        all.iter().for_each(|subject| subject.fill(&workload.keys));
        for round in 0..=effort.rounds {
            show_progress(&column.heading, filling * effort.rounds + round, FILLINGS * effort.rounds);
            dice.shuffle(&mut all);
            for subject in &all {
                let time = team.time(subject, effort.hits).as_nanos() as f64 / effort.hits as f64;
                // The first round only warms up.
                if round > 0 {
                    column.add(subject.name, time);
                }
            }
        }
    }
    Ok(column)
}

/// Prints the progress of the measurement, on one line if it goes to a terminal.
fn show_progress(heading: &str, round: usize, rounds: usize) {
    let mut out = std::io::stderr();
    // The output may be closed. The measurement continues.
    let _ = if out.is_terminal() {
        let end = if round == rounds { "\n" } else { "" };
        write!(out, "\r{heading} threads: round {round} of {rounds}{end}")
    } else if round == 0 {
        writeln!(out, "{heading} threads: {rounds} rounds")
    } else {
        Ok(())
    };
}

fn print_times(columns: &[Column], effort: Effort) {
    println!("\nns a hit, median of {} rounds (1st to 9th decile)", FILLINGS * effort.rounds);
    print_headings(columns);
    for (name, _) in &columns[0].times {
        print!("{name:48}");
        for column in columns {
            let Summary { median, low, high, .. } = Summary::of(column.of(name).iter().copied());
            print!("  {median:>5.0} {:>9}", format!("({low:.0}-{high:.0})"));
        }
        println!();
    }
}

fn print_headings(columns: &[Column]) {
    print!("{:48}", "workload, threads");
    columns.iter().for_each(|column| print!("  {:>15}", column.heading));
    println!();
}

fn print_compared(columns: &[Column], targets: &[Target], compare: fn(f64, f64) -> f64) {
    print_headings(columns);
    for Target { ours, theirs, most } in targets {
        print!("{:48}", format!("{ours} : {theirs}"));
        let mut missed = 0;
        for (number, column) in columns.iter().enumerate() {
            let median = column.compared(ours, theirs, compare).median;
            // The first two are of the hot key.
            let missing = most.is_some_and(|most| median > most[number / 2]);
            missed += usize::from(missing);
            print!("  {median:>14.2}{}", if missing { "!" } else { " " });
        }
        match most {
            Some([hot, zipf]) if hot.is_infinite() => {
                println!("  at most {zipf} on Zipf: {}", verdict(missed));
            }
            Some([hot, zipf]) => println!("  at most {hot} and {zipf}: {}", verdict(missed)),
            None => println!(),
        }
    }
}

fn verdict(missed: usize) -> String {
    if missed == 0 { "met".to_owned() } else { format!("missed {missed} times (!)") }
}
