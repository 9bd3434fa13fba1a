//! [`Purges`]: when expired rows are removed, and how.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dogpile_sdk::BackendError;
use dogpile_sdk::error_chain;

use crate::command::{Command, PURGED_ROWS};
use crate::link::{Link, Repeat};

/// The most statements of one purge for each table. The next purge removes the rest.
const STATEMENTS: usize = 100;

/// Decides when this process purges.
///
/// Expired rows are never returned, so purging only frees space. The process that stores a value purges, in the background,
/// if its last purge was long enough ago. A process that only reads never purges, and no thread waits for the next time.
/// Processes that purge at the same time skip each other's rows.
#[derive(Debug)]
pub(crate) struct Purges {
    /// Zero disables purges.
    interval: Duration,
    last: Mutex<Option<Instant>>,
}

impl Purges {
    pub(crate) fn new(interval: Duration) -> Self {
        Purges { interval, last: Mutex::default() }
    }

    /// Starts a purge on the runtime of the caller, if it is time.
    pub(crate) fn after_set(&self, link: &Arc<Link>) {
        if self.is_due(Instant::now()) {
            let link = Arc::clone(link);
            tokio::spawn(async move {
                if let Err(error) = purge(&link).await {
                    log::warn!("cannot purge expired rows: {}", error_chain(&error));
                }
            });
        }
    }

    /// Returns whether a purge is due at `now`, and counts it as done.
    fn is_due(&self, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = !self.interval.is_zero()
            && last.is_none_or(|last| now.saturating_duration_since(last) >= self.interval);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

/// Removes expired rows from both tables.
async fn purge(link: &Link) -> Result<(), BackendError> {
    for command in [Command::PurgeValues, Command::PurgeLocks] {
        for _ in 0..STATEMENTS {
            let removed = link
                .run(link.deadline(), Repeat::Harmless, |session| async move {
                    session.execute(command, &[]).await
                })
                .await?;
            if removed < PURGED_ROWS {
                break;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purge_is_due_once_per_interval() {
        let (purges, now) = (Purges::new(Duration::from_secs(60)), Instant::now());
        assert!(purges.is_due(now));
        assert!(!purges.is_due(now + Duration::from_secs(59)));
        assert!(purges.is_due(now + Duration::from_secs(60)));
        assert!(!Purges::new(Duration::ZERO).is_due(now));
    }
}
