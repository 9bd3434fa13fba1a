//! The load: threads that read and write a region's keys, and note how long each call took.

use std::io::{IsTerminal, Write, stderr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dogpile::{CacheRegion, RegionError};

use crate::arguments::Bench;
use crate::histogram::Histogram;

/// How many calls pass between two notes of the progress.
const NOTE_EVERY: u64 = 64;
/// How many columns the progress bar has.
const BAR: usize = 40;

/// What the threads noted.
#[derive(Default)]
pub(super) struct Noted {
    pub(super) reads: Histogram,
    pub(super) writes: Histogram,
    pub(super) misses: u64,
    /// How many calls failed, and why the first did.
    pub(super) failures: u64,
    pub(super) first_failure: Option<RegionError>,
    pub(super) took: Duration,
}

/// Keys of this process, that no application uses.
pub(super) fn keys(count: u64) -> Vec<String> {
    (0..count).map(|number| format!("dogpile-bench-{}-{number}", std::process::id())).collect()
}

/// Runs the load on `region`; shows how far it is on a terminal if `show_progress`.
pub(super) fn run(region: &CacheRegion, keys: &[String], asked: &Bench, show_progress: bool) -> Noted {
    let (done, ended, began) = (AtomicU64::new(0), AtomicBool::new(false), Instant::now());
    let value = "x".repeat(usize::try_from(asked.size).unwrap_or(usize::MAX));
    let (done, ended, value) = (&done, &ended, value.as_str());
    let mut noted = Noted::default();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..asked.threads)
            .map(|number| scope.spawn(move || one_thread(region, keys, value, asked, number, done)))
            .collect();
        if show_progress && stderr().is_terminal() {
            scope.spawn(move || show(done, asked.threads * asked.operations, ended));
        }
        let joined: Vec<_> = threads.into_iter().map(thread::ScopedJoinHandle::join).collect();
        ended.store(true, Ordering::Release);
        for more in joined {
            // A panic of a backend that is linked in is the process's own.
            noted.take_in(more.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
    });
    noted.took = began.elapsed();
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

    /// Notes a call that `took` so long; the answer is whether there was a value.
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
    let (mut noted, mut dice) = (Noted::default(), Dice(number + 1));
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

/// Numbers that look random, the same in each run: xorshift.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16) % limit.max(1)
    }
}

/// Draws the progress bar, once at least, until the load has `ended`.
fn show(done: &AtomicU64, all: u64, ended: &AtomicBool) {
    loop {
        let done = done.load(Ordering::Relaxed);
        let filled = (BAR as u64 * done).checked_div(all).unwrap_or(0) as usize;
        let percent = (100 * done).checked_div(all).unwrap_or(0);
        // A terminal that is gone shows nothing, and the load goes on.
        let _ = write!(stderr(), "\r[{}{}] {percent:3} %", "#".repeat(filled), " ".repeat(BAR - filled));
        if ended.load(Ordering::Acquire) {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    let _ = write!(stderr(), "\r{}\r", " ".repeat(BAR + 10));
}
