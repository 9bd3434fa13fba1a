//! [`Connection`]: a connection to a server, whose commands and replies end by a deadline.

mod failure;
mod resolver;
mod server;
mod stream;
mod tls;

use std::time::Instant;

pub(crate) use self::failure::Failure;
pub(crate) use self::resolver::Resolver;
pub(crate) use self::server::{Address, Login, Profile, Server};
use self::stream::Stream;
pub(crate) use self::tls::{Checks, Tls};
use crate::resp::{self, Decoder, Expected, Invalid, Value};

/// A connection to a server. After a failure, it must be closed: its next bytes may belong to an earlier command.
pub(crate) struct Connection {
    stream: Stream,
    decoder: Decoder,
    /// The most bytes of a value.
    value_limit: usize,
}

/// Whether a connection sends commands, or receives published messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Commands,
    Messages,
}

/// The moments by which a new connection must be open and logged in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    pub(crate) connected: Instant,
    pub(crate) ready: Instant,
}

impl Connection {
    /// Connects and logs in.
    pub(crate) fn open(
        server: &Server,
        resolver: &Resolver,
        purpose: Purpose,
        deadlines: Deadlines,
        value_limit: usize,
    ) -> Result<Self, Failure> {
        let stream = Stream::connect(server, resolver, deadlines.connected)?;
        let mut connection = Connection { stream, decoder: Decoder::default(), value_limit };
        connection.set_deadline(deadlines.ready);
        connection.log_in(&server.profile.login, purpose)?;
        Ok(connection)
    }

    fn log_in(&mut self, login: &Login, purpose: Purpose) -> Result<(), Failure> {
        let (credentials, mut sent) = (login.credentials(), Vec::new());
        let (has_login, has_hello) = (!credentials.is_empty(), purpose == Purpose::Messages);
        if has_hello {
            let auth = if has_login { &[&b"AUTH"[..], login.name()][..] } else { &[] };
            let password = credentials.last().copied().filter(|_| has_login);
            write([&[&b"HELLO"[..], b"3"], auth, password.as_slice()].concat(), &mut sent);
        } else if has_login {
            write([&[&b"AUTH"[..]], &credentials[..]].concat(), &mut sent);
        }
        // Channels do not belong to a database.
        let has_database = login.db != 0 && !has_hello;
        if has_database {
            write(vec![b"SELECT", login.db.to_string().as_bytes()], &mut sent);
        }
        if sent.is_empty() {
            return Ok(());
        }
        self.send(&sent)?;
        if has_hello || has_login {
            let expected = if has_hello { Expected::List } else { Expected::Done };
            let reply = self.receive(expected)?;
            accepted(reply, if has_login { |_| Failure::Login } else { Failure::Rejected })?;
        }
        if has_database {
            let reply = self.receive(Expected::Done)?;
            accepted(reply, Failure::Database)?;
        }
        Ok(())
    }

    /// Sets the deadline of all further sends and reads.
    pub(crate) fn set_deadline(&mut self, deadline: Instant) {
        self.stream.set_deadline(deadline);
    }

    /// Returns whether the server has sent bytes that belong to no command.
    pub(crate) fn has_unread(&mut self) -> Result<bool, Failure> {
        Ok(self.stream.has_unread()?)
    }

    /// Sends packed commands.
    pub(crate) fn send(&mut self, packed: &[u8]) -> Result<(), Failure> {
        Ok(self.stream.send(packed)?)
    }

    /// Receives the reply to a command. Skips push messages, unless one is expected.
    pub(crate) fn receive(&mut self, expected: Expected) -> Result<Value, Failure> {
        let limits = expected.limits(self.value_limit);
        loop {
            let mut unread = self.stream.unread();
            let before = unread.len();
            let decoded = self.decoder.decode(&mut unread, limits)?;
            let used = before - unread.len();
            self.stream.consume(used);
            match decoded {
                Some(Value::Push(_)) if expected != Expected::Message => {}
                Some(reply) => {
                    expected.check(&reply)?;
                    return Ok(reply);
                }
                None => self.stream.fill(self.decoder.missing())?,
            }
        }
    }

    /// Ends an exchange whose replies were all received.
    ///
    /// # Errors
    /// If more bytes have arrived. The replies then may belong to other commands.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        if self.stream.unread().is_empty() { Ok(()) } else { Err(Invalid::Unread.into()) }
    }
}

fn write(arguments: Vec<&[u8]>, out: &mut Vec<u8>) {
    resp::command(arguments.len(), out);
    arguments.into_iter().for_each(|argument| resp::bulk(argument, out));
}

fn accepted(reply: Value, failure: fn(resp::ErrorReply) -> Failure) -> Result<(), Failure> {
    match reply {
        Value::Error(error) => Err(failure(error)),
        _ => Ok(()),
    }
}
