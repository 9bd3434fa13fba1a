//! [`Server`]: a server of a region's backend, and what it counts itself.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::snapshot::grown;
use crate::servers::{Kind, connect};

/// The longest reply, in bytes.
const LONGEST: usize = 1 << 20;

/// A server, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Server {
    pub(super) kind: Kind,
    pub(super) address: String,
    pub(super) uses_tls: bool,
    /// The user and password of Redis, if it needs them.
    pub(super) login: Option<(Option<String>, String)>,
}

/// What a server counted so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ServerCounts {
    version: String,
    uptime: f64,
    operations: u64,
    hits: u64,
    misses: u64,
    evictions: u64,
    memory: u64,
    /// 0 if there is no limit.
    memory_limit: u64,
    connections: u64,
}

/// What happened in a server between two readings.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ServerRates {
    pub(super) version: String,
    pub(super) operations: f64,
    pub(super) hit_ratio: Option<f64>,
    pub(super) evictions: f64,
    pub(super) memory: u64,
    pub(super) memory_limit: u64,
    pub(super) connections: u64,
}

impl Server {
    /// Returns what the server counted, by `deadline` at the latest.
    ///
    /// # Errors
    /// Why there is no reply, as a sentence about the server.
    pub(super) fn ask(&self, deadline: Instant) -> Result<ServerCounts, String> {
        if self.uses_tls {
            return Err("it uses TLS, which this command does not".to_owned());
        }
        let text = self.exchange(deadline).map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "no reply in time".to_owned(),
            io::ErrorKind::UnexpectedEof => "it closed the connection".to_owned(),
            _ => error.to_string(),
        })?;
        match self.kind {
            Kind::Redis => ServerCounts::of_redis(&text),
            Kind::Memcached => ServerCounts::of_memcached(&text),
        }
    }

    fn exchange(&self, deadline: Instant) -> io::Result<String> {
        match self
            .address
            .strip_prefix("unix:")
            .or_else(|| self.address.starts_with('/').then_some(&self.address))
        {
            #[cfg(unix)]
            Some(path) => {
                let stream = std::os::unix::net::UnixStream::connect(path)?;
                self.converse(
                    stream,
                    |stream, left| {
                        stream
                            .set_read_timeout(Some(left))
                            .and_then(|()| stream.set_write_timeout(Some(left)))
                    },
                    deadline,
                )
            }
            #[cfg(not(unix))]
            Some(_) => Err(io::ErrorKind::Unsupported.into()),
            None => {
                let limit: fn(&TcpStream, Duration) -> io::Result<()> = |stream, left| {
                    stream.set_read_timeout(Some(left)).and_then(|()| stream.set_write_timeout(Some(left)))
                };
                self.converse(connect(&self.address, left(deadline)?)?, limit, deadline)
            }
        }
    }

    /// Sends the request, and returns the reply without its frame.
    fn converse<S: Read + Write>(
        &self,
        mut stream: S,
        limit: impl Fn(&S, Duration) -> io::Result<()>,
        deadline: Instant,
    ) -> io::Result<String> {
        limit(&stream, left(deadline)?)?;
        stream.write_all(&self.request())?;
        let (mut reply, mut part) = (Vec::new(), [0; 8 << 10]);
        loop {
            if let Some(text) = self.whole(&reply)? {
                return Ok(text);
            }
            limit(&stream, left(deadline)?)?;
            match stream.read(&mut part)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length if reply.len() + length > LONGEST => {
                    return Err(io::Error::other("its reply is too long"));
                }
                length => reply.extend_from_slice(&part[..length]),
            }
        }
    }

    fn request(&self) -> Vec<u8> {
        match (self.kind, &self.login) {
            (Kind::Memcached, _) => b"stats\r\n".to_vec(),
            (Kind::Redis, None) => command(&["INFO"]),
            (Kind::Redis, Some((user, password))) => {
                let login: Vec<&str> =
                    ["AUTH"].into_iter().chain(user.as_deref()).chain([&**password]).collect();
                [command(&login), command(&["INFO"])].concat()
            }
        }
    }

    /// Returns the text of `reply`, if it is complete.
    fn whole(&self, reply: &[u8]) -> io::Result<Option<String>> {
        match self.kind {
            Kind::Memcached if reply.starts_with(b"ERROR") => {
                Err(io::Error::other("it replied ERROR to stats"))
            }
            Kind::Memcached => {
                Ok(reply.ends_with(b"END\r\n").then(|| String::from_utf8_lossy(reply).into_owned()))
            }
            Kind::Redis => {
                let Some((mut line, mut rest)) = split_line(reply) else { return Ok(None) };
                if self.login.is_some() && line == b"+OK" {
                    let Some(next) = split_line(rest) else { return Ok(None) };
                    (line, rest) = next;
                }
                if let Some(error) = line.strip_prefix(b"-") {
                    // Not the whole message: it may quote the password.
                    let kind = error.split(|byte| *byte == b' ').next().unwrap_or_default();
                    return Err(io::Error::other(format!("it refused: {}", String::from_utf8_lossy(kind))));
                }
                let length =
                    line.strip_prefix(b"$").and_then(|length| str::from_utf8(length).ok()?.parse().ok());
                let length: usize =
                    length.ok_or_else(|| io::Error::other("its reply is not that of Redis"))?;
                Ok(rest.get(..length).map(|text| String::from_utf8_lossy(text).into_owned()))
            }
        }
    }
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    Some((&bytes[..end], &bytes[end + 2..]))
}

