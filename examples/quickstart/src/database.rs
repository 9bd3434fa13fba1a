//! The slow database that prices come from.

use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a query takes.
pub(crate) const QUERY: Duration = Duration::from_millis(50);
/// How many queries run at a time. All others wait for their turn.
pub(crate) const CONNECTIONS: usize = 2;

/// A database with [`CONNECTIONS`] connections, on which a query takes [`QUERY`].
pub(crate) struct Database {
    free: Mutex<usize>,
    released: Condvar,
}

impl Database {
    pub(crate) fn new() -> Self {
        Database { free: Mutex::new(CONNECTIONS), released: Condvar::new() }
    }

    /// Runs a query of `length`, and returns when it began. Blocks for that time, and before until a connection is free.
    pub(crate) fn query(&self, length: Duration) -> Instant {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free =
            self.released.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        drop(free);
        let began = Instant::now();
        thread::sleep(length);
        *self.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.released.notify_one();
        began
    }
}
