//! [`Connection`]: one connection to a server. Requests are sent together, and the replies arrive in order.

use std::ops::Range;
use std::time::Instant;

use dogpile_net::{Connector, Stream};

use super::failure::Failure;
use super::greeting::{GREETING, dialect};
use super::options::{Kind, Options};
use super::protocol::{Awaited, Codec, Dialect, Invalid, Operation, Response, When};

/// A connection to a server. After a failure, it must be closed: its next bytes may belong to an earlier request.
pub(super) struct Connection {
    stream: Stream,
    codec: Codec,
    /// The bytes to send. The buffer is kept to reuse its memory.
    out: Vec<u8>,
    noreply: bool,
    /// The number of values that were sent without a reply, for which the server may still report an error.
    unconfirmed: usize,
}

/// The moments by which a new connection must be open and ready.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    pub(crate) connected: Instant,
    pub(crate) ready: Instant,
}

/// A request that was sent: the index of its operation, and its number on the connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) index: usize,
    opaque: u32,
}

/// The most bytes that an unused connection keeps for its next requests.
const KEPT: usize = 64 << 10;

impl Connection {
    /// Connects, logs in, and detects the protocol.
    pub(super) fn open(
        connector: &Connector,
        options: &Options,
        deadlines: Deadlines,
    ) -> Result<Self, Failure> {
        let mut stream = connector.connect(deadlines.connected)?;
        stream.set_deadline(deadlines.ready);
        let codec = match options.kind {
            Kind::Text => text_codec(&mut stream)?,
            Kind::Binary => binary_codec(&mut stream, options)?,
        };
        let noreply = options.noreply && codec.dialect() != Dialect::Binary;
        Ok(Connection { stream, codec, out: Vec::new(), noreply, unconfirmed: 0 })
    }

    /// Sets the deadline of all further sends and reads.
    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        self.stream.set_deadline(deadline);
    }

    /// Returns whether the server has sent bytes that belong to no request.
    pub(super) fn has_unread(&mut self) -> Result<bool, Failure> {
        // Reports about values that were sent without a reply are read before the next reply.
        Ok(self.unconfirmed == 0 && self.stream.has_unread()?)
    }

    /// Sends the operations in `range` of `operations` together, and appends those whose replies will arrive to `sent`.
    ///
    /// Returns how many earlier values, sent without a reply, the server reported as not stored.
    pub(super) fn send(
        &mut self,
        operations: &[&Operation<'_>],
        range: Range<usize>,
        sent: &mut Vec<Sent>,
    ) -> Result<usize, Failure> {
        self.out.clear();
        let unconfirmed = std::mem::take(&mut self.unconfirmed);
        if unconfirmed > 0 {
            self.out.extend_from_slice(END_OF_REPORTS);
        }
        for index in range {
            let is_noreply = self.is_noreply(operations[index]);
            let opaque = self.codec.write(operations[index], is_noreply, &mut self.out);
            if is_noreply {
                self.unconfirmed += 1;
            } else {
                sent.push(Sent { index, opaque });
            }
            if self.stream.is_encrypted() {
                // Over TLS, memcached may lose what follows a value in the same record.
                self.stream.send(&self.out)?;
                self.out.clear();
            }
        }
        self.stream.send(&self.out)?;
        self.out.shrink_to(KEPT);
        if unconfirmed > 0 { self.read_reports(unconfirmed) } else { Ok(0) }
    }

    /// Waits for the response to a request, whose value may have `limit` bytes.
    pub(super) fn receive(
        &mut self,
        operation: &Operation<'_>,
        sent: Sent,
        limit: usize,
    ) -> Result<Response, Failure> {
        let awaited = Awaited { operation, opaque: sent.opaque };
        read(&mut self.stream, &mut self.codec, |codec, input| codec.read(input, awaited, limit))
    }

    /// Ends an exchange whose replies were all received.
    ///
    /// # Errors
    /// If more bytes have arrived. The replies then may belong to other requests.
    pub(super) fn finish(&self) -> Result<(), Failure> {
        let is_read = self.unconfirmed > 0 || self.stream.unread().is_empty();
        if is_read { Ok(()) } else { Err(Invalid::Unread.into()) }
    }

    /// Returns whether `operation` is sent without waiting for a reply.
    pub(super) fn is_noreply(&self, operation: &Operation<'_>) -> bool {
        self.noreply && matches!(operation, Operation::Store { when: When::Always, .. })
    }

    /// Reads the reports about values that were sent without a reply, of which there are `most` at most.
    fn read_reports(&mut self, most: usize) -> Result<usize, Failure> {
        for reports in 0..=most {
            let line = read(&mut self.stream, &mut self.codec, Codec::read_line)?;
            match &line[..] {
                line if line.starts_with(b"VERSION") => return Ok(reports),
                line if line.starts_with(b"SERVER_ERROR") => {}
                _ => return Err(Invalid::Kind.into()),
            }
        }
        Err(Invalid::Unread.into())
    }
}

/// A command with a reply of its own, which comes after the error messages of earlier commands.
const END_OF_REPORTS: &[u8] = b"version\r\n";

/// Reads from `stream` until `decode` returns something. It returns `None` while bytes are missing.
fn read<T>(
    stream: &mut Stream,
    codec: &mut Codec,
    mut decode: impl FnMut(&mut Codec, &mut &[u8]) -> Result<Option<T>, Invalid>,
) -> Result<T, Failure> {
    loop {
        let mut unread = stream.unread();
        let before = unread.len();
        let decoded = decode(codec, &mut unread)?;
        let used = before - unread.len();
        stream.consume(used);
        match decoded {
            Some(decoded) => return Ok(decoded),
            None => stream.fill(codec.missing())?,
        }
    }
}

fn binary_codec(stream: &mut Stream, options: &Options) -> Result<Codec, Failure> {
    let mut codec = Codec::new(Dialect::Binary);
    if let Some(login) = &options.login {
        let mut out = Vec::new();
        let opaque = codec.write_login(login, &mut out);
        stream.send(&out)?;
        if !read(stream, &mut codec, |codec, input| codec.read_login(input, opaque))? {
            return Err(Failure::Login);
        }
    }
    Ok(codec)
}

/// Detects the protocol from the version.
fn text_codec(stream: &mut Stream) -> Result<Codec, Failure> {
    stream.send(GREETING)?;
    let line = read(stream, &mut Codec::new(Dialect::Classic), Codec::read_line)?;
    Ok(Codec::new(dialect(&line)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::client::{Address, Client, Reply};

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