/// Returns a command of Redis.
fn command(words: &[&str]) -> Vec<u8> {
    let parts: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    format!("*{}\r\n{parts}", words.len()).into_bytes()
}

impl ServerCounts {
    fn of_redis(info: &str) -> Result<Self, String> {
        let found: BTreeMap<&str, &str> = info.lines().filter_map(|line| line.split_once(':')).collect();
        let text = |name: &str| found.get(name).copied().unwrap_or_default().trim();
        let number = |name: &str| text(name).parse().unwrap_or_default();
        if !found.contains_key("redis_version") {
            return Err("its reply to INFO has no redis_version".to_owned());
        }
        let version = match text("valkey_version") {
            "" => format!("redis {}", text("redis_version")),
            version => format!("valkey {version}"),
        };
        Ok(ServerCounts {
            version,
            uptime: number("uptime_in_seconds") as f64,
            operations: number("total_commands_processed"),
            hits: number("keyspace_hits"),
            misses: number("keyspace_misses"),
            evictions: number("evicted_keys"),
            memory: number("used_memory"),
            memory_limit: number("maxmemory"),
            connections: number("connected_clients"),
        })
    }

    fn of_memcached(stats: &str) -> Result<Self, String> {
        let pair = |line: &'_ str| -> Option<(String, String)> {
            let (name, value) = line.strip_prefix("STAT ")?.split_once(' ')?;
            Some((name.to_owned(), value.trim().to_owned()))
        };
        let found: BTreeMap<String, String> = stats.lines().filter_map(pair).collect();
        let number = |name: &str| found.get(name).and_then(|value| value.parse().ok()).unwrap_or(0_u64);
        let Some(version) = found.get("version") else {
            return Err("its reply to stats has no version".to_owned());
        };
        let counted =
            ["cmd_get", "cmd_set", "cmd_touch", "delete_hits", "delete_misses", "incr_hits", "incr_misses"];
        Ok(ServerCounts {
            version: format!("memcached {version}"),
            uptime: number("uptime") as f64,
            operations: counted.iter().fold(0, |sum: u64, name| sum.saturating_add(number(name))),
            hits: number("get_hits"),
            misses: number("get_misses"),
            evictions: number("evictions"),
            memory: number("bytes"),
            memory_limit: number("limit_maxbytes"),
            connections: number("curr_connections"),
        })
    }

    /// Returns what happened since `earlier`, which was read `seconds` ago, or else since the server started.
    pub(super) fn rates(&self, earlier: Option<(&ServerCounts, f64)>) -> ServerRates {
        let nothing = ServerCounts::default();
        // Servers give their uptime in whole seconds.
        let (before, seconds) = earlier.unwrap_or((&nothing, self.uptime.max(1.0)));
        let seconds = seconds.max(1e-3);
        let (hits, misses) = (grown(self.hits, before.hits), grown(self.misses, before.misses));
        let reads = hits.saturating_add(misses);
        ServerRates {
            version: self.version.clone(),
            operations: grown(self.operations, before.operations) as f64 / seconds,
            hit_ratio: (reads > 0).then(|| hits as f64 / reads as f64),
            evictions: grown(self.evictions, before.evictions) as f64 / seconds,
            memory: self.memory,
            memory_limit: self.memory_limit,
            connections: self.connections,
        }
    }
}

