//! Queries the servers of a store directly.
//!
//! A backend may hide that a server is down, as those for memcached do, and cannot say which kind of server replied.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use toml::{Table, Value};

/// The longest wait for one server.
const PATIENCE: Duration = Duration::from_secs(2);

/// Redis replies with an error that names the command, and memcached with its version.
const QUESTION: &[u8] = b"version\r\n";

/// The kind of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Redis or Valkey.
    Redis,
    Memcached,
}

/// What a server replied.
#[derive(Debug)]
enum Reply {
    Of(Kind),
    /// It expects TLS.
    Tls,
    /// It replied nothing, or something else.
    Unknown,
    Unreachable(io::Error),
}

/// The servers of a store, and how they are to be reached.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Servers {
    pub(crate) kind: Kind,
    pub(crate) addresses: Vec<String>,
    pub(crate) uses_tls: bool,
}

/// What is wrong with the servers of a store.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Servers that are another kind of server than the backend needs.
    pub(crate) wrong: Vec<String>,
    /// Servers that cannot be reached.
    pub(crate) unreachable: Vec<String>,
}

impl Servers {
    /// Returns the servers of the store with this scope, if it has some. `arguments` are those of the backend.
    pub(crate) fn of(scope: &str, arguments: &Table) -> Option<Self> {
        let (scheme, rest) = scope.split_once("://")?;
        let (kind, addresses) = match scheme {
            "memcached" => (Kind::Memcached, rest),
            "redis-cluster" => (Kind::Redis, rest),
            // What follows the addresses is a service or a database.
            "redis-sentinel" => (Kind::Redis, rest.split_once('/')?.0),
            "redis" => (Kind::Redis, rest.rsplit_once('/')?.0),
            _ => return None,
        };
        let addresses = addresses.split(',').filter(|address| !address.is_empty()).map(str::to_owned);
        let uses_tls = match scheme {
            // These are the addresses of the sentinels, which have settings of their own.
            "redis-sentinel" => has_tls_in(arguments, "sentinel_kwargs"),
            _ => uses_tls(arguments),
        };
        Some(Servers { kind, addresses: addresses.collect(), uses_tls })
    }

    /// Queries each server, until `deadline` at the latest.
    pub(crate) fn query(&self, backend: &str, deadline: Instant) -> Findings {
        let mut findings = Findings::default();
        for address in &self.addresses {
            match ask(address, deadline) {
                Reply::Unreachable(error) => findings.unreachable.push(format!(
                    "cannot reach {} server {address}: {error}; check that it runs at this address",
                    self.kind.name()
                )),
                reply => findings.wrong.extend(self.problem_of(address, backend, &reply)),
            }
        }
        findings
    }

    fn problem_of(&self, address: &str, backend: &str, reply: &Reply) -> Option<String> {
        match reply {
            Reply::Of(kind) if *kind != self.kind => Some(format!(
                "server {address} replied as {} does, but backend {backend:?} needs {}; check the address and the \
                 backend",
                kind.name(),
                self.kind.name()
            )),
            Reply::Of(kind) if self.uses_tls => Some(format!(
                "{} server {address} replied without TLS, but the region uses TLS; is this the port for TLS?",
                kind.name()
            )),
            Reply::Tls if !self.uses_tls => Some(format!(
                "server {address} expects TLS, but the region does not use it; configure TLS, or use another port"
            )),
            _ => None,
        }
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Redis => "Redis",
            Kind::Memcached => "memcached",
        }
    }
}

/// Returns whether the arguments of a backend turn on TLS.
fn uses_tls(arguments: &Table) -> bool {
    let is_secure = |url: &str| ["rediss://", "valkeys://"].iter().any(|scheme| url.starts_with(scheme));
    let is_url = arguments.get("url").and_then(Value::as_str).is_some_and(is_secure);
    is_url
        || arguments.contains_key("tls_context")
        || has_tls_in(arguments, "connection_kwargs")
        || ["ssl", "tls_enabled"].iter().any(|name| arguments.get(*name).is_some_and(is_true))
}

/// Returns whether the options of connections under `name` turn TLS on.
fn has_tls_in(arguments: &Table, name: &str) -> bool {
    let ssl = arguments.get(name).and_then(Value::as_table).and_then(|options| options.get("ssl"));
    ssl.is_some_and(is_true)
}

fn is_true(value: &Value) -> bool {
    value.as_bool() == Some(true) || value.as_str() == Some("true")
}

