//! [`Pool`]: a bounded number of connections to one server.
//!
//! A connection is lent for one exchange at a time. It is closed after any failure, because its next bytes may belong
//! to the reply to an earlier command. An error reply from the server is not a failure of the connection.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dogpile_sdk::BackendError;

use crate::command::{Repeat, Reply, Request};
use crate::config::{ConnectionOptions, RedisConfig, invalid};
use crate::connection::{Connection, Deadlines, Failure, Purpose, Resolver, Server};
use crate::error;
use crate::resp::{Expected, Value};

/// The limits and timeouts of the connections to one server.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) size: usize,
    pub(crate) max_idle: usize,
    pub(crate) idle_timeout: Duration,
    /// The limit of an exchange: connecting, waiting for a connection, and the retry included.
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) retry: bool,
    /// The most bytes of a value.
    pub(crate) value: usize,
}

impl Limits {
    pub(crate) fn new(config: &RedisConfig, options: &ConnectionOptions) -> Result<Self, BackendError> {
        let size = config.pool_size.or(options.max_connections).unwrap_or(32);
        if size == 0 {
            return Err(invalid("max_connections", "0 is too low; use at least 1"));
        }
        Ok(Limits {
            size,
            max_idle: config.pool_max_idle,
            idle_timeout: config.pool_idle_timeout()?,
            timeout: options.timeout()?,
            connect_timeout: options.connect_timeout()?,
            retry: config.retry_on_reconnect,
            value: config.max_value_bytes,
        })
    }
}

/// A bounded pool of connections to one server.
pub(crate) struct Pool {
    server: Server,
    address: Arc<str>,
    resolver: Resolver,
    limits: Limits,
    connections: Mutex<Connections>,
    returned: Condvar,
    /// Whether the last exchange ended in a timeout.
    is_stuck: AtomicBool,
}

#[derive(Default)]
struct Connections {
    /// The unused connections, each with the time of its last loan. The one returned last is lent first.
    idle: Vec<(Connection, Instant)>,
    lent: usize,
    /// The number of callers that wait for a connection.
    waiting: usize,
}

/// A connection on loan from a pool. It counts toward the pool's limit until it is dropped.
///
/// Dropping it closes the connection, unless its exchange [ended](Lent::end) well.
pub(crate) struct Lent<'p> {
    pool: &'p Pool,
    since: Instant,
    deadline: Instant,
    /// The time for which the caller waited until it got the connection.
    waited: Duration,
    connection: Option<Connection>,
    was_kept: bool,
    /// Whether every reply has been received, so that the connection can be used again.
    is_finished: bool,
}

impl Pool {
    pub(crate) fn new(server: Server, limits: Limits) -> Self {
        let address = server.address.to_string().into();
        let (resolver, connections, is_stuck) = Default::default();
        Pool { server, address, resolver, limits, connections, returned: Condvar::new(), is_stuck }
    }

