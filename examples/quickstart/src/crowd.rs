//! Threads that request one price at the same time, and what each of them did.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::database::{Database, QUERY};

/// How many threads request the price.
pub(crate) const THREADS: u32 = 8;
/// Each thread comes this much later than the one before it, so that the first one is the first to come.
const STAGGER: Duration = Duration::from_millis(2);

/// One request of one thread, with times since the first thread came.
pub(crate) struct Row {
    pub(crate) asked: Duration,
    pub(crate) returned: Duration,
    pub(crate) query: Option<Query>,
    /// The price that the request returned, or `None` if it failed.
    pub(crate) price: Option<u32>,
}

/// A query of the database by the thread itself.
#[derive(Clone, Copy)]
pub(crate) struct Query {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    pub(crate) failed: bool,
}

/// What a request uses to query the database.
pub(crate) struct Visit<'a> {
    database: &'a Database,
    start: Instant,
    query: Option<Query>,
}

impl Visit<'_> {
    /// Queries the database for a price.
    pub(crate) fn query(&mut self, price: u32) -> u32 {
        self.run(QUERY, false);
        price
    }

    /// Queries the database, which fails half-way.
    pub(crate) fn failing_query(&mut self) -> Result<u32, &'static str> {
        self.run(QUERY / 2, true);
        Err("the database does not reply")
    }

    /// Queries the database, and panics half-way.
    pub(crate) fn panicking_query(&mut self) -> u32 {
        self.run(QUERY / 2, true);
        // A panic without the message that the standard library prints in the middle of the picture.
        resume_unwind(Box::new("the creator panics"))
    }

    fn run(&mut self, length: Duration, failed: bool) {
        let began = self.database.query(length);
        self.query = Some(Query { from: began - self.start, to: self.start.elapsed(), failed });
    }
}

/// Lets all threads make the same request, and returns one row for each, in the order in which they came.
pub(crate) fn crowd<E: Send>(request: impl Fn(&mut Visit<'_>) -> Result<u32, E> + Sync) -> Vec<Row> {
    let (database, barrier) = (Database::new(), Barrier::new(THREADS as usize));
    let start = Instant::now();
    let one = |number: u32| {
        barrier.wait();
        thread::sleep(STAGGER * number);
        let mut visit = Visit { database: &database, start, query: None };
        let asked = start.elapsed();
        let result = catch_unwind(AssertUnwindSafe(|| request(&mut visit)));
        let price = result.ok().and_then(Result::ok);
        Row { asked, returned: start.elapsed(), query: visit.query, price }
    };
    let mut rows: Vec<Row> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|number| scope.spawn(move || one(number))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    rows.sort_by_key(|row| row.asked);
    rows
}
