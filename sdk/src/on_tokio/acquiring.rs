//! [`Acquiring`]: waits for a mutex by repeated attempts.
//!
//! A wait can then be canceled between two attempts, when it is certain that the mutex is not held.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::outcome::within;
use crate::async_mutex::{AsyncMutex, BoxedMutex};
use crate::error::{BackendError, ErrorKind};
use crate::error_chain::error_chain;

/// The pause after the first attempt. Each pause is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Whether nobody needs the outcome of a wait any more.
#[derive(Debug, Default)]
pub(super) struct Cancellation {
    is_set: AtomicBool,
    set: Notify,
}

impl Cancellation {
    pub(super) fn set(&self) {
        self.is_set.store(true, SeqCst);
        // This wakes a wait that begins later, too.
        self.set.notify_one();
    }

    fn is_set(&self) -> bool {
        self.is_set.load(SeqCst)
    }
}

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

    /// Acquires the mutex, and returns false at `deadline` or once canceled.
    pub(super) async fn until(
        &self,
        deadline: Instant,
        canceled: &Cancellation,
    ) -> Result<bool, BackendError> {
        let mut pause = FIRST_PAUSE;
        while !self.attempt().await? {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || canceled.is_set() {
                return Ok(false);
            }
            let early = first_of(self.mutex.released(), canceled.set.notified());
            // Whichever ends the pause, another attempt follows.
            let _ = tokio::time::timeout(pause.min(left), early).await;
            if canceled.is_set() {
                return Ok(false);
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        if canceled.is_set() {
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

    /// Returns whether the mutex is held by anybody.
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

    /// Releases a mutex that nobody waits for any more. A failure is logged.
    async fn give_back(&self) {
        match self.release().await {
            Err(error) if error.kind() != ErrorKind::NotHeld => log_failure(&error),
            _ => {}
        }
    }
}

/// Logs that a mutex could not be released in the background.
pub(super) fn log_failure(error: &BackendError) {
    log::warn!("cannot release a mutex that was acquired too late: {}", error_chain(error));
}

/// Returns when one of two futures has ended.
async fn first_of(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|context| {
        let ended = one.as_mut().poll(context).is_ready() || other.as_mut().poll(context).is_ready();
        if ended { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
