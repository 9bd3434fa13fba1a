//! [`Connection`]: one connection to a server, on which questions are sent together and answered in their order.

use std::io;
use std::time::Instant;

use super::address::Address;
use super::protocol::{Dialect, LONGEST_LINE, When, is_logged_in, log_in};
use super::stream::{Input, Stream};
use super::{Answer, Kind, Operation, Options};

pub(super) struct Connection {
    stream: Stream,
    dialect: Dialect,
    /// What is sent; kept, so that its room is.
    out: Vec<u8>,
    noreply: bool,
    /// Whether something was sent whose answer was not wanted, but which the server may complain of.
    may_be_told: bool,
}

impl Connection {
    /// Connects, logs in, and finds out what the server speaks.
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
        Ok(Connection { stream, dialect, out: Vec::new(), noreply, may_be_told: false })
    }

    /// Everything must be done until `deadline`.
    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        self.stream.set_deadline(deadline);
    }

    /// Sends `operations` together.
    pub(super) fn send(&mut self, operations: &[&Operation<'_>]) -> io::Result<()> {
        if self.stream.has_unread() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer to no question"));
        }
        self.out.clear();
        if self.may_be_told {
            self.out.extend_from_slice(END_OF_COMPLAINTS);
        }
        for (number, operation) in (0..).zip(operations) {
            self.dialect.write(operation, number, self.is_unanswered(operation), &mut self.out);
            if self.stream.is_encrypted() {
                // Over TLS memcached may forget what follows a value in the record that ends it.
                self.stream.send(&self.out)?;
                self.out.clear();
            }
        }
        self.stream.send(&self.out)?;
        if std::mem::take(&mut self.may_be_told) {
            self.hear_complaints()?;
        }
        self.may_be_told = operations.iter().any(|operation| self.is_unanswered(operation));
        Ok(())
    }

    /// Reads the answer to the `number`th of those that were sent together.
    pub(super) fn receive(&mut self, operation: &Operation<'_>, number: u32) -> io::Result<Answer> {
        if self.is_unanswered(operation) {
            return Ok(Answer::Done);
        }
        self.dialect.read(operation, number, &mut self.stream)
    }

    fn is_unanswered(&self, operation: &Operation<'_>) -> bool {
        self.noreply && matches!(operation, Operation::Store { when: When::Always, .. })
    }

    fn hear_complaints(&mut self) -> io::Result<()> {
        loop {
            let line = self.stream.line(LONGEST_LINE)?;
            if line.starts_with(b"VERSION") {
                return Ok(());
            }
            log::warn!("a value was not stored: {}", String::from_utf8_lossy(line));
        }
    }
}

/// A command that is answered by a line of its own, which comes after what was sent before it.
const END_OF_COMPLAINTS: &[u8] = b"version\r\n";

/// Meta commands, if the server is new enough for them. Older ones have some by these names too, which read otherwise and
/// cannot be told apart but by the version.
fn dialect_of(stream: &mut Stream) -> io::Result<Dialect> {
    stream.send(b"version\r\n")?;
    let line = stream.line(LONGEST_LINE)?;
    match line.strip_prefix(b"VERSION ") {
        Some(version) if knows_meta(version) => Ok(Dialect::Meta),
        Some(_) => Ok(Dialect::Classic),
        // Not every proxy says what it is.
        None if line.starts_with(b"ERROR") => Ok(Dialect::Classic),
        None => {
            let what = format!("a greeting {:?}", String::from_utf8_lossy(line));
            Err(io::Error::new(io::ErrorKind::InvalidData, what))
        }
    }
}

/// Whether a server of `version` has the meta commands in their lasting form, which they got with 1.6.10.
fn knows_meta(version: &[u8]) -> bool {
    let version = String::from_utf8_lossy(version);
    let mut parts = version.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>());
    let mut next = || parts.next().and_then(Result::ok).unwrap_or(0);
    [next(), next(), next()] >= [1, 6, 10]
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::thread;
    use std::time::Duration;

    use super::super::{Client, Distribution, Patience};
    use super::*;

    #[test]
    fn meta_commands_are_for_servers_that_have_their_lasting_form() {
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

    /// Answers as a server of `version`, whose meta commands would be of the early form; to one connection. Answers what
    /// it was asked.
    fn old_server(version: &'static str) -> (Address, thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = Address::parse(&listener.local_addr().unwrap().to_string()).unwrap();
        let server = thread::spawn(move || {
            let (mut caller, _) = listener.accept().unwrap();
            let asks = BufReader::new(caller.try_clone().unwrap()).lines().map_while(Result::ok);
            let mut asked = Vec::new();
            for ask in asks {
                let answer = match ask.split(' ').next().unwrap() {
                    "version" => format!("VERSION {version}\r\n"),
                    "mn" => "MN\r\n".to_owned(),
                    "gets" => "VALUE key 0 1 5\r\nv\r\nEND\r\n".to_owned(),
                    "set" => "STORED\r\n".to_owned(),
                    "v" => String::new(),
                    _ => "CLIENT_ERROR bad command line format\r\n".to_owned(),
                };
                asked.push(ask);
                caller.write_all(answer.as_bytes()).unwrap();
            }
            asked
        });
        (address, server)
    }

    #[test]
    fn a_server_with_early_meta_commands_is_spoken_to_in_the_classic_way() {
        let (address, server) = old_server("1.6.9");
        let second = Duration::from_secs(5);
        let options = Options {
            kind: Kind::Text,
            distribution: Distribution::Crc,
            connect_timeout: second,
            timeout: second,
            patience: Patience { attempts: 0, retry_after: second, dead_for: second },
            login: None,
            tls: None,
            keepalive: None,
            pool_size: 1,
            noreply: false,
        };
        let client = Client::new(vec![address], &options);
        let (key, value, when) = ("key", &b"v"[..], When::Always);
        let set = Operation::Store { key, value, flags: 0, expiry: 0, when };
        let answers = client.run(&[set, Operation::Get { key }]);
        let answers: Vec<Answer> = answers.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers, [Answer::Done, Answer::Value { data: b"v".to_vec(), flags: 0, cas: 5 }]);
        drop(client);
        assert_eq!(server.join().unwrap(), ["version", "set key 0 0 1", "v", "gets key"]);
    }
}
