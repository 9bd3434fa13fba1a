//! [`Server`]: the connections to one server, and whether it is worth asking.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::address::Address;
use super::connection::Connection;
use super::protocol::When;
use super::{Error, Operation, Options, Outcome};

/// How long a server is left alone that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How often it is tried again before it is out.
    pub attempts: u32,
    /// How long it is left alone before it is tried again.
    pub retry_after: Duration,
    /// How long it is out; its keys may go to others meanwhile.
    pub dead_for: Duration,
}

/// Whether a server that failed a moment ago is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// It is left alone.
    Normal,
    /// It is, unless it is out.
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
    /// The one used last is lent first.
    idle: Vec<Connection>,
    lent: usize,
}

#[derive(Debug, Default)]
struct Health {
    /// How often it failed in a row, and when it did last.
    failures: u32,
    failed_at: Option<Instant>,
}

impl Health {
    /// How long after its last failure it is left alone.
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

    /// Whether it gets its keys, or others do for now.
    pub(super) fn is_in(&self, now: Instant) -> bool {
        let (health, patience) = (locked(&self.health), &self.options.patience);
        health.failures <= patience.attempts || !health.is_resting(patience, now)
    }

    /// Begins to ask it `operations`.
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

    /// Waits until one connection more may be used.
    fn place(&self, deadline: Instant, urgency: Urgency) -> Result<(Place<'_>, Option<Connection>), Error> {
        let now = Instant::now();
        let is_asked = urgency == Urgency::Insisting && self.is_in(now);
        if !is_asked && locked(&self.health).is_resting(&self.options.patience, now) {
            return Err(Error::LeftAlone { server: self.name() });
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

    /// Notes that it failed, closes what connections are kept, and says what it was.
    fn failed(&self, error: io::Error) -> Error {
        let error = self.describe(error);
        log::warn!("{error}");
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
            return Error::Tls { server, what: tls.to_string() };
        }
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
                Error::TimedOut { server, limit: self.options.timeout }
            }
            io::ErrorKind::InvalidData => Error::Confused { server, what: error.to_string() },
            io::ErrorKind::PermissionDenied => Error::Login { server },
            _ => Error::Unreachable { server, source: error },
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

/// A place among the connections, free again when this is dropped.
struct Place<'s>(&'s Server);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        locked(&self.0.connections).lent -= 1;
        self.0.returned.notify_one();
    }
}

/// What is asked of a server in one go.
pub(super) struct Exchange<'s> {
    server: &'s Server,
    operations: Vec<&'s Operation<'s>>,
    /// Of the first of the operations.
    outcomes: Vec<Outcome>,
    deadline: Instant,
    place: Option<Place<'s>>,
    connection: Option<Connection>,
    was_kept: bool,
    /// The operations that were sent and are not answered.
    sent: Range<usize>,
    failed: Option<Arc<Error>>,
}

impl Exchange<'_> {
    /// Sends everything and reads all answers; what came of each operation.
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
            let answer = connection.receive(self.operations[at], (at - first) as u32)?;
            self.outcomes.push(Ok(answer));
        }
        self.sent = 0..0;
        Ok(())
    }

    /// Closes the connection, and begins again on a new one if the old one was kept and broke, as it does when the server
    /// was started anew, and if what was sent does the same when it is done twice.
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

/// Whether doing it twice is doing it once. Adding twice is told apart by what is there then.
fn is_harmless(operation: &Operation<'_>) -> bool {
    match operation {
        Operation::Get { .. } | Operation::Delete { cas: None, .. } => true,
        Operation::Store { when, .. } => !matches!(when, When::Unchanged(_)),
        Operation::Delete { .. } => false,
    }
}

/// How many of `operations` to send before their answers are read: so few that the server, which may stop reading until
/// its answers are read, takes all of them.
fn sent_together(operations: &[&Operation<'_>]) -> usize {
    const MOST: usize = 1000;
    /// Of what is answered by an item.
    const MOST_ASKED: usize = 16 << 10;
    const MOST_STORED: usize = 256 << 10;
    let (mut asked, mut stored) = (0, 0);
    let fits = operations.iter().take(MOST).take_while(|operation| {
        match operation {
            Operation::Get { key } | Operation::Delete { key, .. } => asked += key.len() + 32,
            Operation::Store { key, value, .. } => stored += key.len() + value.len() + 64,
        }
        asked <= MOST_ASKED && stored <= MOST_STORED
    });
    fits.count().max(1)
}

/// Nothing panics while one of these is locked.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn much_is_sent_in_parts_and_one_thing_in_any_case() {
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
    fn a_server_rests_after_a_failure_and_longer_when_it_is_out() {
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
