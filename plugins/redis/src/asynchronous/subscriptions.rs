//! [`Subscriptions`]: notifies tasks that wait for locks of a server of their releases.
//!
//! All waits share one connection. A task of the [`Listener`] opens it for the first wait, and closes it soon after the last.
//! As for blocking calls, a notification is only a hint, so that waiters also poll.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, ready};
use std::time::Instant;

use dogpile_net::Connector;
use dogpile_sdk::error_chain;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::channels::{Channels, Joined, LINGER, Membership, Next};
use super::failure::broken;
use super::opened::Opened;
use crate::connection::{Deadlines, Failure, Purpose, Server};
use crate::error;
use crate::pool::Limits;
use crate::resp::Expected;

/// The subscriptions to the releases of locks on one server.
pub(super) struct Subscriptions {
    server: Server,
    connector: Arc<Connector>,
    limits: Limits,
    runtime: Handle,
    channels: Mutex<Channels>,
    /// Wakes the listener when a channel was added.
    added: Notify,
}

impl Subscriptions {
    pub(super) fn new(server: Server, connector: Arc<Connector>, limits: Limits, runtime: Handle) -> Self {
        let (channels, added) = (Mutex::default(), Notify::new());
        Subscriptions { server, connector, limits, runtime, channels, added }
    }

    /// Joins the channel `name`, if there can be a subscription. Unless `may_add` is set, there must be one already.
    ///
    /// The subscription begins in the background.
    pub(super) fn join(self: &Arc<Self>, name: &str, may_add: bool) -> Option<Membership> {
        let (membership, joined) = self.channels().join(name, may_add, Instant::now())?;
        match joined {
            Joined::Known => {}
            Joined::Added => self.added.notify_one(),
            Joined::NeedsListener => {
                let listener = Listener { subscriptions: Arc::clone(self), has_ended: false };
                drop(self.runtime.spawn(listener.run()));
            }
        }
        Some(membership)
    }

    fn channels(&self) -> MutexGuard<'_, Channels> {
        // Ignore poison: no code panics while it holds this lock.
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Subscriptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriptions").field("server", &self.server.address).finish_non_exhaustive()
    }
}

/// The task that subscribes to channels and receives their messages. Dropping it early ends the subscriptions.
struct Listener {
    subscriptions: Arc<Subscriptions>,
    /// Whether another listener may start.
    has_ended: bool,
}

impl Listener {
    /// Listens until no task waits.
    async fn run(mut self) {
        if let Err(failure) = self.listen().await {
            let is_garbage = matches!(failure, Failure::Invalid(_));
            let error = error::of(failure, &self.subscriptions.server.address.to_string());
            log::debug!("tasks poll their locks: cannot listen to releases: {}", error_chain(&error));
            let is_refused = !error.is_transient() && !is_garbage;
            self.subscriptions.channels().fail(is_refused, Instant::now());
        }
        self.has_ended = true;
    }

    async fn listen(&self) -> Result<(), Failure> {
        let Subscriptions { server, connector, limits, .. } = &*self.subscriptions;
        let now = Instant::now();
        let ready = now + limits.timeout;
        let deadlines = Deadlines { connected: ready.min(now + limits.connect_timeout), ready };
        let (login, connector) = (&server.profile.login, Arc::clone(connector));
        let mut opened = Opened::open(connector, login, Purpose::Messages, deadlines, limits.value).await?;
        loop {
            let next = self.subscriptions.channels().next(Instant::now(), limits.timeout)?;
            let Next::Send(packed) = next else { return Ok(()) };
            if !packed.is_empty() {
                timeout(limits.timeout, opened.send(&packed)).await.unwrap_or(Err(Failure::TimedOut))?;
            }
            let count = self.received(&mut opened).await?;
            let Opened { decoder, buffer, .. } = &mut opened;
            let mut input = &buffer[..count];
            while !input.is_empty() {
                let message = decoder.decode(&mut input, Expected::Message.limits(limits.value))?;
                if let Some(message) = message {
                    self.subscriptions.channels().receive(message, Instant::now())?;
                }
            }
        }
    }

    /// Waits for bytes, and returns their number. It is 0 when a channel was added, or after a moment.
    async fn received(&self, opened: &mut Opened) -> Result<usize, Failure> {
        let Opened { stream, buffer, .. } = opened;
        let (mut added, mut moment) = (pin!(self.subscriptions.added.notified()), pin!(sleep(LINGER / 2)));
        poll_fn(|context| {
            if added.as_mut().poll(context).is_ready() {
                return Poll::Ready(Ok(0));
            }
            let mut space = ReadBuf::new(buffer);
            if Pin::new(&mut *stream).poll_read(context, &mut space).map_err(broken)?.is_ready() {
                let closed = || broken(io::ErrorKind::UnexpectedEof.into());
                let count = Some(space.filled().len()).filter(|count| *count > 0);
                return Poll::Ready(count.ok_or_else(closed));
            }
            ready!(moment.as_mut().poll(context));
            Poll::Ready(Ok(0))
        })
        .await
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if !self.has_ended {
            self.subscriptions.channels().fail(false, Instant::now());
        }
    }
}
