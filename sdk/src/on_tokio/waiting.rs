//! Blocking a thread until a call has its outcome.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use super::outcome::timed_out;
use crate::blocking::blocking;
use crate::completion::Completion;
use crate::error::BackendError;
use crate::pending::Pending;
use crate::running::Running;

/// How much longer than its time limit a call may take, because the runtime ends it and needs a moment for that.
const GRACE: Duration = Duration::from_secs(1);

/// Begins a call and blocks until its outcome is there, for at most `limit` and a second.
pub(super) fn outcome<T: Send + 'static>(
    operation: &'static str,
    limit: Duration,
    begin: impl FnOnce(Completion<T>) -> Running,
) -> Result<T, BackendError> {
    outcome_of(operation, limit, Pending::begin(begin))
}

/// Blocks until the outcome of `pending` is there, for at most `limit` and a second. Cancels the call then.
pub(super) fn outcome_of<T>(
    operation: &'static str,
    limit: Duration,
    pending: Pending<T>,
) -> Result<T, BackendError> {
    let end = limit.checked_add(GRACE).and_then(|most| Instant::now().checked_add(most));
    blocking(|| wait_until(end, pending).unwrap_or_else(|| Err(timed_out(operation, limit))))
}

/// Returns the output of `future`, or `None` at `end`.
fn wait_until<F: Future>(end: Option<Instant>, future: F) -> Option<F::Output> {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        if !bell.wait_until(end) {
            return None;
        }
    }
}

/// Wakes a blocked thread. `thread::park` would not do: it may take a wake-up that an executor on this thread needs.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    ringing: Condvar,
}

impl Bell {
    /// Blocks until the bell rings, and returns false if `end` comes first.
    fn wait_until(&self, end: Option<Instant>) -> bool {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        while !*rung {
            let Some(end) = end else {
                rung = self.ringing.wait(rung).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            rung = self.ringing.wait_timeout(rung, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *rung = false;
        true
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.ringing.notify_one();
    }
}
