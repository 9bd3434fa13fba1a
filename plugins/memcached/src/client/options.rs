//! [`Options`]: how a client uses its servers.

use std::fmt;
use std::time::Duration;

use dogpile_net::{Keepalive, Tls};

use super::distribution::Distribution;

/// How a client uses its servers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Protocol of the servers. Default: [`Kind::Text`].
    pub kind: Kind,
    /// Distribution of keys over the servers. Default: [`Distribution::Crc`].
    pub distribution: Distribution,
    /// Share of `timeout` for opening a connection, which includes name resolution and TLS. Default: 3 seconds.
    pub connect_timeout: Duration,
    /// Time limit for each call, with all servers and everything that it does. Default: 3 seconds.
    pub timeout: Duration,
    /// Rules for servers that failed.
    pub patience: Patience,
    /// User name and password, for a server in SASL mode. Default: none.
    pub login: Option<Login>,
    /// TLS settings. Default: none; connections are not encrypted.
    pub tls: Option<Tls>,
    /// TCP keepalive settings for idle connections. Default: none.
    pub keepalive: Option<Keepalive>,
    /// Most connections to a server at a time. Default: 32.
    pub pool_size: usize,
    /// Connections to each server that asynchronous calls of a backend share. Default: 1.
    pub async_connections: usize,
    /// Most bytes of a value that a server sends. Reading a larger one is an error. All values of a call from one server
    /// have at most 1 GiB, or one value if that may be larger. Default: 512 MiB.
    pub max_value_bytes: usize,
    /// Store values without waiting for a reply, and only log errors. A later operation on another connection may
    /// overtake such a store. Has no effect in the binary protocol. Default: false.
    pub noreply: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            kind: Kind::Text,
            distribution: Distribution::Crc,
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(3),
            patience: Patience::default(),
            login: None,
            tls: None,
            keepalive: None,
            pool_size: 32,
            async_connections: 1,
            max_value_bytes: 512 << 20,
            noreply: false,
        }
    }
}

/// The protocol of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Meta commands, or the classic text protocol if a server does not know them.
    Text,
    /// The binary protocol, the only one of a server in SASL mode.
    Binary,
}

/// The rules for a server that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Number of retries before the server counts as dead. Default: 0.
    pub attempts: u32,
    /// Pause before each retry. Default: 30 seconds.
    pub retry_after: Duration,
    /// Time for which a dead server is not used. Other servers may have its keys meanwhile. Default: 30 seconds.
    pub dead_for: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience { attempts: 0, retry_after: Duration::from_secs(30), dead_for: Duration::from_secs(30) }
    }
}

/// A user name and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}
