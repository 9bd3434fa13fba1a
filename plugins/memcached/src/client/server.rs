//! [`Server`]: the connections to one server, and its health.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dogpile_sdk::error_chain;

use super::address::Address;
use super::connection::Connection;
use super::error::{Error, Outcome};
use super::options::{Options, Patience};
use super::protocol::{Operation, When};

/// Whether to use a server that failed a moment ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Do not use it before its retry time.
    Normal,
    /// Use it, unless it is dead.
    Insisting,
}

pub(super) struct Server {
    address: Address,
    options: Options,
    connections: Mutex<Connections>,
    returned: Condvar,
    health: Mutex<Health>,
}

#[derive(Default)]
struct Connections {
    /// The unused connections. The one returned last is lent first.
    idle: Vec<Connection>,
    lent: usize,
}

#[derive(Debug, Default)]
struct Health {
    /// The number of failures in a row.
    failures: u32,
    /// The time of the last failure.
    failed_at: Option<Instant>,
}

impl Health {
    /// Returns the time after the last failure for which the server is not used.
    fn rest(&self, patience: &Patience) -> Duration {
        if self.failures > patience.attempts { patience.dead_for } else { patience.retry_after }
    }

    fn is_resting(&self, patience: &Patience, now: Instant) -> bool {
        self.failed_at.is_some_and(|failed_at| now.saturating_duration_since(failed_at) < self.rest(patience))
    }
}

impl Server {
    pub(super) fn new(address: Address, options: &Options) -> Self {
        let (connections, returned, health) = Default::default();
        Server { address, options: options.clone(), connections, returned, health }
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Returns whether the server is not dead. Other servers may have the keys of a dead one.
    pub(super) fn is_in(&self, now: Instant) -> bool {
        let (health, patience) = (locked(&self.health), &self.options.patience);
        health.failures <= patience.attempts || !health.is_resting(patience, now)
    }

    /// Begins an exchange, and reserves a connection for it.
    pub(super) fn begin<'s>(&'s self, operations: Vec<&'s Operation<'s>>, urgency: Urgency) -> Exchange<'s> {
        let outcomes = Vec::with_capacity(operations.len());
        let deadline = Instant::now() + self.options.timeout;
        let mut exchange = Exchange {
            server: self,
            operations,
            outcomes,
            deadline,
            place: None,
            connection: None,
            was_kept: false,
            sent: 0..0,
            failed: None,
        };
        match self.place(deadline, urgency) {
            Ok((place, connection)) => {
                exchange.place = Some(place);
                exchange.was_kept = connection.is_some();
                exchange.connection = connection;
            }
            Err(error) => exchange.failed = Some(Arc::new(error)),
        }
        exchange
    }

    /// Waits until another connection may be used.
    fn place(&self, deadline: Instant, urgency: Urgency) -> Result<(Place<'_>, Option<Connection>), Error> {
        let now = Instant::now();
        let is_asked = urgency == Urgency::Insisting && self.is_in(now);
        if !is_asked && locked(&self.health).is_resting(&self.options.patience, now) {
            return Err(Error::Resting { server: self.name() });
        }
        let mut connections = locked(&self.connections);
        while connections.lent >= self.options.pool_size {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let (size, limit) = (self.options.pool_size, self.options.timeout);
                return Err(Error::Busy { server: self.name(), size, limit });
            }
            let waited = self.returned.wait_timeout(connections, left);
            connections = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        connections.lent += 1;
        let connection = connections.idle.pop();
        drop(connections);
        Ok((Place(self), connection))
    }

    fn name(&self) -> String {
        self.address.to_string()
    }

    fn succeeded(&self) {
        let mut health = locked(&self.health);
        if health.failed_at.is_some() {
            *health = Health::default();
        }
    }

    /// Records and logs a failure, closes the idle connections, and returns the error.
    fn failed(&self, error: io::Error) -> Error {
        let error = self.describe(error);
        log::warn!("{}", error_chain(&error));
        let mut health = locked(&self.health);
        health.failures = health.failures.saturating_add(1);
        health.failed_at = Some(Instant::now());
        drop(health);
        let idle = std::mem::take(&mut locked(&self.connections).idle);
        drop(idle);
        error
    }

    fn describe(&self, error: io::Error) -> Error {
        let server = self.name();
        if let Some(tls) = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
            return Error::Tls { server, source: Arc::new(tls.clone()) };
        }
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
                Error::TimedOut { server, limit: self.options.timeout }
            }
            io::ErrorKind::InvalidData => Error::Confused { server, what: error.to_string() },
            io::ErrorKind::PermissionDenied => Error::Login { server },
            _ => Error::Unreachable { server, source: Arc::new(error) },
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

/// A reserved connection. Dropping it ends the reservation.
struct Place<'s>(&'s Server);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        locked(&self.0.connections).lent -= 1;
        self.0.returned.notify_one();
    }
}

/// Operations that are sent to a server together.
pub(super) struct Exchange<'s> {
    server: &'s Server,
    operations: Vec<&'s Operation<'s>>,
    /// The outcomes of the first operations.
    outcomes: Vec<Outcome>,
    deadline: Instant,
    place: Option<Place<'s>>,
    connection: Option<Connection>,
    was_kept: bool,
    /// The operations that were sent and have no reply yet.
    sent: Range<usize>,
    failed: Option<Arc<Error>>,
}

