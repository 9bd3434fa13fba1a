//! [`LogLimit`]: keeps the warnings of an outage from filling the log.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::CreationTime;

/// The least time between two records, in milliseconds.
const PAUSE: u64 = 10_000;

/// Lets one record pass in ten seconds, and counts the others.
///
/// When a server fails, each call notices it. Without a limit, each call would log it, too. Each kind of record has a limit
/// of its own, and so has each server, backend, or region:
///
/// ```
/// use dogpile_sdk::LogLimit;
///
/// #[derive(Default)]
/// struct Server {
///     failures: LogLimit,
/// }
///
/// let server = Server::default();
/// let logged: Vec<String> = (1..=1000)
///     .filter_map(|number| server.failures.pass().map(|suppressed| format!("call {number} failed{suppressed}")))
///     .collect();
/// assert_eq!(logged, ["call 1 failed"]);
/// ```
///
/// The record after a pause ends with the number of those that were left out, as in `call 1001 failed (999 such records
/// were suppressed)`. A limit takes no lock.
#[derive(Debug, Default)]
pub struct LogLimit {
    /// The time of the last record, in milliseconds, plus one. Zero if there was none.
    last: AtomicU64,
    suppressed: AtomicU64,
}

impl LogLimit {
    /// Creates a limit that lets the next record pass.
    pub const fn new() -> Self {
        LogLimit { last: AtomicU64::new(0), suppressed: AtomicU64::new(0) }
    }

    /// Returns how many records were suppressed before this one. `None` suppresses this one, too.
    pub fn pass(&self) -> Option<Suppressed> {
        self.pass_at(CreationTime::now())
    }

    /// As [`pass`](Self::pass), at the time `now` of the caller's clock.
    pub fn pass_at(&self, now: CreationTime) -> Option<Suppressed> {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "times before 1970 and after the year 500,000,000 count as the first and the last one"
        )]
        let now = ((now.as_seconds() * 1e3).round() as u64).saturating_add(1);
        let last = self.last.load(Ordering::Relaxed);
        // The clock may have been set back.
        let is_due = last == 0 || now < last || now - last >= PAUSE;
        if is_due && self.last.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            return Some(Suppressed(self.suppressed.swap(0, Ordering::Relaxed)));
        }
        self.suppressed.fetch_add(1, Ordering::Relaxed);
        None
    }
}

/// How many records were suppressed before one that is logged. It is shown as the end of that record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suppressed(u64);

impl Suppressed {
    /// Returns the number of suppressed records.
    pub fn count(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Suppressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            1 => f.write_str(" (one such record was suppressed)"),
            count => write!(f, " ({count} such records were suppressed)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_record_passes_in_ten_seconds_and_counts_the_others() {
        let limit = LogLimit::new();
        let pass = |second| limit.pass_at(CreationTime::from_seconds(second)).map(Suppressed::count);
        assert_eq!(
            [0.0, 1.0, 9.9, 10.0, 19.0, 20.5].map(pass),
            [Some(0), None, None, Some(2), None, Some(1)]
        );
        assert_eq!([5.0, 6.0].map(pass), [Some(0), None], "the clock was set back");
    }

    #[test]
    fn threads_pass_one_record_and_count_all_others() {
        let limit = LogLimit::new();
        let pass = || limit.pass_at(CreationTime::from_seconds(1e9));
        std::thread::scope(|scope| {
            let threads = [(); 8].map(|()| scope.spawn(|| (0..1000).filter_map(|_| pass()).count()));
            assert_eq!(threads.map(|thread| thread.join().unwrap_or(0)).iter().sum::<usize>(), 1);
        });
        assert_eq!(limit.pass_at(CreationTime::from_seconds(2e9)), Some(Suppressed(7999)));
    }

    #[test]
    fn suppressed_records_are_counted_in_the_text() {
        let shown = [0, 1, 2].map(|count| format!("it failed{}", Suppressed(count)));
        let expected = [
            "it failed",
            "it failed (one such record was suppressed)",
            "it failed (2 such records were suppressed)",
        ];
        assert_eq!(shown, expected);
    }
}
