//! The load: threads that use a region's keys and record how long each call took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dogpile::{CacheRegion, RegionError};

use crate::arguments::Bench;
use crate::dice::Dice;
use crate::histogram::Histogram;
use crate::progress;

/// The number of calls between two updates of the progress bar.
const NOTE_EVERY: u64 = 64;

/// The records of the threads.
#[derive(Default)]
pub(super) struct Noted {
    pub(super) reads: Histogram,
    pub(super) writes: Histogram,
    pub(super) misses: u64,
    /// The number of failed calls, and the error of the first one.
    pub(super) failures: u64,
    pub(super) first_failure: Option<RegionError>,
    pub(super) took: Duration,
}

/// Returns keys of this process that no application uses.
pub(super) fn keys(count: u64) -> Vec<String> {
    (0..count).map(|number| format!("dogpile-bench-{}-{number}", std::process::id())).collect()
}

/// Runs the load on `region`. If `show_progress`, a terminal shows a progress bar.
pub(super) fn run(region: &CacheRegion, keys: &[String], asked: &Bench, show_progress: bool) -> Noted {
    let (done, began) = (AtomicU64::new(0), Instant::now());
    let all = asked.threads * asked.operations;
    let share = || done.load(Ordering::Relaxed) as f64 / all.max(1) as f64;
    let mut noted = progress::shown(show_progress, share, || all_threads(region, keys, asked, &done));
    noted.took = began.elapsed();
    noted
}

fn all_threads(region: &CacheRegion, keys: &[String], asked: &Bench, done: &AtomicU64) -> Noted {
    let value = "x".repeat(usize::try_from(asked.size).unwrap_or(usize::MAX));
    let (value, mut noted) = (value.as_str(), Noted::default());
    thread::scope(|scope| {
        let threads: Vec<_> = (0..asked.threads)
            .map(|number| scope.spawn(move || one_thread(region, keys, value, asked, number, done)))
            .collect();
        for thread in threads {
            // A panic of a linked backend is a panic of this process.
            noted.take_in(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
    });
    noted
}

impl Noted {
    fn take_in(&mut self, other: Noted) {
        self.reads.merge(&other.reads);
        self.writes.merge(&other.writes);
        self.misses += other.misses;
        self.failures += other.failures;
        self.first_failure = self.first_failure.take().or(other.first_failure);
    }

    /// Records a call that `took` so long, and returns whether it found a value.
    fn note(&mut self, writes: bool, took: Duration, answer: Result<bool, RegionError>) {
        if writes {
            self.writes.add(took);
        } else {
            self.reads.add(took);
        }
        match answer {
            Ok(found) => self.misses += u64::from(!found),
            Err(error) => {
                self.failures += 1;
                self.first_failure.get_or_insert(error);
            }
        }
    }
}

fn one_thread(
    region: &CacheRegion,
    keys: &[String],
    value: &str,
    asked: &Bench,
    number: u64,
    done: &AtomicU64,
) -> Noted {
    let (mut noted, mut dice) = (Noted::default(), Dice::new(number + 1));
    for operation in 1..=asked.operations {
        let key = &keys[dice.below(keys.len() as u64) as usize];
        let writes = dice.below(100) < asked.writes;
        let began = Instant::now();
        let answer = match writes {
            true => region.set(key, value.to_owned()).map(|()| true),
            false => region.get::<String>(key).map(|found| found.is_some()),
        };
        noted.note(writes, began.elapsed(), answer);
        if operation % NOTE_EVERY == 0 {
            done.fetch_add(NOTE_EVERY, Ordering::Relaxed);
        }
    }
    done.fetch_add(asked.operations % NOTE_EVERY, Ordering::Relaxed);
    noted
}
