//! [`Cached`]: a cached function of two numbers, to be measured.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// Returns the value of each of the functions.
pub fn made_of(a: u32, b: u32) -> u64 {
    u64::from(a) << 32 | u64::from(b)
}

/// The two arguments of a call.
type Pair = (u32, u32);

/// A closure that calls the function with each of many arguments.
type Ask = dyn Fn(&[Pair]) + Send + Sync;

/// A cached function and its name.
pub struct Cached {
    /// The name in the tables.
    pub name: &'static str,
    ask: Box<Ask>,
}

impl Cached {
    /// Creates a measured function. One call of the box calls the function many times, so that the indirection costs
    /// nothing.
    pub fn new(name: &'static str, function: impl Fn(u32, u32) -> u64 + Send + Sync + 'static) -> Self {
        let ask = move |all: &[Pair]| {
            for &(a, b) in all {
                let value = std::hint::black_box(function(std::hint::black_box(a), b));
                assert!(value == made_of(a, b), "a cache returned another value");
            }
        };
        Cached { name, ask: Box::new(ask) }
    }

    /// Returns the average time in which each of `threads` makes `calls` calls. The calls cycle through the arguments
    /// `all`.
    ///
    /// # Panics
    /// Panics if a cache returns a wrong value.
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
            askers.into_iter().map(|asker| asker.join().expect("the cache returns")).sum()
        });
        total / u32::try_from(threads).unwrap_or(u32::MAX)
    }
}
