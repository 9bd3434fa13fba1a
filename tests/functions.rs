//! Cached functions: the macros, cached closures, and their keys.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "functions/closures.rs"]
mod closures;
#[path = "functions/derived_keys.rs"]
mod derived_keys;
#[path = "functions/distinct_keys.rs"]
mod distinct_keys;
#[path = "functions/key_pieces.rs"]
mod key_pieces;
#[path = "functions/key_readings.rs"]
mod key_readings;
#[path = "functions/keys.rs"]
mod keys;
#[path = "functions/long_keys.rs"]
mod long_keys;
#[path = "functions/methods.rs"]
mod methods;
#[path = "functions/multi.rs"]
mod multi;
#[path = "functions/places.rs"]
mod places;
#[path = "functions/python.rs"]
mod python;
#[path = "functions/results.rs"]
mod results;
#[path = "functions/settings.rs"]
mod settings;
#[path = "functions/single.rs"]
mod single;

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use dogpile::{Creation, Runner};
use parking_lot::Mutex;

/// Counts how often a function was evaluated.
#[derive(Debug, Default)]
struct Calls(AtomicU32);

impl Calls {
    /// Counts an evaluation and returns the number so far.
    fn next(&self) -> u32 {
        self.0.fetch_add(1, SeqCst) + 1
    }

    fn count(&self) -> u32 {
        self.0.load(SeqCst)
    }
}

/// A runner that keeps creations until the test runs them.
#[derive(Debug, Default)]
struct Desk(Mutex<Vec<Creation>>);

impl Runner for Desk {
    fn run(&self, creation: Creation) {
        self.0.lock().push(creation);
    }
}
