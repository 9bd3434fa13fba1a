//! [`Server`]: a server of a region's backend, and what it counts itself.

use std::collections::BTreeMap;
use std::time::Instant;

use dogpile_net::Connector;
use serde_json::{Value, json};

use super::snapshot::grown;
use crate::page::shortened;
use crate::servers::{Kind, connector, reason};

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
    /// Returns what connects to the server. It looks up the name of the host on one thread, however long that takes.
    pub(super) fn connector(&self) -> Connector {
        connector(&self.address)
    }

    /// Returns what the server counted, by `deadline` at the latest.
    ///
    /// # Errors
    /// Why there is no reply, as a sentence about the server.
    pub(super) fn ask(&self, connector: &Connector, deadline: Instant) -> Result<ServerCounts, String> {
        if self.uses_tls {
            return Err(self.advice_for_tls());
        }
        let text = self.exchange(connector, deadline)?;
        match self.kind {
            Kind::Redis => ServerCounts::of_redis(&text),
            Kind::Memcached => ServerCounts::of_memcached(&text),
        }
    }

    fn advice_for_tls(&self) -> String {
        let Server { kind, address, .. } = self;
        let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
        let host = host.trim_matches(['[', ']']);
        let advice = match kind {
            Kind::Redis => format!("run \"redis-cli --tls -h {host} -p {port} INFO\""),
            Kind::Memcached => format!("run \"openssl s_client -quiet -connect {address}\", and type stats"),
        };
        format!("it uses TLS, which this command does not; {advice}")
    }

    /// Sends the request, and returns the reply without its frame.
    fn exchange(&self, connector: &Connector, deadline: Instant) -> Result<String, String> {
        let mut stream = connector.connect(deadline).map_err(|failure| reason(&failure))?;
        stream.send(&self.request()).map_err(|failure| reason(&failure))?;
        let mut reply = Vec::new();
        loop {
            if let Some(text) = self.whole(&reply)? {
                return Ok(text);
            }
            stream.fill(1).map_err(|failure| reason(&failure))?;
            let part = stream.unread();
            if reply.len() + part.len() > LONGEST {
                return Err("its reply is too long".to_owned());
            }
            reply.extend_from_slice(part);
            stream.consume(part.len());
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
    fn whole(&self, reply: &[u8]) -> Result<Option<String>, String> {
        match self.kind {
            Kind::Memcached if reply.starts_with(b"ERROR") => Err("it replied ERROR to stats".to_owned()),
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
                    return Err(format!("it refused: {}", shortened(&String::from_utf8_lossy(kind), 30)));
                }
                let length =
                    line.strip_prefix(b"$").and_then(|length| str::from_utf8(length).ok()?.parse().ok());
                let length: usize = length.ok_or("its reply is not that of Redis")?;
                Ok(rest.get(..length).map(|text| String::from_utf8_lossy(text).into_owned()))
            }
        }
    }
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
    use std::time::Duration;

    use super::*;
    use crate::servers::full_queue;

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
        assert_eq!(with.whole(b"-WRONGPASS no\r\n").unwrap_err(), "it refused: WRONGPASS");
        let error = server(Kind::Redis, None).whole(b"HTTP/1.1\r\n").unwrap_err();
        assert_eq!(error, "its reply is not that of Redis");
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
        let refused = |kind, address: &str| {
            let secure = Server { uses_tls: true, address: address.to_owned(), ..server(kind, None) };
            secure.ask(&secure.connector(), Instant::now()).unwrap_err()
        };
        assert_eq!(
            refused(Kind::Redis, "[::1]:6380"),
            "it uses TLS, which this command does not; run \"redis-cli --tls -h ::1 -p 6380 INFO\""
        );
        assert_eq!(
            refused(Kind::Memcached, "cache:11212"),
            "it uses TLS, which this command does not; run \"openssl s_client -quiet -connect cache:11212\", and type stats"
        );
    }

    /// A server that is stopped, and whose queue is full, accepts no connection.
    #[test]
    fn server_with_a_full_queue_is_given_up() {
        let (_folder, path, _full) = full_queue();
        let full = Server { address: path, ..server(Kind::Redis, None) };
        let asked = full.ask(&full.connector(), Instant::now() + Duration::from_millis(50));
        assert_eq!(asked.unwrap_err(), "no reply in time");
    }
}
