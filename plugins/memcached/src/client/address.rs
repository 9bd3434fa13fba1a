//! [`Address`]: the address of a server.

use std::fmt;
use std::path::PathBuf;

use dogpile_net::Endpoint;

/// The address of a server, and its share of the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The place where the server listens.
    pub place: Place,
    /// The server's share of the keys, relative to a server of weight 1.
    pub weight: u32,
}

/// The place where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A host name or address, and a port.
    Tcp(String, u16),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// The port of a server without one.
const PORT: u16 = 11211;

impl Address {
    /// Parses `host`, `host:port`, `host:port:weight`, `[address]:port`, `unix:/path`, or `/path`.
    ///
    /// The prefixes `inet:` and `inet6:` are accepted. Returns `None` if `text` is not a valid server.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Some(Address::unix(path));
        }
        if text.starts_with('/') {
            return Some(Address::unix(text));
        }
        let text = text.strip_prefix("inet6:").or_else(|| text.strip_prefix("inet:")).unwrap_or(text);
        let (host, rest) = match text.strip_prefix('[') {
            Some(bracketed) => bracketed.split_once(']')?,
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        if host.is_empty() {
            return None;
        }
        let mut parts = rest.strip_prefix(':').unwrap_or_default().split(':');
        let port =
            parts.next().filter(|port| !port.is_empty()).map_or(Some(PORT), |port| port.parse().ok())?;
        let weight =
            parts.next().map_or(Some(1), |weight| weight.parse().ok()).filter(|weight| *weight > 0)?;
        if parts.next().is_some() || (!rest.is_empty() && !rest.starts_with(':')) {
            return None;
        }
        Some(Address { place: Place::Tcp(host.to_owned(), port), weight })
    }

    /// Returns where to connect to.
    pub(super) fn endpoint(&self) -> Endpoint {
        match &self.place {
            Place::Tcp(host, port) => Endpoint::Tcp { host: host.clone(), port: *port },
            Place::Unix(path) => Endpoint::Unix(path.clone()),
        }
    }

    fn unix(path: &str) -> Self {
        Address { place: Place::Unix(path.into()), weight: 1 }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Tcp(host, port) => write!(f, "{host}:{port}"),
            Place::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use super::*;

    #[test]
    fn servers_are_parsed_as_in_python() {
        let named = [
            ("h", "h:11211", 1),
            ("h:1", "h:1", 1),
            ("h:1:3", "h:1", 3),
            ("inet:h:1", "h:1", 1),
            ("[::1]:5", "::1:5", 1),
            ("inet6:[::1]", "::1:11211", 1),
            ("unix:/run/m", "/run/m", 1),
            ("/run/m", "/run/m", 1),
        ];
        for (text, shown, weight) in named {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.to_string().as_str(), address.weight), (shown, weight), "{text}");
        }
    }

    #[test]
    fn invalid_server_is_none() {
        for text in ["", ":1", "h:x", "h:99999", "h:1:0", "h:1:2:3", "[::1]5"] {
            assert_eq!(Address::parse(text), None, "{text:?}");
        }
    }
}