fn ask(address: &str, deadline: Instant) -> Reply {
    let limit = deadline.saturating_duration_since(Instant::now()).clamp(Duration::from_millis(1), PATIENCE);
    let replied = match address.strip_prefix("unix:").or_else(|| address.starts_with('/').then_some(address))
    {
        Some(path) => ask_socket(path, limit),
        None => connect(address, limit).and_then(|stream| {
            stream.set_read_timeout(Some(limit))?;
            stream.set_write_timeout(Some(limit))?;
            Ok(exchange(stream))
        }),
    };
    match replied {
        Ok(reply) => meaning(&reply),
        Err(error) => Reply::Unreachable(error),
    }
}

#[cfg(unix)]
fn ask_socket(path: &str, limit: Duration) -> io::Result<Vec<u8>> {
    let stream = std::os::unix::net::UnixStream::connect(path)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    Ok(exchange(stream))
}

#[cfg(not(unix))]
fn ask_socket(_path: &str, _limit: Duration) -> io::Result<Vec<u8>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Connects to `address`. Each of its network addresses may take `limit`.
pub(crate) fn connect(address: &str, limit: Duration) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, limit) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Returns the beginning of the reply. A server that closes the connection or does not reply has none.
fn exchange(mut stream: impl Read + Write) -> Vec<u8> {
    let mut reply = [0; 64];
    let length = stream.write_all(QUESTION).and_then(|()| stream.read(&mut reply)).unwrap_or(0);
    reply[..length].to_vec()
}

fn meaning(reply: &[u8]) -> Reply {
    match reply {
        [b'-' | b'+', ..] => Reply::Of(Kind::Redis),
        _ if reply.starts_with(b"VERSION ") => Reply::Of(Kind::Memcached),
        // An alert of TLS 1.x.
        [0x15, 0x03, ..] => Reply::Tls,
        _ => Reply::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(scope: &str, arguments: &str) -> Option<Servers> {
        Servers::of(scope, &toml::from_str(arguments).unwrap())
    }

    #[test]
    fn servers_are_those_of_the_scope() {
        let addresses = |scope| servers(scope, "").map(|servers| servers.addresses);
        let some = |addresses: &[&str]| Some(addresses.iter().map(|address| (*address).to_owned()).collect());
        assert_eq!(addresses("redis://[::1]:6379/0"), some(&["[::1]:6379"]));
        assert_eq!(addresses("redis-cluster://a:1,b:2"), some(&["a:1", "b:2"]));
        assert_eq!(addresses("redis-sentinel://a:1,b:2/mymaster/3"), some(&["a:1", "b:2"]));
        assert_eq!(addresses("memcached://a:1,unix:/run/m"), some(&["a:1", "unix:/run/m"]));
        assert_eq!(addresses("file:/var/cache"), None);
    }

    #[test]
    fn tls_is_recognized() {
        let tls = |arguments| servers("redis://a:1/0", arguments).unwrap().uses_tls;
        assert!(tls("ssl = true") && tls("url = 'rediss://a:1'") && tls("tls_context = {}"));
        assert!(tls("connection_kwargs = { ssl = true }"));
        assert!(
            !tls("ssl = false") && !tls("url = 'redis://a:1'") && !tls("connection_kwargs = { ssl = false }")
        );
        // The addresses are those of the sentinels.
        let of_sentinels = |arguments| servers("redis-sentinel://a:1/main/0", arguments).unwrap().uses_tls;
        assert!(of_sentinels("sentinel_kwargs = { ssl = true }") && !of_sentinels("ssl = true"));
    }

    #[test]
    fn reply_that_does_not_fit_is_a_problem() {
        let problem = |tls: &str, reply: &[u8]| {
            servers("memcached://a:1", tls).unwrap().problem_of(
                "a:1",
                "dogpile.cache.pylibmc",
                &meaning(reply),
            )
        };
        assert_eq!(
            problem("", b"-ERR unknown command").unwrap(),
            "server a:1 replied as Redis does, but backend \"dogpile.cache.pylibmc\" needs memcached; check the address \
             and the backend"
        );
        assert!(problem("", b"\x15\x03\x03\0\x02").unwrap().contains("expects TLS"));
        assert!(problem("tls_context = {}", b"VERSION 1.6").unwrap().contains("is this the port for TLS?"));
        assert_eq!(
            (problem("", b"VERSION 1.6"), problem("", b""), problem("", b"ERROR")),
            (None, None, None)
        );
    }
}
