//! Queries the servers of a store directly.
//!
//! A backend may hide that a server is down, as those for memcached do, and cannot say which kind of server replied.

use std::io;
use std::time::{Duration, Instant};

use dogpile_net::{Connector, Endpoint, Failure, Stream};
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
    /// It cannot be reached, for this reason.
    Unreachable(String),
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
    let left = deadline.saturating_duration_since(Instant::now());
    let deadline = Instant::now() + left.clamp(Duration::from_millis(1), PATIENCE);
    match connector(address).connect(deadline) {
        Ok(stream) => meaning(&exchange(stream)),
        Err(failure) => Reply::Unreachable(reason(&failure)),
    }
}

/// Returns what connects to the server at `address`, without TLS. Its calls end by their deadlines.
pub(crate) fn connector(address: &str) -> Connector {
    Connector::new(endpoint(address))
}

fn endpoint(address: &str) -> Endpoint {
    let path = address.strip_prefix("unix:").or_else(|| address.starts_with('/').then_some(address));
    if let Some(path) = path {
        return Endpoint::Unix(path.into());
    }
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    // Backends have checked their addresses. One without a port cannot be reached.
    Endpoint::Tcp { host: host.to_owned(), port: port.parse().unwrap_or_default() }
}

/// Returns why a connection failed, as a sentence about its server.
pub(crate) fn reason(failure: &Failure) -> String {
    match failure {
        Failure::TimedOut => "no reply in time".to_owned(),
        Failure::Broken(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            "it closed the connection".to_owned()
        }
        Failure::Broken(error) => error.to_string(),
        Failure::Tls(_) => failure.to_string(),
    }
}

/// Returns the beginning of the reply. A server that closes the connection or does not reply has none.
fn exchange(mut stream: Stream) -> Vec<u8> {
    let replied = stream.send(QUESTION).and_then(|()| stream.fill(1));
    if replied.is_ok() { stream.unread().to_vec() } else { Vec::new() }
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

/// Returns the path of a unix socket whose queue of connections is full, and what keeps it so.
#[cfg(test)]
pub(crate) fn full_queue() -> (tempfile::TempDir, String, impl Sized) {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full");
    let address = SocketAddrUnix::new(&path).unwrap();
    let socket = || rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    let listener = socket();
    rustix::net::bind(&listener, &address).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let mut waiting = Vec::new();
    loop {
        let next = socket();
        rustix::io::ioctl_fionbio(&next, true).unwrap();
        match rustix::net::connect(&next, &address) {
            Ok(()) => waiting.push(next),
            Err(_) => break,
        }
    }
    let path = path.to_str().unwrap().to_owned();
    (folder, path, (listener, waiting))
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
    fn addresses_have_a_host_and_a_port_or_a_path() {
        let tcp = |host: &str, port| Endpoint::Tcp { host: host.to_owned(), port };
        assert_eq!(endpoint("db:6379"), tcp("db", 6379));
        assert_eq!((endpoint("[::1]:7"), endpoint("::1:7")), (tcp("::1", 7), tcp("::1", 7)));
        assert_eq!(
            (endpoint("unix:/run/m"), endpoint("/run/m")),
            (Endpoint::Unix("/run/m".into()), Endpoint::Unix("/run/m".into()))
        );
        assert_eq!(endpoint("db"), tcp("db", 0));
    }

    /// A server that is stopped, and whose queue is full, accepts no connection.
    #[test]
    fn server_with_a_full_queue_is_given_up() {
        let (_folder, path, _full) = full_queue();
        let reply = ask(&format!("unix:{path}"), Instant::now() + Duration::from_millis(50));
        let Reply::Unreachable(reason) = reply else { panic!("{reply:?}") };
        assert_eq!(reason, "no reply in time");
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
