//! [`Acquiring`]: waits for a mutex by repeated attempts.
//!
//! A wait can then be canceled between two attempts, when it is certain that the mutex is not held.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use super::outcome::within;
use crate::async_mutex::{AsyncMutex, BoxedMutex};
use crate::error::{BackendError, ErrorKind};
use crate::error_chain::error_chain;
use crate::log_limit::LogLimit;

/// The pause after the first attempt. Each pause is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// The longest pause between two attempts. It also bounds how long a canceled wait goes on.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// A mutex, and whether it is held through us. Clones are the same mutex.
#[derive(Clone, Debug)]
pub(super) struct Acquiring {
    mutex: BoxedMutex,
    is_held: Arc<AtomicBool>,
    /// The time limit of each attempt, and of a release.
    limit: Duration,
}

impl Acquiring {
    pub(super) fn new(mutex: BoxedMutex, is_held: Arc<AtomicBool>, limit: Duration) -> Self {
        Acquiring { mutex, is_held, limit }
    }

    /// Acquires the mutex, and returns false at `deadline`, or soon after `canceled` is set.
    pub(super) async fn until(&self, deadline: Instant, canceled: &AtomicBool) -> Result<bool, BackendError> {
        let mut pause = FIRST_PAUSE;
        while !self.attempt().await? {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || canceled.load(SeqCst) {
                return Ok(false);
            }
            // Another attempt follows, whether the pause ended early or not.
            let _ = tokio::time::timeout(pause.min(left), self.mutex.released()).await;
            if canceled.load(SeqCst) {
                return Ok(false);
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        if canceled.load(SeqCst) {
            self.give_back().await;
            return Ok(false);
        }
        Ok(true)
    }

    /// Releases the mutex.
    pub(super) async fn release(&self) -> Result<(), BackendError> {
        let outcome = within("release", self.limit, self.mutex.release()).await;
        if outcome.as_ref().err().is_none_or(|error| error.kind() == ErrorKind::NotHeld) {
            self.is_held.store(false, SeqCst);
        }
        outcome
    }

    /// Returns whether the mutex is held.
    pub(super) async fn locked(&self) -> Result<bool, BackendError> {
        self.mutex.locked().await
    }

    /// Tries once. An attempt that takes too long is dropped, and undone in the background.
    async fn attempt(&self) -> Result<bool, BackendError> {
        let outcome = within("try_acquire", self.limit, self.mutex.try_acquire()).await;
        match &outcome {
            Ok(true) => self.is_held.store(true, SeqCst),
            // A mutex that is held already stays held, whatever became of this attempt.
            Err(error) if error.kind() == ErrorKind::Timeout && !self.is_held.load(SeqCst) => {
                let undone = self.clone();
                tokio::spawn(async move { undone.give_back().await });
            }
            _ => {}
        }
        outcome
    }

    /// Releases a mutex whose caller no longer waits for it. A failure is logged.
    async fn give_back(&self) {
        match self.release().await {
            Err(error) if error.kind() != ErrorKind::NotHeld => log_failure(&error),
            _ => {}
        }
    }
}

/// Logs that a mutex could not be released in the background.
pub(super) fn log_failure(error: &BackendError) {
    static LIMIT: LogLimit = LogLimit::new();

    if let Some(suppressed) = LIMIT.pass() {
        let error = error_chain(error);
        log::warn!("cannot release a mutex that was acquired too late: {error}{suppressed}");
    }
}
