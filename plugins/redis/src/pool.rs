//! [`Pool`]: exchanges with one server, over a bounded number of connections.
//!
//! A connection is lent for one exchange at a time. It is closed after any failure, because its next bytes may belong
//! to the reply to an earlier command. An error reply from the server is not a failure of the connection.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dogpile_net::{Busy, Connector, Loan, PoolLimits};
use dogpile_sdk::bounds::invalid;
use dogpile_sdk::{BackendError, LogLimit};

use crate::command::{Repeat, Reply, Request};
use crate::config::{ConnectionOptions, RedisConfig};
use crate::connection::{Connection, Deadlines, Failure, Purpose, Server};
use crate::error;
use crate::guards::Guards;
use crate::resp::{Expected, Value};

/// The limits and timeouts of the connections to one server.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) connections: PoolLimits,
    /// The limit of an exchange: connecting, waiting for a connection, and the retry included.
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) retry: bool,
    pub(crate) check_replies: bool,
    /// The most bytes of a value.
    pub(crate) value: usize,
    /// The number of connections for asynchronous calls.
    #[cfg(feature = "tokio")]
    pub(crate) async_connections: usize,
}

impl Limits {
    pub(crate) fn new(config: &RedisConfig, options: &ConnectionOptions) -> Result<Self, BackendError> {
        let size = config.pool_size.or(options.max_connections).unwrap_or(32);
        if size == 0 {
            return Err(invalid("max_connections", "0 is too low; use at least 1"));
        }
        Ok(Limits {
            connections: PoolLimits {
                size,
                max_idle: config.pool_max_idle,
                idle_timeout: config.pool_idle_timeout()?,
            },
            timeout: options.timeout()?,
            connect_timeout: options.connect_timeout()?,
            retry: config.retry_on_reconnect,
            check_replies: config.check_replies,
            value: config.max_value_bytes,
            #[cfg(feature = "tokio")]
            async_connections: config.async_connections,
        })
    }
}

/// The connections to one server.
pub(crate) struct Pool {
    server: Server,
    address: Arc<str>,
    connector: Connector,
    limits: Limits,
    connections: dogpile_net::Pool<Connection>,
    /// Whether the last exchange ended in a timeout.
    is_stuck: Arc<AtomicBool>,
    guards: Guards,
    /// The limit of warnings about unrequested replies.
    unrequested: LogLimit,
}

/// A connection on loan from a pool, for one exchange.
///
/// Dropping it closes the connection, unless its exchange [ended](Lent::end) well.
pub(crate) struct Lent<'p> {
    pool: &'p Pool,
    deadline: Instant,
    loan: Loan<'p, Connection>,
    /// The kind of the reply to the guard, if one was sent.
    guard: Option<Expected>,
}

/// Logs that a connection was closed because of a reply that belongs to no command.
pub(crate) fn warn_of_unrequested(limit: &LogLimit, address: &str) {
    if let Some(suppressed) = limit.pass() {
        log::warn!("closed a connection to Redis server {address}: it sent an unrequested reply{suppressed}");
    }
}

impl Pool {
    pub(crate) fn new(server: Server, limits: Limits) -> Self {
        let (address, connector) = (server.address.to_string().into(), server.connector());
        let connections = dogpile_net::Pool::new(limits.connections);
        let (is_stuck, guards) = (Arc::default(), Guards::new(limits.check_replies));
        let unrequested = LogLimit::new();
        Pool { server, address, connector, limits, connections, is_stuck, guards, unrequested }
    }

