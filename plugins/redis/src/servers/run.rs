//! [`Servers`]: runs commands on the server or servers of a backend.

use std::fmt;

use dogpile_sdk::{BackendError, ErrorKind};
use redis::{Connection, FromRedisValue};

use crate::command::{Access, Command, Repeat, Reply};

/// The server or servers of a backend.
pub(crate) trait Servers: fmt::Debug + Send + Sync + 'static {
    /// Runs `commands` in one round trip per server, and returns the replies in order.
    ///
    /// An error reply from a server is a reply, not an error of this call.
    ///
    /// # Errors
    /// If a server cannot be reached, or if a connection fails. Some of the commands may have been run.
    fn run(
        &self,
        commands: &[Command<'_>],
        access: Access,
        repeat: Repeat,
    ) -> Result<Vec<Reply>, BackendError>;

    /// Returns whether keys may be on different servers.
    ///
    /// If so, each command must have a single key.
    fn is_spread(&self) -> bool;

    /// Returns whether a key and its lock may be on different servers, so that no script can use both.
    fn is_sharded(&self) -> bool {
        false
    }

    /// Returns the backend's scope, which names the servers and the database, and contains no password.
    fn scope(&self) -> String;

    /// Opens a connection to the server of `key` that can receive published messages.
    ///
    /// # Errors
    /// If the server is unknown or cannot be reached.
    fn listen(&self, key: &str) -> Result<Connection, BackendError>;

    /// Makes later reads of `key` see everything that was written before this call.
    fn catch_up(&self, key: &str) {
        let _ = key;
    }
}

/// Runs one command and converts its reply.
pub(crate) fn run_one<T: FromRedisValue>(
    servers: &dyn Servers,
    command: Command<'_>,
    access: Access,
    repeat: Repeat,
) -> Result<T, BackendError> {
    let reply = servers.run(&[command], access, repeat)?.into_iter().next();
    reply.ok_or_else(|| BackendError::new(ErrorKind::Other, "a Redis server sent no reply"))?.read()
}