impl ServerRates {
    /// Returns the rates for programs.
    pub(super) fn json(&self) -> Value {
        json!({
            "version": self.version,
            "operations_per_second": self.operations,
            "hit_ratio": self.hit_ratio,
            "evictions_per_second": self.evictions,
            "memory_bytes": self.memory,
            "memory_limit_bytes": (self.memory_limit > 0).then_some(self.memory_limit),
            "connections": self.connections,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(kind: Kind, login: Option<(Option<String>, String)>) -> Server {
        Server { kind, address: "a:1".to_owned(), uses_tls: false, login }
    }

    #[test]
    fn redis_is_asked_with_its_password() {
        let login = Some((Some("ann".to_owned()), "s$\r\n$3".to_owned()));
        let with = server(Kind::Redis, login);
        let request = String::from_utf8(with.request()).unwrap();
        assert_eq!(request, "*3\r\n$4\r\nAUTH\r\n$3\r\nann\r\n$6\r\ns$\r\n$3\r\n*1\r\n$4\r\nINFO\r\n");
        assert_eq!(with.whole(b"+OK\r\n$5\r\nab").unwrap(), None);
        assert_eq!(with.whole(b"+OK\r\n$5\r\na:1\r\n\r\n").unwrap(), Some("a:1\r\n".to_owned()));
        assert_eq!(with.whole(b"-WRONGPASS no\r\n").unwrap_err().to_string(), "it refused: WRONGPASS");
        let error = server(Kind::Redis, None).whole(b"HTTP/1.1\r\n").unwrap_err();
        assert_eq!(error.to_string(), "its reply is not that of Redis");
    }

    #[test]
    fn replies_of_servers_are_read() {
        let info = "# Server\r\nredis_version:7.2.4\r\nuptime_in_seconds:10\r\nused_memory:1000\r\nmaxmemory:0\r\n\
                    total_commands_processed:500\r\nkeyspace_hits:90\r\nkeyspace_misses:10\r\nevicted_keys:20\r\n\
                    connected_clients:3\r\n";
        let counts = ServerCounts::of_redis(info).unwrap();
        let rates = counts.rates(None);
        assert_eq!((rates.operations, rates.hit_ratio, rates.evictions), (50.0, Some(0.9), 2.0));
        assert_eq!((&*rates.version, rates.memory, rates.connections), ("redis 7.2.4", 1000, 3));
        let valkey = ServerCounts::of_redis("redis_version:7.2.4\r\nvalkey_version:8.0.1\r\n").unwrap();
        assert_eq!(valkey.version, "valkey 8.0.1");
        let stats = "STAT uptime 4\r\nSTAT version 1.6.21\r\nSTAT cmd_get 6\r\nSTAT cmd_set 2\r\nSTAT get_hits 3\r\n\
                     STAT get_misses 3\r\nSTAT bytes 7\r\nSTAT limit_maxbytes 64\r\nSTAT curr_connections 2\r\nEND\r\n";
        let counts = ServerCounts::of_memcached(stats).unwrap();
        let rates = counts.rates(Some((&counts.clone(), 1.0)));
        assert_eq!((rates.operations, rates.hit_ratio, rates.memory_limit), (0.0, None, 64));
        assert_eq!(counts.rates(None).operations, 2.0);
        assert!(ServerCounts::of_memcached("END\r\n").is_err() && ServerCounts::of_redis("x").is_err());
    }

    #[test]
    fn server_with_tls_is_not_asked() {
        let secure = Server { uses_tls: true, ..server(Kind::Redis, None) };
        assert_eq!(secure.ask(Instant::now()).unwrap_err(), "it uses TLS, which this command does not");
    }
}
