//! [`Node`]: where one of several servers is.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// A server's name or address, and its port. A configuration writes `"host:port"`, `["host", port]`, as Python's
/// sentinels are given, or `{ host = "host", port = 1 }`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// The name or address.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Node {
    /// The server at `host` and `port`.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Node { host: host.into(), port }
    }

    /// The server that `text`, `host:port`, names. An IPv6 address may stand in brackets.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        (!host.is_empty()).then_some(Node::new(host, port.parse().ok()?))
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
                "a server is written \"host:port\", [\"host\", port] or { host = .., port = .. }",
            )
        })?;
        match written {
            Written::Pair(host, port) | Written::Table { host, port } => Ok(Node { host, port }),
            Written::Text(text) => Node::parse(&text)
                .ok_or_else(|| de::Error::custom(format!("{text:?} is no server; write \"host:port\""))),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
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
    fn a_server_is_written_in_three_ways() {
        let written = r#"["h:1", ["h", 2], {"host": "h", "port": 3}, "[::1]:4"]"#;
        let read: Vec<_> = nodes(written).unwrap().iter().map(Node::to_string).collect();
        assert_eq!(read, ["h:1", "h:2", "h:3", "[::1]:4"]);
    }

    #[test]
    fn what_names_no_server_is_refused_with_what_would() {
        for written in [r#"["h"]"#, r#"[":1"]"#, r#"["h:99999"]"#, "[7]", r#"[["h"]]"#] {
            let refused = nodes(written).unwrap_err();
            assert!(refused.contains("host:port"), "{refused}");
        }
    }
}
