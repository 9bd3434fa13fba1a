//! [`Error`]: why a server did not run an operation.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::protocol::{Invalid, Refusal, Reply};

/// Why a server did not run an operation. The text contains nothing that a server sent.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server cannot be reached, or the connection broke.
    #[error(
        "cannot reach memcached server {server}: the connection failed or was closed; check that it runs at this address"
    )]
    Unreachable {
        /// The server.
        server: Arc<str>,
        /// The failure of the connection.
        source: Arc<io::Error>,
    },
    /// The server did not reply in time.
    #[error("memcached server {server} timed out: it did not reply within {limit:?}")]
    TimedOut {
        /// The server.
        server: Arc<str>,
        /// The timeout.
        limit: Duration,
    },
    /// The server sent something else than a reply to the request.
    #[error("memcached server {server} sent an invalid reply: {why}")]
    InvalidReply {
        /// The server.
        server: Arc<str>,
        /// The reason. Not a source, because the text contains it.
        why: Invalid,
    },
    /// The server sent a value that is too large.
    #[error(
        "memcached server {server} has a value of {given} bytes, more than {limit}; raise \"max_value_bytes\""
    )]
    TooLarge {
        /// The server.
        server: Arc<str>,
        /// The size that the server announced.
        given: usize,
        /// The most bytes that are accepted.
        limit: usize,
    },
    /// The server rejected the operation.
    #[error("memcached server {server} {}", refused(.why))]
    Refused {
        /// The server.
        server: Arc<str>,
        /// The reason.
        why: Refusal,
    },
    /// The server rejected the user name or the password.
    #[error("memcached server {server} rejected the login; check \"username\" and \"password\"")]
    Login {
        /// The server.
        server: Arc<str>,
    },
    /// The TLS handshake failed.
    #[error(
        "cannot open a TLS connection to memcached server {server}: the handshake failed; check \"tls_context\""
    )]
    Tls {
        /// The server.
        server: Arc<str>,
        /// The failure of the handshake.
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// All allowed connections to the server are in use.
    #[error(
        "no free connection to memcached server {server}: all {size} were in use for {waited:?}; raise \"pool_size\""
    )]
    Busy {
        /// The server.
        server: Arc<str>,
        /// The number of connections.
        size: usize,
        /// The time waited for a connection.
        waited: Duration,
    },
    /// Too many asynchronous calls wait for the server.
    #[error(
        "cannot send a request to memcached server {server}: too many asynchronous calls wait for it; call it less \
         often, or raise \"async_connections\""
    )]
    Crowded {
        /// The server.
        server: Arc<str>,
    },
    /// The server failed a moment ago and is not used for a while.
    #[error("memcached server {server} is not used for now: it failed a moment ago; retry later")]
    Resting {
        /// The server.
        server: Arc<str>,
    },
    /// All servers of the key failed a moment ago.
    #[error("no memcached server is available for the key: {servers} failed a moment ago; retry later")]
    NoServer {
        /// The servers.
        servers: Arc<str>,
    },
}

fn refused(why: &Refusal) -> &'static str {
    match why {
        Refusal::TooLarge => {
            "rejected the value: it is larger than the server's item limit; raise the limit (-I)"
        }
        Refusal::OutOfMemory => {
            "is full: it has no memory for the value; raise its memory limit (-m), or let it evict values (no -M)"
        }
        Refusal::Other => "rejected the operation: it replied SERVER_ERROR",
    }
}

impl Error {
    /// Returns the address of the server that failed, or `None` if several did.
    pub fn server(&self) -> Option<&str> {
        match self {
            Error::Unreachable { server, .. }
            | Error::TimedOut { server, .. }
            | Error::InvalidReply { server, .. }
            | Error::TooLarge { server, .. }
            | Error::Refused { server, .. }
            | Error::Login { server }
            | Error::Tls { server, .. }
            | Error::Busy { server, .. }
            | Error::Crowded { server }
            | Error::Resting { server } => Some(server),
            Error::NoServer { .. } => None,
        }
    }
}

/// The result of one operation.
pub type Outcome = Result<Reply, Arc<Error>>;
