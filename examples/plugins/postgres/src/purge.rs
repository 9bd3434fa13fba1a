//! [`Purges`]: when expired rows are removed, and how.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, ErrorKind, error_chain};
use tokio::task::AbortHandle;

use crate::command::Command;
use crate::link::{Link, Repeat};
use crate::server::Server;
use crate::session::Session;

/// The most rows that one statement purges, so that it is short.
const MOST_ROWS: u32 = 1000;

/// The most statements of one purge for each table. The next purge removes the rest.
const STATEMENTS: usize = 100;

/// Decides when this process purges.
///
/// Expired rows are never returned, so purging only frees space. The process that stores a value purges, in the background,
/// if its last purge was long enough ago. A process that only reads never purges, and no thread waits for the next time.
/// Processes that purge at the same time skip each other's rows.
///
/// A purge has a connection of its own, because the server runs the statements of a connection one after another.
#[derive(Debug)]
pub(crate) struct Purges {
    server: Arc<Server>,
    /// Zero disables purges.
    interval: Duration,
    rows: Arc<Rows>,
    last: Mutex<Last>,
}

/// The last purge.
#[derive(Debug, Default)]
struct Last {
    begun: Option<Instant>,
    task: Option<AbortHandle>,
}

impl Purges {
    pub(crate) fn new(server: Arc<Server>, interval: Duration) -> Self {
        Purges { server, interval, rows: Arc::new(Rows::default()), last: Mutex::default() }
    }

    /// Starts a purge on the runtime of the caller, if it is time.
    pub(crate) fn after_set(&self) {
        let mut last = self.last();
        if !self.is_due(&mut last, Instant::now()) {
            return;
        }
        let (link, rows) = (Link::new(Arc::clone(&self.server)), Arc::clone(&self.rows));
        let task = tokio::spawn(async move {
            if let Err(error) = purge(&link, &rows).await {
                log::warn!("cannot purge expired rows: {}", error_chain(&error));
            }
        });
        last.task = Some(task.abort_handle());
    }

    /// Ends a purge that is in progress, and closes its connection.
    pub(crate) fn end(&self) {
        self.last().task.take().iter().for_each(AbortHandle::abort);
    }

    /// Returns whether a purge is due at `now`, and counts it as begun. None is due while one is in progress.
    fn is_due(&self, last: &mut Last, now: Instant) -> bool {
        let is_due = !self.interval.is_zero()
            && last.task.as_ref().is_none_or(AbortHandle::is_finished)
            && last.begun.is_none_or(|begun| now.saturating_duration_since(begun) >= self.interval);
        if is_due {
            last.begun = Some(now);
        }
        is_due
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        // Ignore poison: nothing panics while it holds this lock.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many rows a statement removes.
///
/// Large values take long to remove. If the server ends a statement at its time limit, nothing is removed, and the next
/// one has half as many rows. Otherwise no purge would ever get further.
#[derive(Debug)]
struct Rows(AtomicU32);

impl Default for Rows {
    fn default() -> Self {
        Rows(AtomicU32::new(MOST_ROWS))
    }
}

impl Rows {
    fn get(&self) -> u32 {
        self.0.load(Relaxed)
    }

    /// Halves the number, and returns whether it was more than one.
    fn halve(&self) -> bool {
        let rows = self.get();
        self.0.store((rows / 2).max(1), Relaxed);
        rows > 1
    }

    /// Doubles the number for the next purge, whose rows may be smaller.
    fn double(&self) {
        self.0.store((self.get() * 2).min(MOST_ROWS), Relaxed);
    }
}

/// Removes expired rows from both tables.
async fn purge(link: &Link, rows: &Rows) -> Result<(), BackendError> {
    let purged = purge_table(link, Command::PurgeValues, rows).await;
    // Locks are small.
    let locks = purge_table(link, Command::PurgeLocks, &Rows::default()).await;
    rows.double();
    purged.and(locks)
}

async fn purge_table(link: &Link, command: Command, rows: &Rows) -> Result<(), BackendError> {
    for _ in 0..STATEMENTS {
        let most = rows.get();
        match remove(link, command, most).await {
            Ok(removed) if removed < u64::from(most) => break,
            Ok(_) => {}
            // The link is stuck if the server did not even end the statement. Fewer rows would not help then.
            Err(error) if error.kind() == ErrorKind::Timeout && !link.is_stuck() && rows.halve() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Runs a statement that removes at most `rows` rows, and returns how many it removed.
async fn remove(link: &Link, command: Command, rows: u32) -> Result<u64, BackendError> {
    let rows = &i64::from(rows);
    // The server ends the statement at the limit of a call. Its reply comes later.
    let deadline = link.deadline() + link.limit();
    let call = |session: Arc<Session>| async move { session.execute(command, &[rows]).await };
    link.run(deadline, Repeat::Harmless, call).await
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use super::*;
    use crate::config::PostgresConfig;

    fn purges(interval: Duration) -> Purges {
        let config =
            PostgresConfig { url: "postgresql://tea@db/shop".to_owned(), ..PostgresConfig::default() };
        Purges::new(Arc::new(Server::new(&config).unwrap()), interval)
    }

    #[test]
    fn purge_is_due_once_per_interval() {
        let (purges, now) = (purges(Duration::from_secs(60)), Instant::now());
        let is_due = |after| purges.is_due(&mut purges.last(), now + Duration::from_secs(after));
        assert!(is_due(0));
        assert!(!is_due(59));
        assert!(is_due(60));
    }

    #[test]
    fn interval_of_zero_disables_purges() {
        let purges = purges(Duration::ZERO);
        assert!(!purges.is_due(&mut purges.last(), Instant::now()));
    }

    #[test]
    fn rows_are_halved_to_one_and_doubled_to_the_most() {
        let rows = Rows::default();
        let halved: Vec<u32> = std::iter::from_fn(|| rows.halve().then(|| rows.get())).collect();
        assert_eq!(halved, [500, 250, 125, 62, 31, 15, 7, 3, 1]);
        assert_eq!(rows.get(), 1);
        (0..20).for_each(|_| rows.double());
        assert_eq!(rows.get(), MOST_ROWS);
    }
}