    /// Returns the server's address.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Returns the server's address and database.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.address(), self.server.profile.login.db)
    }

    /// Returns the deadline of an exchange that begins now.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.limits.timeout
    }

    /// Returns whether the last exchange ended in a timeout.
    pub(crate) fn is_stuck(&self) -> bool {
        self.is_stuck.load(Ordering::Relaxed)
    }

    /// Sends `request` and waits for its replies until `deadline`.
    pub(crate) fn ask(
        &self,
        request: &Request,
        repeat: Repeat,
        deadline: Instant,
    ) -> Result<Vec<Reply>, BackendError> {
        let mut lent = self.lend(deadline)?;
        let replies = match lent.exchange(request) {
            // The server has probably restarted. All idle connections are then broken, too.
            Err(Failure::Broken(_)) if lent.was_kept && self.limits.retry && repeat == Repeat::Harmless => {
                self.close_idle();
                lent.was_kept = false;
                lent.connection = None;
                lent.exchange(request)
            }
            replies => replies,
        };
        lent.end(replies)
    }

    /// Closes all idle connections.
    pub(crate) fn close_idle(&self) {
        let idle = std::mem::take(&mut self.connections().idle);
        drop(idle);
    }

    /// Closes the idle connections of the parent process, as far as no lock of the parent is in the way.
    pub(crate) fn abandon(&self) {
        if let Ok(mut connections) = self.connections.try_lock() {
            connections.idle.clear();
        }
    }

    /// Opens a connection outside the pool that can receive published messages, and sends `request` on it.
    ///
    /// # Errors
    /// If the connection fails, or the server rejects the request.
    pub(crate) fn listen(&self, request: &Request, deadline: Instant) -> Result<Connection, BackendError> {
        let listen = || {
            let mut connection = self.open(Purpose::Messages, deadline)?;
            connection.send(&request.packed)?;
            match connection.receive(Expected::Message)? {
                Value::Error(error) => Err(Failure::Rejected(error)),
                _ => Ok(connection),
            }
        };
        listen().map_err(|failure| error::of(failure, &self.address))
    }

    fn open(&self, purpose: Purpose, deadline: Instant) -> Result<Connection, Failure> {
        let connected = deadline.min(Instant::now() + self.limits.connect_timeout);
        let deadlines = Deadlines { connected, ready: deadline };
        Connection::open(&self.server, &self.resolver, purpose, deadlines, self.limits.value)
    }

    /// Lends a connection, waiting for one until `deadline` while all are in use.
    pub(crate) fn lend(&self, deadline: Instant) -> Result<Lent<'_>, BackendError> {
        let (begun, mut since) = (Instant::now(), None);
        let mut connections = self.connections();
        if connections.lent >= self.limits.size {
            connections = self.wait(connections, deadline);
            since = Some(Instant::now());
            let waited = begun.elapsed();
            if connections.lent >= self.limits.size {
                drop(connections);
                return Err(self.failed(Failure::Busy { size: self.limits.size, waited }));
            }
        }
        connections.lent += 1;
        let since = since.unwrap_or(begun);
        let kept = connections.idle.pop();
        let fresh =
            kept.filter(|(_, last)| since.saturating_duration_since(*last) < self.limits.idle_timeout);
        // The other idle connections were returned even earlier. Close them all, after unlocking.
        let old = if fresh.is_none() { std::mem::take(&mut connections.idle) } else { Vec::new() };
        drop(connections);
        drop(old);
        let connection = fresh.map(|(connection, _)| connection);
        let waited = since - begun;
        let was_kept = connection.is_some();
        Ok(Lent { pool: self, since, deadline, waited, connection, was_kept, is_finished: false })
    }

    /// Waits until a connection is free, or until `deadline`.
    fn wait<'c>(
        &self,
        mut connections: MutexGuard<'c, Connections>,
        deadline: Instant,
    ) -> MutexGuard<'c, Connections> {
        connections.waiting += 1;
        while connections.lent >= self.limits.size {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.returned.wait_timeout(connections, left);
            connections = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        connections.waiting -= 1;
        connections
    }

    /// Ends a loan, and keeps the connection if there is one.
    fn take_back(&self, connection: Option<(Connection, Instant)>) {
        let mut connections = self.connections();
        connections.lent -= 1;
        let has_room = connections.idle.len() < self.limits.max_idle;
        let (kept, surplus) = if has_room { (connection, None) } else { (None, connection) };
        connections.idle.extend(kept);
        let is_awaited = connections.waiting > 0;
        drop(connections);
        drop(surplus);
        if is_awaited {
            self.returned.notify_one();
        }
    }

    /// Records and describes a failure.
    fn failed(&self, failure: Failure) -> BackendError {
        let is_stuck = matches!(failure, Failure::TimedOut | Failure::Busy { .. });
        self.is_stuck.store(is_stuck, Ordering::Relaxed);
        error::of(failure, &self.address)
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        // Ignore poison: no code panics while it holds this lock.
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent<'_> {
    /// Sends `request`, connecting first if needed.
    pub(crate) fn send(&mut self, request: &Request) -> Result<(), Failure> {
        self.close_if_confused();
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.pool.open(Purpose::Commands, self.deadline)?),
        };
        connection.send(&request.packed)
    }

    /// Prepares a kept connection, or closes it if the server has sent something that belongs to no command.
    fn close_if_confused(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        connection.set_deadline(self.deadline);
        // A broken connection is noticed, and perhaps replaced, when the request is sent.
        if let Ok(true) = connection.has_unread() {
            log::warn!(
                "closed a connection to Redis server {}: it sent an unrequested reply",
                self.pool.address
            );
            self.connection = None;
            self.was_kept = false;
        }
    }

    /// Waits for the replies to `request`.
    pub(crate) fn receive(&mut self, request: &Request) -> Result<Vec<Value>, Failure> {
        let Some(connection) = &mut self.connection else {
            return Err(io::Error::from(io::ErrorKind::NotConnected).into());
        };
        let replies = request.expected.iter().map(|expected| connection.receive(*expected));
        let replies = replies.collect::<Result<Vec<_>, _>>()?;
        connection.finish().map(|()| replies)
    }

    fn exchange(&mut self, request: &Request) -> Result<Vec<Value>, Failure> {
        self.send(request)?;
        self.receive(request)
    }

    /// Ends the loan. Gives the connection back if all replies were received, and closes it otherwise.
    pub(crate) fn end(mut self, replies: Result<Vec<Value>, Failure>) -> Result<Vec<Reply>, BackendError> {
        let pool = self.pool;
        match replies {
            Ok(values) => {
                self.is_finished = true;
                drop(self);
                if pool.is_stuck() {
                    pool.is_stuck.store(false, Ordering::Relaxed);
                }
                let reply = |value| Reply { value, server: Arc::clone(&pool.address) };
                Ok(values.into_iter().map(reply).collect())
            }
            Err(Failure::TimedOut) if self.waited > pool.limits.timeout / 2 => {
                Err(pool.failed(Failure::Busy { size: pool.limits.size, waited: self.waited }))
            }
            Err(failure) => Err(pool.failed(failure)),
        }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        // Close an unfinished connection first, so that there are never more than the limit.
        let finished = self.connection.take().filter(|_| self.is_finished);
        self.pool.take_back(finished.map(|connection| (connection, self.since)));
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("server", &self.name())
            .field("size", &self.limits.size)
            .finish_non_exhaustive()
    }
}
