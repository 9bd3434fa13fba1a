//! 64 threads ask for a key that nobody has cached, and its creator takes 50 ms: how many creators run, and how long
//! after the creator's end the last of the threads has the value.
//!
//! `cargo bench -p dogpile-benches --bench stampede` (`-- --quick`: one round).

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use dogpile_benches::versus::MOKA;
use dogpile_benches::{Failure, LINKED, LOADED, Subject, Summary, is_quick, subjects};

const THREADS: usize = 64;
const CREATION: Duration = Duration::from_millis(50);
const ROUNDS: usize = 41;
/// The most that the last waiter may come after the creator, in milliseconds.
const MOST: f64 = 2.0;

fn main() -> Result<(), Failure> {
    let rounds = if is_quick()? { 1 } else { ROUNDS };
    let mut measured: Vec<_> = subjects()?
        .into_iter()
        .filter(|subject| [LINKED, LOADED, MOKA].contains(&subject.name))
        .map(|subject| (subject, Vec::new()))
        .collect();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        for (subject, stampedes) in &mut measured {
            stampedes.push(stampede(subject, &format!("cold:{round}")));
        }
    }
    println!("\n{THREADS} threads, a cold key, a creator of {} ms; {rounds} rounds", CREATION.as_millis());
    println!("{:20}{:>18}   last waiter after the creator's end, ms", "", "creators a round");
    println!("{:20}{:>18}   {:>8}{:>12}{:>8}", "", "", "median", "9th decile", "most");
    for (subject, stampedes) in &measured {
        print_row(subject, stampedes);
    }
    Ok(())
}

/// What came of one stampede.
struct Stampede {
    creators: usize,
    /// From the creator's end until the last thread had the value.
    late: Duration,
}

fn stampede(subject: &Subject, key: &str) -> Stampede {
    let (creators, ended, start) = (AtomicUsize::new(0), OnceLock::new(), Barrier::new(THREADS));
    let ask = || {
        start.wait();
        subject.get_or_create(key, || {
            creators.fetch_add(1, Relaxed);
            thread::sleep(CREATION);
            let made = Arc::new(1);
            ended.get_or_init(Instant::now);
            made
        });
        Instant::now()
    };
    let last = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).max()
    });
    let ended = ended.get().copied().expect("somebody creates");
    Stampede { creators: creators.into_inner(), late: last.unwrap_or(ended).duration_since(ended) }
}

fn print_row(subject: &Subject, stampedes: &[Stampede]) {
    let fewest = stampedes.iter().map(|stampede| stampede.creators).min().unwrap_or_default();
    let most = stampedes.iter().map(|stampede| stampede.creators).max().unwrap_or_default();
    let late = Summary::of(stampedes.iter().map(|stampede| stampede.late.as_secs_f64() * 1e3));
    let name = subject.name;
    print!("{name:20}{:>18}", format!("{fewest} to {most}"));
    print!("   {:>8.2}{:>12.2}{:>8.2}", late.median, late.high, late.max);
    println!("{}", if name == MOKA { String::new() } else { verdict(most, late) });
}

fn verdict(creators: usize, late: Summary) -> String {
    let met = |met| if met { "met" } else { "missed" };
    let (median, max) = (met(creators == 1 && late.median <= MOST), met(creators == 1 && late.max <= MOST));
    format!("   one creator, at most {MOST} ms: {median} at the median, {max} in the worst round")
}
