//! [`Driver`]: the task that carries the calls of a lane to a server.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use dogpile_net::{Alarm, Lane};

use super::call::Call;
use super::link::Link;
use crate::client::{Deadlines, Error, Failure, Invalid, Target};

/// The time after which an unused connection is closed.
const IDLE: Duration = Duration::from_secs(60);

/// The task that carries the calls of a lane to a server. It opens the connection, and closes it when it is idle.
///
/// Dropping it early ends the lane's calls, so that none waits for a task that is gone.
pub(super) struct Driver {
    lane: Arc<Lane<Call>>,
    target: Arc<Target>,
    /// Whether the lane is idle. Another driver may serve it from then on.
    has_ended: bool,
}

impl Driver {
    pub(super) fn new(lane: Arc<Lane<Call>>, target: Arc<Target>) -> Self {
        Driver { lane, target, has_ended: false }
    }

    /// Runs until the lane is idle.
    pub(super) async fn run(mut self) {
        while !self.lane.end() {
            match self.connect().await {
                Ok(link) => self.serve(link).await,
                Err(failure) => {
                    // Record it before any caller goes on.
                    let error = self.target.failed(&failure);
                    end(self.lane.drain(), error);
                }
            }
        }
        self.has_ended = true;
    }

    /// Opens the connection. Meanwhile, calls whose deadline passes are ended.
    ///
    /// # Errors
    /// If it cannot be opened, or if it takes so long that a call cannot wait for it any longer.
    async fn connect(&self) -> Result<Link, Failure> {
        let (begun, options) = (Instant::now(), self.target.options());
        let ready = begun + options.timeout;
        let deadlines = Deadlines { connected: ready.min(begun + options.connect_timeout), ready };
        let mut opening = pin!(Link::open(Arc::clone(&self.target), deadlines));
        let mut alarm = Alarm::new(ready);
        poll_fn(|context| {
            self.lane.watch(context.waker());
            if let Poll::Ready(opened) = opening.as_mut().poll(context) {
                return Poll::Ready(opened);
            }
            let next = || self.lane.earliest().unwrap_or_else(|| Instant::now() + options.timeout);
            while alarm.poll(next(), context).is_ready() {
                let now = Instant::now();
                let is_any_expired = self.lane.earliest().is_some_and(|earliest| earliest <= now);
                if is_any_expired && now.saturating_duration_since(begun) >= options.timeout / 2 {
                    return Poll::Ready(Err(Failure::TimedOut));
                }
                self.expire(now);
            }
            Poll::Pending
        })
        .await
    }

    /// Carries calls over `link` until it fails, or until it has been idle for a while.
    async fn serve(&self, mut link: Link) {
        let mut idle_since = Instant::now();
        let mut alarm = Alarm::new(idle_since + IDLE);
        let failure = poll_fn(|context| {
            if let Poll::Ready(failure) = link.poll(&self.lane, context) {
                return Poll::Ready(Some(failure));
            }
            loop {
                let next = link.earliest().into_iter().chain(self.lane.earliest()).min();
                if alarm.poll(next.unwrap_or(idle_since + IDLE), context).is_pending() {
                    return Poll::Pending;
                }
                let now = Instant::now();
                if let Err(failure) = link.expire(now) {
                    return Poll::Ready(Some(failure));
                }
                self.expire(now);
                // The alarm may be that of a call that has ended since. Then only the idle time matters.
                if !link.is_idle() || link.has_received_since(idle_since) {
                    idle_since = now;
                } else if now >= idle_since + IDLE {
                    return Poll::Ready(None);
                }
            }
        })
        .await;
        if let Some(failure) = failure {
            self.close(link, &failure);
        }
    }

    /// Ends the waits of calls that were not sent by their deadline.
    fn expire(&self, now: Instant) {
        let expired = self.lane.expire(now);
        if !expired.is_empty() {
            end(expired, self.target.error(&Failure::TimedOut));
        }
    }

    fn close(&self, link: Link, failure: &Failure) {
        if link.is_idle() && matches!(failure, Failure::Invalid(Invalid::Unread)) {
            self.target.warn_of_unrequested();
        }
        self.lane.put_back(link.close(failure));
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if !self.has_ended {
            self.lane.abandon();
        }
    }
}

/// Ends the waits of calls that were not sent.
fn end(calls: impl IntoIterator<Item = Call>, error: Error) {
    let error = Arc::new(error);
    calls.into_iter().for_each(|mut call| call.fail(&error));
}
