//! [`Driver`]: the task that carries the calls of a lane to a server.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll};
use std::time::Instant;

use dogpile_net::{Alarm, Connector};
use dogpile_sdk::LogLimit;

use super::call::{Call, Delivery};
use super::link::Link;
use super::route::{Open, Route};
use crate::connection::{Deadlines, Failure, Login};
use crate::pool::{Limits, warn_of_unrequested};
use crate::resp::Invalid;

/// The task that carries the calls of a lane to a server. It opens the connection, and closes it when it is idle.
///
/// Dropping it early ends the lane's calls, so that none waits for a task that is gone.
pub(super) struct Driver {
    pub(super) route: Arc<Route>,
    pub(super) connector: Arc<Connector>,
    pub(super) login: Login,
    pub(super) address: Arc<str>,
    pub(super) limits: Limits,
    /// Whether the server rejects guards.
    pub(super) is_unguarded: Arc<AtomicBool>,
    /// The limit of warnings about unrequested replies.
    pub(super) unrequested: Arc<LogLimit>,
    /// Whether the lane is idle. Another driver may serve it from then on.
    pub(super) has_ended: bool,
}

impl Driver {
    /// Runs until the lane is idle.
    pub(super) async fn run(mut self) {
        while !self.route.lane.end() {
            match self.connect().await {
                Ok(link) => self.serve(link).await,
                Err(failure) => end(self.route.lane.drain(), &failure),
            }
        }
        self.has_ended = true;
    }

    /// Opens the connection. Meanwhile, calls whose deadline passes are ended.
    async fn connect(&self) -> Result<Link, Failure> {
        let now = Instant::now();
        let ready = now + self.limits.timeout;
        let deadlines = Deadlines { connected: ready.min(now + self.limits.connect_timeout), ready };
        let connector = Arc::clone(&self.connector);
        let (limits, is_unguarded) = (self.limits.clone(), Arc::clone(&self.is_unguarded));
        let mut opening = pin!(Link::open(connector, &self.login, deadlines, limits, is_unguarded));
        let mut alarm = Alarm::new(ready);
        poll_fn(|context| {
            self.route.lane.watch(context.waker());
            if let Poll::Ready(opened) = opening.as_mut().poll(context) {
                return Poll::Ready(opened);
            }
            let next = || self.route.lane.earliest().unwrap_or_else(|| Instant::now() + self.limits.timeout);
            while alarm.poll(next(), context).is_ready() {
                end(self.route.lane.expire(Instant::now()), &Failure::TimedOut);
            }
            Poll::Pending
        })
        .await
    }

    /// Carries calls over `link` until it fails, or until it has been idle for a while.
    async fn serve(&self, link: Link) {
        let begun = Instant::now();
        let mut idle_since = begun;
        let mut alarm = Alarm::new(begun + self.limits.connections.idle_timeout);
        *self.route.open() = Some(Open::new(link));
        let ended = poll_fn(|context| {
            let mut open = self.route.open();
            let Some(shared) = &mut *open else { return Poll::Ready(None) };
            let polled = self.step(shared, &mut alarm, &mut idle_since, context);
            let deliveries = shared.link.deliveries();
            // Take it out under the lock, so that no caller sends on it any more.
            let ended = polled.map(|failure| open.take().map(|open| (open.link, failure)));
            drop(open);
            deliveries.into_iter().for_each(Delivery::run);
            ended
        })
        .await;
        if let Some((link, Some(failure))) = ended {
            self.close(link, &failure);
        }
    }

    /// Sends, receives, and ends calls whose deadline has passed. Returns the failure that ends the connection, or `None` if
    /// it is no longer used.
    fn step(
        &self,
        open: &mut Open,
        alarm: &mut Alarm,
        idle_since: &mut Instant,
        context: &mut Context<'_>,
    ) -> Poll<Option<Failure>> {
        let (link, lane) = (&mut open.link, &self.route.lane);
        if let Poll::Ready(failure) = link.poll(lane, context) {
            return Poll::Ready(Some(failure));
        }
        loop {
            let idle_until = *idle_since + self.limits.connections.idle_timeout;
            let next = link.earliest().into_iter().chain(lane.earliest()).min().unwrap_or(idle_until);
            if alarm.poll(next, context).is_pending() {
                open.driver.clone_from(context.waker());
                open.alarm = alarm.at();
                return Poll::Pending;
            }
            let now = Instant::now();
            end(lane.expire(now), &Failure::TimedOut);
            if let Err(failure) = link.expire(now) {
                return Poll::Ready(Some(failure));
            }
            // The alarm may be that of a call that has ended since. Then only the idle time matters.
            if !link.is_idle() || link.has_received_since(*idle_since) {
                *idle_since = now;
            } else if now >= idle_until {
                return Poll::Ready(None);
            }
        }
    }

    fn close(&self, link: Link, failure: &Failure) {
        if link.is_idle() && matches!(failure, Failure::Invalid(Invalid::Unread)) {
            warn_of_unrequested(&self.unrequested, &self.address);
        }
        self.route.lane.put_back(link.close(failure));
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if !self.has_ended {
            self.route.abandon();
        }
    }
}

/// Ends the waits of calls that were not sent.
fn end(calls: impl IntoIterator<Item = Call>, failure: &Failure) {
    for mut call in calls {
        call.complete(Err(failure.clone()));
    }
}
