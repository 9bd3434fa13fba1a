//! [`Servers`]: runs commands on the server or servers of a backend.

use std::fmt;
use std::time::Instant;

use dogpile_sdk::PerProcess;
use dogpile_sdk::{BackendError, ErrorKind};

use crate::command::{Access, Command, Repeat, Reply, Request};
use crate::connection::Connection;

/// The server or servers of a backend.
pub(crate) trait Servers: fmt::Debug + Send + Sync + 'static {
    /// Runs `commands` in one round trip per server, and returns the replies in order.
    ///
    /// All of it ends within `socket_timeout`. An error reply from a server is a reply, not an error of this call.
    ///
    /// # Errors
    /// If a server cannot be reached in time, or if a connection fails. Some of the commands may have been run.
    fn run(
        &self,
        commands: &[Command<'_>],
        access: Access,
        repeat: Repeat,
    ) -> Result<Vec<Reply>, BackendError> {
        self.run_until(commands, access, repeat, self.next_deadline())
    }

    /// Runs `commands` as [`run`](Self::run) does, until `deadline` if that is earlier.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    fn run_until(
        &self,
        commands: &[Command<'_>],
        access: Access,
        repeat: Repeat,
        deadline: Instant,
    ) -> Result<Vec<Reply>, BackendError>;

    /// Returns the deadline of a call that begins now.
    fn next_deadline(&self) -> Instant;

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

    /// Returns a name for the server of `key`, as far as it is known without asking. It is empty if there is one server.
    fn server(&self, key: &str) -> String {
        let _ = key;
        String::new()
    }

    /// Opens a connection to the server of `key` that can receive published messages, and sends `request` on it.
    ///
    /// # Errors
    /// If the server is unknown, cannot be reached in time, or rejects the request.
    fn listen(&self, key: &str, request: &Request) -> Result<Connection, BackendError>;

    /// Makes later reads of `key` see everything that was written before this call.
    fn catch_up(&self, key: &str) {
        let _ = key;
    }

    /// Returns whether the last exchange with the server of `key` ended in a timeout.
    fn is_stuck(&self, key: &str) -> bool;

    /// Closes the connections that the parent process opened, in a forked child. Waits for no lock of the parent.
    fn abandon(&self);
}

impl<S: Servers> Servers for PerProcess<S> {
    fn run_until(
        &self,
        commands: &[Command<'_>],
        access: Access,
        repeat: Repeat,
        deadline: Instant,
    ) -> Result<Vec<Reply>, BackendError> {
        self.get().run_until(commands, access, repeat, deadline)
    }

    fn next_deadline(&self) -> Instant {
        self.any().next_deadline()
    }

    fn is_spread(&self) -> bool {
        self.any().is_spread()
    }

    fn is_sharded(&self) -> bool {
        self.any().is_sharded()
    }

    fn scope(&self) -> String {
        self.any().scope()
    }

    fn server(&self, key: &str) -> String {
        self.get().server(key)
    }

    fn listen(&self, key: &str, request: &Request) -> Result<Connection, BackendError> {
        self.get().listen(key, request)
    }

    fn catch_up(&self, key: &str) {
        self.get().catch_up(key);
    }

    fn is_stuck(&self, key: &str) -> bool {
        self.get().is_stuck(key)
    }

    fn abandon(&self) {
        self.any().abandon();
    }
}

/// Returns the reply to a call of one command.
pub(crate) fn only(replies: Vec<Reply>) -> Result<Reply, BackendError> {
    let reply = replies.into_iter().next();
    reply.ok_or_else(|| BackendError::new(ErrorKind::Other, "a Redis server sent no reply"))
}