    /// Returns the server's address.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Returns the server's address and database.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.address(), self.server.profile.login.db)
    }

    /// Returns how to connect to the server, and the limits of connections.
    #[cfg(feature = "tokio")]
    pub(crate) fn settings(&self) -> (&Server, &Limits) {
        (&self.server, &self.limits)
    }

    /// Returns what is known of the server: whether the last exchange ended in a timeout, and whether it rejects guards.
    #[cfg(feature = "tokio")]
    pub(crate) fn known(&self) -> [Arc<AtomicBool>; 2] {
        [Arc::clone(&self.is_stuck), Arc::clone(self.guards.is_off())]
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
            Err(Failure::Broken(_)) if lent.may_retry(repeat) => {
                self.close_idle();
                lent.loan.close();
                lent.exchange(request)
            }
            replies => replies,
        };
        lent.end(replies)
    }

    /// Closes all idle connections.
    pub(crate) fn close_idle(&self) {
        self.connections.close_idle();
    }

    /// Closes the idle connections of the parent process, as far as no lock of the parent is in the way.
    pub(crate) fn abandon(&self) {
        self.connections.abandon();
    }

    /// Opens a connection outside the pool that can receive published messages, and sends `request` on it.
    ///
    /// # Errors
    /// If the connection fails, or the server rejects the request.
    pub(crate) fn listen(&self, request: &Request, deadline: Instant) -> Result<Connection, BackendError> {
        let listen = || {
            let mut connection = self.open(Purpose::Messages, deadline)?;
            connection.send(request.packed(false))?;
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
        Connection::open(&self.connector, &self.server.profile.login, purpose, deadlines, self.limits.value)
    }

    /// Lends a connection, waiting for one until `deadline` while all are in use.
    pub(crate) fn lend(&self, deadline: Instant) -> Result<Lent<'_>, BackendError> {
        match self.connections.lend(deadline) {
            Ok(loan) => Ok(Lent { pool: self, deadline, loan, guard: None }),
            Err(Busy { size, waited }) => Err(self.failed(Failure::Busy { size, waited })),
        }
    }

    /// Records and describes a failure.
    fn failed(&self, failure: Failure) -> BackendError {
        let is_stuck = matches!(failure, Failure::TimedOut | Failure::Busy { .. });
        self.is_stuck.store(is_stuck, Ordering::Relaxed);
        error::of(failure, &self.address)
    }
}

impl Lent<'_> {
    /// Returns whether a request may be sent again on a new connection, after this one broke.
    fn may_retry(&self, repeat: Repeat) -> bool {
        self.loan.is_reused() && self.pool.limits.retry && repeat == Repeat::Harmless
    }

    /// Sends `request`, connecting first if needed.
    pub(crate) fn send(&mut self, request: &Request) -> Result<(), Failure> {
        self.close_if_confused();
        let (pool, deadline) = (self.pool, self.deadline);
        let connection = self.loan.open(|| pool.open(Purpose::Commands, deadline))?;
        self.guard = pool.guards.guard(request, connection);
        connection.send(request.packed(self.guard.is_some()))
    }

    /// Prepares a kept connection, or closes it if the server has sent something that belongs to no command.
    fn close_if_confused(&mut self) {
        let Some(connection) = self.loan.connection() else { return };
        connection.set_deadline(self.deadline);
        let is_confused = match connection.has_unread() {
            Ok(has_unread) => has_unread,
            // What has arrived is not even valid for TLS.
            Err(Failure::Tls(_)) => true,
            // A broken connection is noticed, and perhaps replaced, when the request is sent.
            Err(_) => false,
        };
        if is_confused {
            warn_of_unrequested(&self.pool.unrequested, &self.pool.address);
            self.loan.close();
        }
    }

    /// Waits for the replies to `request`.
    pub(crate) fn receive(&mut self, request: &Request) -> Result<Vec<Value>, Failure> {
        let Some(connection) = self.loan.connection() else {
            return Err(Failure::Broken(Arc::new(io::ErrorKind::NotConnected.into())));
        };
        let replies = request.expected.iter().map(|expected| connection.receive(*expected));
        let replies = replies.collect::<Result<Vec<_>, _>>()?;
        if let Some(guard) = self.guard {
            self.pool.guards.receive(guard, connection)?;
        }
        connection.finish().map(|()| replies)
    }

    fn exchange(&mut self, request: &Request) -> Result<Vec<Value>, Failure> {
        self.send(request)?;
        self.receive(request)
    }

    /// Ends the loan. Gives the connection back if all replies were received, and closes it otherwise.
    pub(crate) fn end(self, replies: Result<Vec<Value>, Failure>) -> Result<Vec<Reply>, BackendError> {
        let (pool, waited) = (self.pool, self.loan.waited());
        match replies {
            Ok(values) => {
                self.loan.keep();
                if pool.is_stuck() {
                    pool.is_stuck.store(false, Ordering::Relaxed);
                }
                let reply = |value| Reply { value, server: Arc::clone(&pool.address) };
                Ok(values.into_iter().map(reply).collect())
            }
            Err(Failure::TimedOut) if waited > pool.limits.timeout / 2 => {
                Err(pool.failed(Failure::Busy { size: pool.limits.connections.size, waited }))
            }
            Err(failure) => Err(pool.failed(failure)),
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("server", &self.name())
            .field("size", &self.limits.connections.size)
            .finish_non_exhaustive()
    }
}
