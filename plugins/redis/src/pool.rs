//! [`Pool`]: a bounded number of connections to one server.
//!
//! A connection is lent for one exchange at a time. It is closed after any failure, because its next bytes may belong
//! to the reply to an earlier command. An error reply from the server is not a failure of the connection.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, ErrorKind};
use redis::{
    Client, Connection, ConnectionInfo, ConnectionLike, ProtocolVersion, RedisError, RedisResult, Value,
};

use crate::command::{Repeat, Reply};
use crate::config::{ConnectionOptions, RedisConfig, invalid};
use crate::error;

/// The limits and timeouts of the connections to one server.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) size: usize,
    pub(crate) max_idle: usize,
    pub(crate) idle_timeout: Duration,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) retry: bool,
}

impl Limits {
    pub(crate) fn new(config: &RedisConfig, options: &ConnectionOptions) -> Result<Self, BackendError> {
        Ok(Limits {
            size: config.pool_size(),
            max_idle: config.pool_max_idle,
            idle_timeout: config.pool_idle_timeout()?,
            timeout: options.timeout()?,
            connect_timeout: options.connect_timeout()?,
            retry: config.retry_on_reconnect,
        })
    }
}

/// A bounded pool of connections to one server.
pub(crate) struct Pool {
    client: Client,
    address: Arc<str>,
    db: i64,
    limits: Limits,
    connections: Mutex<Connections>,
    returned: Condvar,
}

#[derive(Default)]
struct Connections {
    /// The unused connections, each with the time of its return. The one returned last is lent first.
    idle: Vec<(Connection, Instant)>,
    lent: usize,
}

/// A connection on loan from a pool. It counts toward the pool's limit until it is dropped.
///
/// Dropping it closes the connection, unless it was [given back](Lent::give_back).
pub(crate) struct Lent<'p> {
    pool: &'p Pool,
    connection: Option<Connection>,
    was_kept: bool,
}

impl Pool {
    pub(crate) fn new(server: ConnectionInfo, limits: Limits) -> Result<Self, BackendError> {
        let db = server.redis_settings().db();
        // The client applies the connect timeout to each command of its handshake. Keep the handshake to the login.
        let login = server.redis_settings().clone().set_db(0).set_skip_set_lib_name();
        let address = server.addr().to_string().into();
        let client = Client::open(server.set_redis_settings(login))
            .map_err(|error| invalid("url", "it is not a valid address").with_source(error))?;
        Ok(Pool { client, address, db, limits, connections: Mutex::default(), returned: Condvar::new() })
    }

    /// Returns the server's address.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Returns the server's address and database.
    pub(crate) fn server(&self) -> String {
        format!("{}/{}", self.address(), self.db)
    }

    /// Sends `packed` and waits for `count` replies.
    pub(crate) fn ask(
        &self,
        packed: &[u8],
        count: usize,
        repeat: Repeat,
    ) -> Result<Vec<Reply>, BackendError> {
        let mut lent = self.lend()?;
        let replies = match lent.exchange(packed, count) {
            // The server has probably restarted. All idle connections are then broken, too.
            Err(error)
                if lent.was_kept && self.limits.retry && repeat == Repeat::Harmless && broke(&error) =>
            {
                self.close_idle();
                lent.was_kept = false;
                lent.connection = None;
                lent.exchange(packed, count)
            }
            replies => replies,
        };
        let replies = replies.map_err(|error| self.error(error))?;
        lent.give_back();
        Ok(self.replies(replies))
    }

    /// Returns `values` as the replies of this server.
    pub(crate) fn replies(&self, values: Vec<Value>) -> Vec<Reply> {
        values.into_iter().map(|value| Reply { value, server: Arc::clone(&self.address) }).collect()
    }

    /// Returns `error` as a failure of this server.
    pub(crate) fn error(&self, error: RedisError) -> BackendError {
        error::of(error, &self.address)
    }

    /// Closes all idle connections.
    pub(crate) fn close_idle(&self) {
        let idle = std::mem::take(&mut self.connections().idle);
        drop(idle);
    }

    /// Opens a connection to the configured database, outside the pool's limit.
    pub(crate) fn connect(&self) -> RedisResult<Connection> {
        let mut connection = self.connect_to(&self.client)?;
        if self.db != 0 {
            connection.req_command(redis::cmd("SELECT").arg(self.db))?.extract_error()?;
        }
        Ok(connection)
    }

    /// Opens a connection outside the pool that can receive published messages.
    pub(crate) fn connect_to_listen(&self) -> RedisResult<Connection> {
        let server = self.client.get_connection_info().clone();
        // No `SELECT`: channels do not belong to a database.
        let login = server.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        self.connect_to(&Client::open(server.set_redis_settings(login))?)
    }

    fn connect_to(&self, client: &Client) -> RedisResult<Connection> {
        let connection = client.get_connection_with_timeout(self.limits.connect_timeout)?;
        connection.set_read_timeout(Some(self.limits.timeout))?;
        connection.set_write_timeout(Some(self.limits.timeout))?;
        Ok(connection)
    }

    /// Lends a connection, waiting for one while all are in use.
    pub(crate) fn lend(&self) -> Result<Lent<'_>, BackendError> {
        let Limits { size, timeout, .. } = self.limits;
        let until = Instant::now() + timeout;
        let mut connections = self.connections();
        while connections.lent >= size {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let message = format!(
                    "no free connection to Redis server {}: all {size} were in use for {timeout:?}; raise \"pool_size\"",
                    self.address
                );
                return Err(BackendError::new(ErrorKind::Timeout, message).at_server(&*self.address));
            }
            let waited = self.returned.wait_timeout(connections, left);
            connections = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        connections.lent += 1;
        let kept = connections.idle.pop();
        let fresh = kept.filter(|(_, since)| since.elapsed() < self.limits.idle_timeout);
        // The other idle connections were returned even earlier. Close them all, after unlocking.
        let old = if fresh.is_none() { std::mem::take(&mut connections.idle) } else { Vec::new() };
        drop(connections);
        drop(old);
        let connection = fresh.map(|(connection, _)| connection);
        Ok(Lent { pool: self, was_kept: connection.is_some(), connection })
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        // Ignore poison: no code panics while it holds this lock.
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent<'_> {
    /// Sends `packed`, connecting first if needed.
    pub(crate) fn send(&mut self, packed: &[u8]) -> RedisResult<()> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.pool.connect()?),
        };
        connection.send_packed_command(packed)
    }

    /// Waits for `count` replies.
    pub(crate) fn receive(&mut self, count: usize) -> RedisResult<Vec<Value>> {
        let Some(connection) = &mut self.connection else { return Ok(Vec::new()) };
        (0..count).map(|_| connection.recv_response()).collect()
    }

    fn exchange(&mut self, packed: &[u8], count: usize) -> RedisResult<Vec<Value>> {
        self.send(packed)?;
        self.receive(count)
    }

    /// Returns the connection to the pool. Every reply must have been received.
    pub(crate) fn give_back(mut self) {
        let Some(connection) = self.connection.take() else { return };
        let mut connections = self.pool.connections();
        if connections.idle.len() < self.pool.limits.max_idle {
            connections.idle.push((connection, Instant::now()));
        }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.pool.connections().lent -= 1;
        self.pool.returned.notify_one();
    }
}

/// Returns whether the connection broke, as opposed to timing out.
fn broke(error: &RedisError) -> bool {
    !error.is_timeout() && (error.is_io_error() || error.is_connection_dropped())
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("server", &self.server())
            .field("size", &self.limits.size)
            .finish_non_exhaustive()
    }
}
