//! [`Node`]: the address of one of several servers.

use std::fmt;

use dogpile_sdk::{BackendError, ErrorKind};
use serde::{Deserialize, Deserializer, de};

/// A server's host and port.
///
/// A configuration gives `"host:port"`, `["host", port]` as in Python, or `{ host = "host", port = 1 }`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Node {
    /// Creates the address of the server at `host` and `port`.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Node { host: host.into(), port }
    }

    /// Returns the address that a server reported, or `None` if `host` cannot be a host.
    pub(crate) fn valid(host: String, port: u16) -> Option<Self> {
        is_host(&host).then_some(Node { host, port })
    }

    /// Parses `host:port`. An IPv6 address may be in brackets.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        is_host(host).then_some(Node::new(host, port.parse().ok()?))
    }
}

/// Returns whether `text` may be a host name or address. A URL is neither, and may contain a password.
pub(crate) fn is_host(text: &str) -> bool {
    !text.is_empty()
        && !text.contains(|c: char| c.is_whitespace() || c.is_control() || "/@?#\"\\".contains(c))
}

/// Hosts that other servers may name. By default any.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllowedHosts(pub(crate) Option<Vec<String>>);

impl AllowedHosts {
    /// Returns an error unless `node`, which another server named, has an allowed host.
    pub(crate) fn check(&self, node: &Node) -> Result<(), BackendError> {
        let Some(hosts) = &self.0 else { return Ok(()) };
        let host = node.host.to_ascii_lowercase();
        let is_allowed = |allowed: &String| {
            let allowed = allowed.to_ascii_lowercase();
            // "*.example.com" has all hosts that end in ".example.com".
            allowed
                .strip_prefix('*')
                .map_or(host == allowed, |end| end.starts_with('.') && host.ends_with(end))
        };
        if hosts.iter().any(is_allowed) {
            return Ok(());
        }
        let message = format!("refused Redis server {node}: another server named it; see \"allowed_hosts\"");
        Err(BackendError::new(ErrorKind::Refused, message).at_server(node.to_string()))
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Pair(String, u16),
            Table { host: String, port: u16 },
        }
        let written = Written::deserialize(deserializer).map_err(|_| {
            de::Error::custom(
                "invalid server: expected \"host:port\", [\"host\", port], or { host = \"…\", port = … }",
            )
        })?;
        match written {
            Written::Pair(host, port) | Written::Table { host, port } if is_host(&host) => {
                Ok(Node { host, port })
            }
            Written::Pair(host, _) | Written::Table { host, .. } => Err(refused(&host)),
            Written::Text(text) => Node::parse(&text).ok_or_else(|| refused(&text)),
        }
    }
}

/// Deserializes a port. The error does not repeat a URL in its place, which may contain a password.
pub(super) fn port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    u16::deserialize(deserializer).map_err(|error| {
        let is_url = error.to_string().contains(['@', '/']);
        if is_url { de::Error::custom("it is not a port; the argument \"url\" takes a URL") } else { error }
    })
}

fn refused<E: de::Error>(text: &str) -> E {
    // Do not repeat a URL, or a part of one: it may contain a password.
    if text.contains(['@', '/', '?', '#']) {
        E::custom("invalid server: expected \"host:port\", not a URL; the argument \"url\" takes one")
    } else {
        E::custom(format!("invalid server {text:?}: expected \"host:port\""))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use dogpile_sdk::Arguments;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Nodes {
        nodes: Vec<Node>,
    }

    fn nodes(written: &str) -> Result<Vec<Node>, String> {
        let arguments = serde_json::from_str(&format!("{{\"nodes\": {written}}}")).unwrap();
        Arguments::parse::<Nodes>(arguments).map(|nodes| nodes.nodes).map_err(|error| error.to_string())
    }

    #[test]
    fn server_has_three_forms() {
        let written = r#"["h:1", ["h", 2], {"host": "h", "port": 3}, "[::1]:4"]"#;
        let read: Vec<_> = nodes(written).unwrap().iter().map(Node::to_string).collect();
        assert_eq!(read, ["h:1", "h:2", "h:3", "[::1]:4"]);
    }

    #[test]
    fn invalid_server_error_names_the_valid_form() {
        for written in [r#"["h"]"#, r#"[":1"]"#, r#"["h:99999"]"#, "[7]", r#"[["h"]]"#] {
            let refused = nodes(written).unwrap_err();
            assert!(refused.contains("host:port"), "{refused}");
        }
    }

    #[test]
    fn url_as_a_server_is_refused_and_not_repeated() {
        let urls = [
            r#"["redis://:hunter2@h:1"]"#,
            r#"["u:hunter2@h:1"]"#,
            r#"[["redis://:hunter2@h", 1]]"#,
            r#"[{"host": "redis://:hunter2@h", "port": 1}]"#,
            r#"["redis://h:1?password=hunter2"]"#,
        ];
        for written in urls {
            let refused = nodes(written).unwrap_err();
            assert!(refused.contains("not a URL") && !refused.contains("hunter2"), "{refused}");
        }
    }

    #[test]
    fn url_as_a_port_is_refused_and_not_repeated() {
        #[derive(Debug, Deserialize)]
        struct Written {
            #[serde(deserialize_with = "port")]
            port: u16,
        }
        let parsed = |written| Arguments::parse::<Written>(serde_json::from_str(written).unwrap());
        assert_eq!(parsed(r#"{"port": "7"}"#).unwrap().port, 7);
        let refused = parsed(r#"{"port": "redis://:hunter2@h:1"}"#).unwrap_err();
        assert!(refused.to_string().contains("it is not a port"), "{refused}");
        assert!(!format!("{refused} {refused:?}").contains("hunter2"), "{refused:?}");
    }

    #[test]
    fn only_listed_hosts_are_allowed() {
        let allowed = ["10.0.0.7", "*.Cache.internal", "*"].map(str::to_owned).to_vec();
        let is_allowed = |host| AllowedHosts(Some(allowed.clone())).check(&Node::new(host, 1)).is_ok();
        assert!(is_allowed("10.0.0.7") && is_allowed("a.cache.internal"));
        for host in ["10.0.0.70", "cache.internal", "acache.internal", "169.254.169.254"] {
            assert!(!is_allowed(host), "{host}");
        }
        assert!(AllowedHosts(None).check(&Node::new("any", 1)).is_ok());
    }
}
