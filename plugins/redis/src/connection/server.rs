//! [`Server`]: the address of a server, and how to connect to it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use dogpile_net::{Connector, Endpoint, Keepalive, Tls};

use crate::config::Node;

/// The address of a server, and how to connect to it.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) address: Address,
    pub(crate) profile: Arc<Profile>,
}

impl Server {
    /// Returns what opens connections to the server.
    pub(crate) fn connector(&self) -> Connector {
        let endpoint = match &self.address {
            Address::Tcp(node) => Endpoint::Tcp { host: node.host.clone(), port: node.port },
            Address::Unix(path) => Endpoint::Unix(path.clone()),
        };
        let Profile { tls, keepalive, .. } = &*self.profile;
        Connector::new(endpoint).with_tls(tls.clone()).with_keepalive(*keepalive)
    }
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(Node),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(node) => fmt::Display::fmt(node, f),
            Address::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// How to connect to any of several servers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Profile {
    pub(crate) login: Login,
    /// `None` if connections are not encrypted.
    pub(crate) tls: Option<Tls>,
    /// The keepalive probes of idle connections, or `None` for none.
    pub(crate) keepalive: Option<Keepalive>,
}

/// The credentials and the database of a connection. `Debug` does not show the credentials.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) db: u32,
}

impl Login {
    /// Returns the arguments of `AUTH`, or none if there are no credentials.
    // Source: redis-py `connection.py`, which logs in a user without a password with an empty one.
    pub(crate) fn credentials(&self) -> Vec<&[u8]> {
        let password = self.password.as_deref().unwrap_or_default().as_bytes();
        match &self.username {
            Some(username) => vec![username.as_bytes(), password],
            None if self.password.is_some() => vec![password],
            None => Vec::new(),
        }
    }

    /// Returns the user name, which is `default` if there is none.
    pub(crate) fn name(&self) -> &[u8] {
        self.username.as_deref().unwrap_or("default").as_bytes()
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("db", &self.db).finish_non_exhaustive()
    }
}