impl Exchange<'_> {
    /// Sends all operations, reads all replies, and returns the outcomes.
    pub(super) fn finish(mut self) -> Vec<Outcome> {
        while self.failed.is_none() && self.outcomes.len() < self.operations.len() {
            let step = if self.sent.is_empty() { self.try_to_send() } else { self.try_to_receive() };
            if let Err(error) = step {
                self.recover(error);
            }
        }
        if let Some(error) = self.failed.take() {
            let (outcomes, count) = (&mut self.outcomes, self.operations.len());
            outcomes.resize_with(count, || Err(Arc::clone(&error)));
        } else {
            self.server.succeeded();
            if let Some(connection) = self.connection.take() {
                locked(&self.server.connections).idle.push(connection);
            }
        }
        drop(self.place.take());
        self.outcomes
    }

    fn try_to_send(&mut self) -> io::Result<()> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(Connection::connect(&self.server.address, &self.server.options)?),
        };
        let begin = self.outcomes.len();
        let end = begin + sent_together(&self.operations[begin..]);
        connection.set_deadline(self.deadline);
        connection.send(&self.operations[begin..end])?;
        self.sent = begin..end;
        Ok(())
    }

    fn try_to_receive(&mut self) -> io::Result<()> {
        let Some(connection) = &mut self.connection else { return Err(io::ErrorKind::NotConnected.into()) };
        let first = self.sent.start;
        for at in self.sent.clone() {
            let reply = connection.receive(self.operations[at], (at - first) as u32)?;
            self.outcomes.push(Ok(reply));
        }
        self.sent = 0..0;
        Ok(())
    }

    /// Closes the connection, and starts again on a new one if possible.
    ///
    /// That is possible if the old one was an idle connection that broke, as after a restart of the server, and if
    /// repeating the operations is harmless.
    fn recover(&mut self, error: io::Error) {
        self.connection = None;
        let broke = !matches!(
            error.kind(),
            io::ErrorKind::TimedOut
                | io::ErrorKind::WouldBlock
                | io::ErrorKind::InvalidData
                | io::ErrorKind::PermissionDenied
        );
        let left = &self.operations[self.outcomes.len()..];
        if std::mem::take(&mut self.was_kept) && broke && left.iter().all(|operation| is_harmless(operation))
        {
            locked(&self.server.connections).idle.clear();
            self.sent = 0..0;
        } else {
            self.failed = Some(Arc::new(self.server.failed(error)));
        }
    }
}

/// Returns whether repeating `operation` is harmless. After a repeated add, its caller looks at the stored value.
fn is_harmless(operation: &Operation<'_>) -> bool {
    match operation {
        Operation::Get { .. } | Operation::Delete { cas: None, .. } => true,
        Operation::Store { when, .. } => !matches!(when, When::Unchanged(_)),
        Operation::Delete { .. } => false,
    }
}

/// Returns how many of `operations` to send before reading their replies.
///
/// A server may stop reading until its replies are read, so it must be able to accept all of them.
fn sent_together(operations: &[&Operation<'_>]) -> usize {
    const MOST: usize = 1000;
    /// The most bytes of requests whose reply is an item.
    const MOST_READ: usize = 16 << 10;
    const MOST_STORED: usize = 256 << 10;
    let (mut asked, mut stored) = (0, 0);
    let fits = operations.iter().take(MOST).take_while(|operation| {
        match operation {
            Operation::Get { key } | Operation::Delete { key, .. } => asked += key.len() + 32,
            Operation::Store { key, value, .. } => stored += key.len() + value.len() + 64,
        }
        asked <= MOST_READ && stored <= MOST_STORED
    });
    fits.count().max(1)
}

/// Locks `mutex`. No holder panics, so poison carries no meaning.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_list_is_sent_in_parts() {
        let keys: Vec<_> = (0..3000).map(|number| format!("key {number}")).collect();
        let gets: Vec<_> = keys.iter().map(|key| Operation::Get { key }).collect();
        let gets: Vec<_> = gets.iter().collect();
        assert!((100..1000).contains(&sent_together(&gets)));
        assert_eq!(sent_together(&gets[..7]), 7);
        let value = vec![0; 1 << 20];
        let store = Operation::Store { key: "key", value: &value, flags: 0, expiry: 0, when: When::Always };
        assert_eq!(sent_together(&[&store, &store]), 1);
    }

    #[test]
    fn failed_server_rests_and_dead_one_rests_longer() {
        let patience =
            Patience { attempts: 1, retry_after: Duration::from_secs(1), dead_for: Duration::from_secs(60) };
        let now = Instant::now();
        let mut health = Health::default();
        assert!(!health.is_resting(&patience, now));
        for (failures, rests) in [(1, 1), (2, 60)] {
            health = Health { failures, failed_at: Some(now) };
            let rests = Duration::from_secs(rests);
            assert!(health.is_resting(&patience, now + rests - Duration::from_millis(1)));
            assert!(!health.is_resting(&patience, now + rests));
        }
        assert_eq!(health.failures, 2);
    }
}
