//! [`Wakeups`]: notifies the waiters of a lock when it is released.
//!
//! A release is published on the lock's channel. A waiter subscribes to it on a separate connection. The notification
//! is only a hint. Python does not publish its releases, nothing is published when a lock expires, and the user may
//! lack the right to the channel. Waiters therefore also poll the lock.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dogpile_sdk::lease::LeaseWait;
use dogpile_sdk::{BackendError, error_chain};

use crate::command::Request;
use crate::connection::{Connection, Failure};
use crate::error;
use crate::resp::{Expected, Value};
use crate::servers::Servers;

/// The maximum number of subscribed connections of a backend. Further waiters only poll.
const MAX_LISTENERS: usize = 16;

/// The longest pause that is not worth a connection.
///
/// A pause is a sixteenth of the time waited so far, so only waiters that have waited for a while subscribe.
pub(crate) const SHORT: Duration = Duration::from_millis(1);

/// The subscriptions of a backend to the releases of locks.
#[derive(Debug)]
pub(crate) struct Wakeups {
    servers: Arc<dyn Servers>,
    /// The names of the locks with a subscription.
    names: Mutex<BTreeSet<String>>,
    /// Whether a subscription failed permanently.
    ///
    /// The server may be too old, or the user may lack the right.
    refused: AtomicBool,
}

impl Wakeups {
    pub(crate) fn new(servers: Arc<dyn Servers>) -> Self {
        Wakeups { servers, names: Mutex::default(), refused: AtomicBool::new(false) }
    }

    /// Returns the channel on which the release of the lock `name` is published.
    pub(crate) fn channel(name: &str) -> String {
        format!("{name}:released")
    }

    pub(crate) fn wait(self: &Arc<Self>, name: String) -> Box<dyn LeaseWait> {
        Box::new(Wait { wakeups: Arc::clone(self), name, subscription: Subscription::NotYet })
    }

    /// Begins to subscribe to a lock's releases, unless it has a subscription or the limit is reached.
    ///
    /// A thread subscribes, because a waiter may have less time than connecting takes. It ends within the limit of an
    /// exchange, and closes the connection if the waiter is gone.
    fn begin(self: &Arc<Self>, name: &str) -> Option<Receiver<Listening>> {
        let place = self.place(name)?;
        let (ready, subscription) = channel();
        let subscribe = move || {
            if let Some(listening) = Wakeups::listen(place) {
                // It fails if the waiter is gone.
                let _ = ready.send(listening);
            }
        };
        let started = thread::Builder::new().name("dogpile-wakeup".into()).spawn(subscribe);
        started.is_ok().then_some(subscription)
    }

    /// Reserves a subscription to the releases of the lock `name`.
    fn place(self: &Arc<Self>, name: &str) -> Option<Place> {
        let mut names = self.names();
        if self.refused.load(Ordering::Relaxed) || names.len() >= MAX_LISTENERS || names.contains(name) {
            return None;
        }
        names.insert(name.to_owned());
        Some(Place { wakeups: Arc::clone(self), name: name.to_owned() })
    }

    fn listen(place: Place) -> Option<Listening> {
        match place.wakeups.subscribe(&place.name) {
            Ok(connection) => Some(Listening { connection, _place: place }),
            Err(error) => {
                let cause = error_chain(&error);
                log::debug!("waiters poll their locks: cannot subscribe to releases: {cause}");
                place.wakeups.refused.fetch_or(!error.is_transient(), Ordering::Relaxed);
                None
            }
        }
    }

    fn subscribe(&self, name: &str) -> Result<Connection, BackendError> {
        let channel = Wakeups::channel(name);
        // It waits for the reply: from then on, no release is missed.
        self.servers.listen(name, &Request::default().with(&["SUBSCRIBE", &channel], Expected::Message))
    }

    fn names(&self) -> MutexGuard<'_, BTreeSet<String>> {
        // Ignore poison: no code panics while it holds this lock.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait for one lock.
struct Wait {
    wakeups: Arc<Wakeups>,
    name: String,
    subscription: Subscription,
}

/// The state of a waiter's subscription.
enum Subscription {
    /// The wait has been too short for a subscription.
    NotYet,
    /// A thread is subscribing.
    Begun(Receiver<Listening>),
    Open(Box<Listening>),
    /// The subscription failed or was not allowed. The waiter only polls.
    Failed,
}

/// A connection that is subscribed to a channel. Dropping it closes the connection.
struct Listening {
    connection: Connection,
    _place: Place,
}

/// A lock's entry in [`Wakeups::names`], removed on drop.
struct Place {
    wakeups: Arc<Wakeups>,
    name: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.wakeups.names().remove(&self.name);
    }
}

impl LeaseWait for Wait {
    fn pause(&mut self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        if matches!(self.subscription, Subscription::NotYet) && limit > SHORT {
            let begun = self.wakeups.begin(&self.name);
            self.subscription = begun.map_or(Subscription::Failed, Subscription::Begun);
        }
        match &mut self.subscription {
            Subscription::Begun(subscription) => match subscription.recv_timeout(limit) {
                // Poll at once: the lock may have been released before we subscribed.
                Ok(listening) => self.subscription = Subscription::Open(Box::new(listening)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.subscription = Subscription::Failed,
            },
            Subscription::Open(listening) => match listening.receive(until) {
                Ok(is_released) => return is_released,
                Err(error) => {
                    let error = error::of(error, &self.wakeups.servers.scope());
                    log::debug!("a waiter polls its lock: its subscription ended: {}", error_chain(&error));
                    self.subscription = Subscription::Failed;
                }
            },
            Subscription::NotYet | Subscription::Failed => {
                thread::sleep(until.saturating_duration_since(Instant::now()));
            }
        }
        false
    }
}

impl Listening {
    /// Waits until `until` and returns whether a release was published.
    fn receive(&mut self, until: Instant) -> Result<bool, Failure> {
        self.connection.set_deadline(until);
        loop {
            match self.connection.receive(Expected::Message) {
                Ok(Value::Push(message)) if is_release(&message) => return Ok(true),
                // Another push message, such as a confirmation.
                Ok(_) => {}
                Err(Failure::TimedOut) => return Ok(false),
                Err(failure) => return Err(failure),
            }
        }
    }
}

/// Returns whether a push message is one that was published on a channel.
fn is_release(message: &[Value]) -> bool {
    matches!(message.first(), Some(Value::Bulk(kind)) if kind == b"message")
}
