//! [`Tally`]: the results of a region's users.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::plan::{COLUMNS, Plan, milliseconds};

/// The result of a request.
#[derive(Debug)]
pub(super) enum Served {
    Fresh,
    Stale,
    /// The message of the error.
    Error(String),
}

/// The results of a region's users.
#[derive(Debug, Default, Serialize)]
pub(super) struct Tally {
    pub(super) requests: u64,
    pub(super) fresh: u64,
    pub(super) stale: u64,
    pub(super) errors: u64,
    pub(super) creations: u64,
    /// The most creations of one key within a second.
    pub(super) most_creations_per_key_and_second: u64,
    /// How long the slowest request took, in milliseconds.
    pub(super) slowest_ms: f64,
    pub(super) first_error: Option<String>,
    pub(super) columns: Vec<Column>,
}

/// The results in one part of the time.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Column {
    pub(super) fresh: u64,
    pub(super) stale: u64,
    pub(super) errors: u64,
    pub(super) creations: u64,
}

impl Tally {
    pub(super) fn new() -> Self {
        Tally { columns: vec![Column::default(); COLUMNS], ..Tally::default() }
    }

    /// Counts a request that was made at `began` and took `took`.
    pub(super) fn count(&mut self, plan: &Plan, began: Duration, took: Duration, served: Served) {
        let column = &mut self.columns[plan.column(began)];
        self.requests += 1;
        self.slowest_ms = self.slowest_ms.max(milliseconds(took));
        match served {
            Served::Fresh => (self.fresh, column.fresh) = (self.fresh + 1, column.fresh + 1),
            Served::Stale => (self.stale, column.stale) = (self.stale + 1, column.stale + 1),
            Served::Error(error) => {
                (self.errors, column.errors) = (self.errors + 1, column.errors + 1);
                self.first_error.get_or_insert(error);
            }
        }
    }

    /// Adds the requests of another worker of the same region.
    pub(super) fn add(&mut self, other: Tally) {
        self.requests += other.requests;
        self.fresh += other.fresh;
        self.stale += other.stale;
        self.errors += other.errors;
        self.slowest_ms = self.slowest_ms.max(other.slowest_ms);
        self.first_error = self.first_error.take().or(other.first_error);
        for (column, more) in self.columns.iter_mut().zip(other.columns) {
            column.fresh += more.fresh;
            column.stale += more.stale;
            column.errors += more.errors;
        }
    }

    /// Counts creations, each given as its key and when it began, in order.
    pub(super) fn count_creations(&mut self, plan: &Plan, creations: &[(u64, Duration)]) {
        let mut of_key: BTreeMap<u64, Vec<Duration>> = BTreeMap::new();
        for (key, began) in creations {
            self.columns[plan.column(*began)].creations += 1;
            of_key.entry(*key).or_default().push(*began);
        }
        self.creations = creations.len() as u64;
        self.most_creations_per_key_and_second =
            of_key.values_mut().map(|began| most_within(began, Duration::from_secs(1))).max().unwrap_or(0);
    }
}

/// Returns the largest number of `moments` in any window of this length.
fn most_within(moments: &mut [Duration], window: Duration) -> u64 {
    moments.sort();
    let mut first = 0;
    let most = moments.iter().enumerate().map(|(last, moment)| {
        while moments[first] + window <= *moment {
            first += 1;
        }
        last + 1 - first
    });
    most.max().unwrap_or(0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::Simulation;

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn requests_and_creations_are_counted_by_part() {
        let plan = Plan::of(&Simulation { seconds: 5, workers: 1, keys: 1, seed: 1 });
        let (mut tally, mut other) = (Tally::new(), Tally::new());
        tally.count(&plan, at(0), at(3), Served::Fresh);
        other.count(&plan, at(150), at(7), Served::Stale);
        other.count(&plan, at(4_999), at(1), Served::Error("broken".to_owned()));
        tally.add(other);
        tally.count_creations(&plan, &[(1, at(0)), (2, at(100)), (1, at(900)), (1, at(1_500))]);
        assert_eq!((tally.requests, tally.fresh, tally.stale, tally.errors), (3, 1, 1, 1));
        assert_eq!((tally.slowest_ms, tally.first_error.as_deref()), (7.0, Some("broken")));
        let parts = [0, 1, 49].map(|part| {
            let Column { fresh, stale, errors, creations } = tally.columns[part];
            [fresh, stale, errors, creations]
        });
        assert_eq!(parts, [[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 1, 0]]);
        assert_eq!((tally.creations, tally.most_creations_per_key_and_second), (4, 2));
    }

    #[test]
    fn moments_are_counted_in_the_fullest_window() {
        let most = |moments: &[u64]| {
            most_within(&mut moments.iter().map(|time| at(*time)).collect::<Vec<_>>(), at(1000))
        };
        assert_eq!([most(&[]), most(&[0, 1000]), most(&[999, 0, 2500])], [0, 1, 2]);
        assert_eq!(most(&[0, 100, 3000, 3100, 3200, 9000]), 3);
    }
}
