//! [`Alarm`]: the timer of a task that carries calls.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::time::{Sleep, sleep_until};

/// A timer that is set again only for an earlier time.
///
/// To set it takes longer than to ignore it.
#[derive(Debug)]
pub struct Alarm {
    sleep: Pin<Box<Sleep>>,
    at: Instant,
}

impl Alarm {
    /// Creates a timer, in a runtime of tokio that has timers enabled.
    pub fn new(at: Instant) -> Self {
        Alarm { sleep: Box::pin(sleep_until(at.into())), at }
    }

    /// Returns `Ready` if the time has come. That may be before `next`. The alarm is then set for `next`.
    pub fn poll(&mut self, next: Instant, context: &mut Context<'_>) -> Poll<()> {
        if next < self.at {
            self.set(next);
        }
        // Look at the clock as well: the runtime does not look after its timers while its tasks are busy.
        if self.at > Instant::now() && self.sleep.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        // The caller acts now, and asks again for the time after that.
        self.set(next.max(Instant::now()));
        Poll::Ready(())
    }

    /// Returns the time for which it is set.
    pub fn at(&self) -> Instant {
        self.at
    }

    fn set(&mut self, at: Instant) {
        self.at = at;
        self.sleep.as_mut().reset(at.into());
    }
}
