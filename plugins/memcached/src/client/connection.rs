//! [`Connection`]: one connection to a server. Requests are sent together, and the replies arrive in order.

use std::io;
use std::time::Instant;

use super::address::Address;
use super::options::{Kind, Options};
use super::protocol::{Dialect, LONGEST_LINE, Operation, Reply, When, is_logged_in, log_in};
use super::stream::{Input, Stream};

pub(super) struct Connection {
    stream: Stream,
    dialect: Dialect,
    /// The bytes to send. The buffer is kept to reuse its memory.
    out: Vec<u8>,
    noreply: bool,
    /// Whether a value was sent without a reply, for which the server may still report an error.
    may_report: bool,
}

impl Connection {
    /// Connects, logs in, and detects the protocol.
    pub(super) fn connect(address: &Address, options: &Options) -> io::Result<Self> {
        let mut stream = Stream::connect(address, options)?;
        stream.set_deadline(Instant::now() + options.timeout);
        let dialect = match (options.kind, &options.login) {
            (Kind::Text, _) => dialect_of(&mut stream)?,
            (Kind::Binary, None) => Dialect::Binary,
            (Kind::Binary, Some(login)) => {
                stream.send(&log_in(login))?;
                if !is_logged_in(&mut stream)? {
                    return Err(io::ErrorKind::PermissionDenied.into());
                }
                Dialect::Binary
            }
        };
        let noreply = options.noreply && dialect != Dialect::Binary;
        Ok(Connection { stream, dialect, out: Vec::new(), noreply, may_report: false })
    }

    /// Sets the deadline of all further sends and reads.
    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        self.stream.set_deadline(deadline);
    }

    /// Sends `operations` together.
    pub(super) fn send(&mut self, operations: &[&Operation<'_>]) -> io::Result<()> {
        if self.stream.has_unread() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a reply without a request"));
        }
        self.out.clear();
        if self.may_report {
            self.out.extend_from_slice(END_OF_REPORTS);
        }
        for (number, operation) in (0..).zip(operations) {
            self.dialect.write(operation, number, self.is_noreply(operation), &mut self.out);
            if self.stream.is_encrypted() {
                // Over TLS, memcached may lose what follows a value in the same record.
                self.stream.send(&self.out)?;
                self.out.clear();
            }
        }
        self.stream.send(&self.out)?;
        if std::mem::take(&mut self.may_report) {
            self.read_reports()?;
        }
        self.may_report = operations.iter().any(|operation| self.is_noreply(operation));
        Ok(())
    }

    /// Reads the reply to the operation with index `number` among those that were sent together.
    pub(super) fn receive(&mut self, operation: &Operation<'_>, number: u32) -> io::Result<Reply> {
        if self.is_noreply(operation) {
            return Ok(Reply::Done);
        }
        self.dialect.read(operation, number, &mut self.stream)
    }

    fn is_noreply(&self, operation: &Operation<'_>) -> bool {
        self.noreply && matches!(operation, Operation::Store { when: When::Always, .. })
    }

    fn read_reports(&mut self) -> io::Result<()> {
        loop {
            let line = self.stream.line(LONGEST_LINE)?;
            if line.starts_with(b"VERSION") {
                return Ok(());
            }
            log::warn!("a value was not stored: {}", String::from_utf8_lossy(line));
        }
    }
}

/// A command with a reply of its own, which comes after the error messages of earlier commands.
const END_OF_REPORTS: &[u8] = b"version\r\n";

/// Detects the protocol from the version. Older servers have other commands by the names of the meta commands.
fn dialect_of(stream: &mut Stream) -> io::Result<Dialect> {
    stream.send(b"version\r\n")?;
    let line = stream.line(LONGEST_LINE)?;
    match line.strip_prefix(b"VERSION ") {
        Some(version) if knows_meta(version) => Ok(Dialect::Meta),
        Some(_) => Ok(Dialect::Classic),
        // Some proxies do not support `version`.
        None if line.starts_with(b"ERROR") => Ok(Dialect::Classic),
        None => {
            let what = format!("version {:?}", String::from_utf8_lossy(line));
            Err(io::Error::new(io::ErrorKind::InvalidData, what))
        }
    }
}

/// Returns whether a server of `version` has the final meta commands, which appeared in 1.6.10.
fn knows_meta(version: &[u8]) -> bool {
    let version = String::from_utf8_lossy(version);
    let mut parts = version.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>());
    let mut next = || parts.next().and_then(Result::ok).unwrap_or(0);
    [next(), next(), next()] >= [1, 6, 10]
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::client::Client;

    #[test]
    fn final_meta_commands_need_version_1_6_10() {
        for (version, expected) in [
            ("1.4.15", false),
            ("1.6.9", false),
            ("1.6.10", true),
            ("1.6.18", true),
            ("1.6.38_beta", true),
            ("2", true),
        ] {
            assert_eq!(knows_meta(version.as_bytes()), expected, "{version}");
        }
        assert!(!knows_meta(b"unknown"));
    }

    /// Starts a server of `version`, which has early meta commands. It serves one connection and returns the requests.
    fn old_server(version: &'static str) -> (Address, thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = Address::parse(&listener.local_addr().unwrap().to_string()).unwrap();
        let server = thread::spawn(move || {
            let (mut caller, _) = listener.accept().unwrap();
            let lines = BufReader::new(caller.try_clone().unwrap()).lines().map_while(Result::ok);
            let mut requests = Vec::new();
            for line in lines {
                let reply = match line.split(' ').next().unwrap() {
                    "version" => format!("VERSION {version}\r\n"),
                    "mn" => "MN\r\n".to_owned(),
                    "gets" => "VALUE key 0 1 5\r\nv\r\nEND\r\n".to_owned(),
                    "set" => "STORED\r\n".to_owned(),
                    "v" => String::new(),
                    _ => "CLIENT_ERROR bad command line format\r\n".to_owned(),
                };
                requests.push(line);
                caller.write_all(reply.as_bytes()).unwrap();
            }
            requests
        });
        (address, server)
    }

    #[test]
    fn server_with_early_meta_commands_gets_classic_ones() {
        let (address, server) = old_server("1.6.9");
        let limit = Duration::from_secs(5);
        let options = Options { timeout: limit, connect_timeout: limit, ..Options::default() };
        let client = Client::new(vec![address], &options);
        let (key, value, when) = ("key", &b"v"[..], When::Always);
        let set = Operation::Store { key, value, flags: 0, expiry: 0, when };
        let replies = client.run(&[set, Operation::Get { key }]);
        let replies: Vec<Reply> = replies.into_iter().map(Result::unwrap).collect();
        assert_eq!(replies, [Reply::Done, Reply::Value { data: b"v".to_vec(), flags: 0, cas: 5 }]);
        drop(client);
        assert_eq!(server.join().unwrap(), ["version", "set key 0 0 1", "v", "gets key"]);
    }
}
