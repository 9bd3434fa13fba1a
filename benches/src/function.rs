//! [`Cached`]: a cached function of two numbers that is measured.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// What all of them answer.
pub fn made_of(a: u32, b: u32) -> u64 {
    u64::from(a) << 32 | u64::from(b)
}

/// Two arguments.
type Pair = (u32, u32);

/// Calls a function with each of many arguments.
type Ask = dyn Fn(&[Pair]) + Send + Sync;

/// A cached function and its name.
pub struct Cached {
    /// What the tables call it.
    pub name: &'static str,
    ask: Box<Ask>,
}

impl Cached {
    /// The function called `name`. One call of the box is many of the function, so that the indirection costs
    /// nothing.
    pub fn new(name: &'static str, function: impl Fn(u32, u32) -> u64 + Send + Sync + 'static) -> Self {
        let ask = move |all: &[Pair]| {
            for &(a, b) in all {
                let answer = std::hint::black_box(function(std::hint::black_box(a), b));
                assert!(answer == made_of(a, b), "a cache answered another value");
            }
        };
        Cached { name, ask: Box::new(ask) }
    }

    /// How long `calls` calls with the arguments `all`, over and over, take each of `threads`, on average.
    ///
    /// # Panics
    /// If a cache answers a wrong value.
    pub fn time(&self, all: &[Pair], calls: usize, threads: usize) -> Duration {
        let start = Barrier::new(threads);
        let ask = || {
            start.wait();
            let began = Instant::now();
            let mut left = calls;
            while left > 0 {
                let now = left.min(all.len());
                (self.ask)(&all[..now]);
                left -= now;
            }
            began.elapsed()
        };
        let total: Duration = thread::scope(|scope| {
            let askers: Vec<_> = (0..threads).map(|_| scope.spawn(ask)).collect();
            askers.into_iter().map(|asker| asker.join().expect("the cache answers")).sum()
        });
        total / u32::try_from(threads).unwrap_or(u32::MAX)
    }
}
