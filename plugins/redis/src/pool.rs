//! [`Pool`]: a bounded number of connections to one server.
//!
//! A connection is lent to one command at a time. After any failure other than an answer of the server it is closed:
//! what comes next on it may be the answer to an earlier command.

use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, ErrorKind};
use redis::{Client, Connection, ConnectionLike, RedisResult};

use crate::config::RedisConfig;
use crate::error;

/// Whether a command may be sent twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Doing it twice is doing it once.
    Harmless,
    /// It must not be done twice.
    Never,
}

pub(crate) struct Pool {
    client: Client,
    size: usize,
    max_idle: usize,
    timeout: Duration,
    connect_timeout: Duration,
    retry: bool,
    connections: Mutex<Connections>,
    returned: Condvar,
}

#[derive(Default)]
struct Connections {
    /// The one used last is lent first.
    idle: Vec<Connection>,
    lent: usize,
}

/// A place among the connections, free again when this is dropped, however the command ended.
struct Place<'p>(&'p Pool);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.connections().lent -= 1;
        self.0.returned.notify_one();
    }
}

impl Pool {
    pub(crate) fn new(config: &RedisConfig) -> Result<Self, BackendError> {
        Ok(Pool {
            client: Client::open(config.connection()?).map_err(error::of)?,
            size: config.pool_size,
            max_idle: config.pool_max_idle,
            timeout: config.timeout()?,
            connect_timeout: config.connect_timeout()?,
            retry: config.retry_on_reconnect,
            connections: Mutex::default(),
            returned: Condvar::new(),
        })
    }

    /// The server's address and database.
    pub(crate) fn server(&self) -> String {
        let server = self.client.get_connection_info();
        format!("{}/{}", server.addr(), server.redis_settings().db())
    }

    /// Runs `command` on a connection.
    pub(crate) fn run<T>(
        &self,
        repeat: Repeat,
        command: impl Fn(&mut Connection) -> RedisResult<T>,
    ) -> Result<T, BackendError> {
        let _place = self.place()?;
        let kept = self.connections().idle.pop();
        let was_kept = kept.is_some();
        let answer = self.on(kept, &command);
        match answer {
            // A server that was started anew has closed the connection, and all others that wait here.
            Err(error) if was_kept && self.retry && repeat == Repeat::Harmless && broke(&error) => {
                let dead = std::mem::take(&mut self.connections().idle);
                drop(dead);
                self.on(None, &command)
            }
            answer => answer,
        }
        .map_err(error::of)
    }

    fn on<T>(
        &self,
        kept: Option<Connection>,
        command: impl Fn(&mut Connection) -> RedisResult<T>,
    ) -> RedisResult<T> {
        let mut connection = kept.map_or_else(|| self.connect(), Ok)?;
        let answer = command(&mut connection);
        let sound = answer.as_ref().map_or_else(|error| error.code().is_some(), |_| true);
        let mut connections = self.connections();
        if sound && connection.is_open() && connections.idle.len() < self.max_idle {
            connections.idle.push(connection);
        }
        answer
    }

    fn connect(&self) -> RedisResult<Connection> {
        let connection = self.client.get_connection_with_timeout(self.connect_timeout)?;
        connection.set_read_timeout(Some(self.timeout))?;
        connection.set_write_timeout(Some(self.timeout))?;
        Ok(connection)
    }

    /// Waits until one connection more may be used.
    fn place(&self) -> Result<Place<'_>, BackendError> {
        let until = Instant::now() + self.timeout;
        let mut connections = self.connections();
        while connections.lent >= self.size {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let message = format!(
                    "all {} connections were in use for {:?}; raise \"pool_size\"",
                    self.size, self.timeout
                );
                return Err(BackendError::new(ErrorKind::Timeout, message));
            }
            let waited = self.returned.wait_timeout(connections, left);
            connections = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        connections.lent += 1;
        drop(connections);
        Ok(Place(self))
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        // Nothing panics while it is locked.
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the connection broke, rather than being slow.
fn broke(error: &redis::RedisError) -> bool {
    !error.is_timeout() && (error.is_io_error() || error.is_connection_dropped())
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("server", &self.server())
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
