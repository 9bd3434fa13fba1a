//! [`Error`]: why a server did not run an operation.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::protocol::Reply;

/// Why a server did not run an operation.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server cannot be reached, or the connection broke.
    #[error("cannot reach memcached server {server}: the connection failed or was closed")]
    Unreachable {
        /// The server.
        server: String,
        /// The failure of the connection.
        source: Arc<io::Error>,
    },
    /// The server did not reply in time.
    #[error("memcached server {server} timed out: it did not reply within {limit:?}")]
    TimedOut {
        /// The server.
        server: String,
        /// The timeout.
        limit: Duration,
    },
    /// The server sent a reply that does not match the request.
    #[error("memcached server {server} sent an invalid reply: {what}")]
    Confused {
        /// The server.
        server: String,
        /// The part of the reply that is invalid.
        what: String,
    },
    /// The server rejected the user name or the password.
    #[error("memcached server {server} rejected the login; check \"username\" and \"password\"")]
    Login {
        /// The server.
        server: String,
    },
    /// The TLS handshake failed.
    #[error(
        "cannot open a TLS connection to memcached server {server}: the handshake failed; check \"tls_context\""
    )]
    Tls {
        /// The server.
        server: String,
        /// The failure of the handshake.
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// All allowed connections to the server are in use.
    #[error(
        "no free connection to memcached server {server}: all {size} were in use for {limit:?}; raise \"pool_size\""
    )]
    Busy {
        /// The server.
        server: String,
        /// The number of connections.
        size: usize,
        /// The time waited for a connection.
        limit: Duration,
    },
    /// The server failed a moment ago and is not used for a while.
    #[error("memcached server {server} is not used for now: it failed a moment ago; retry later")]
    Resting {
        /// The server.
        server: String,
    },
    /// All servers of the key failed a moment ago.
    #[error("no memcached server is available for the key: all of them failed a moment ago; retry later")]
    NoServer,
}

impl Error {
    /// Returns the address of the server that failed, or `None` if several did.
    pub fn server(&self) -> Option<&str> {
        match self {
            Error::Unreachable { server, .. }
            | Error::TimedOut { server, .. }
            | Error::Confused { server, .. }
            | Error::Login { server }
            | Error::Tls { server, .. }
            | Error::Busy { server, .. }
            | Error::Resting { server } => Some(server),
            Error::NoServer => None,
        }
    }
}

/// The result of one operation.
pub type Outcome = Result<Reply, Arc<Error>>;
