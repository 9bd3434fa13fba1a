//! [`Random`]: numbers that a seed determines, and the pauses of threads.

use std::cell::Cell;
use std::thread;
use std::time::Duration;

/// A source of numbers (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

/// The pauses of a thread: its numbers, and its longest pause in microseconds.
#[derive(Clone, Copy)]
struct Pace {
    state: u64,
    longest: u64,
}

thread_local! {
    static PACE: Cell<Pace> = const { Cell::new(Pace { state: 0, longest: 0 }) };
}

impl Random {
    /// Returns the numbers of `seed` for one of several users.
    pub(crate) fn new(seed: u64, user: u64) -> Self {
        let mut random = Random(seed ^ user.wrapping_mul(0xD134_2543_DE82_EF95));
        random.next();
        random
    }

    /// Returns the next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Returns the next number, below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// Returns one of `all`, each with the same probability.
    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }

    /// Returns one of `all`, each with a probability in proportion to its weight.
    pub(crate) fn weighted<T: Copy>(&mut self, all: &[(T, u64)]) -> T {
        let mut left = self.below(all.iter().map(|(_, weight)| weight).sum());
        for (one, weight) in all {
            if left < *weight {
                return *one;
            }
            left -= weight;
        }
        all[0].0
    }
}

/// Sets the pauses of the calling thread, from the numbers of `seed` and for at most `longest`.
pub(crate) fn set_pace(seed: u64, longest: Duration) {
    PACE.set(Pace { state: seed, longest: longest.as_micros() as u64 });
}

/// Pauses the calling thread. The pause is nothing, an instant, or up to `factor` times its longest pause.
pub(crate) fn pause(factor: u64) {
    let Pace { state, longest } = PACE.get();
    let mut random = Random(state);
    let (kind, length) = (random.below(8), random.below(longest * factor) + 1);
    PACE.set(Pace { state: random.0, longest });
    match kind {
        0..4 => {}
        4 => thread::yield_now(),
        _ if longest == 0 => {}
        _ => thread::sleep(Duration::from_micros(length)),
    }
}
