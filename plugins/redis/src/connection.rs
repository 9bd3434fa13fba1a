//! [`Connection`]: a connection to a server, whose commands and replies end by a deadline.

mod failure;
mod handshake;
mod server;

use std::time::Instant;

use dogpile_net::{Connector, Stream};

pub(crate) use self::failure::Failure;
pub(crate) use self::handshake::Purpose;
#[cfg(not(feature = "tokio"))]
use self::handshake::{Step, steps};
#[cfg(feature = "tokio")]
pub(crate) use self::handshake::{Step, steps};
pub(crate) use self::server::{Address, Login, Profile, Server};
use crate::resp::{Decoder, Expected, Invalid, Likeness, Value};

/// A connection to a server. After a failure, it must be closed: its next bytes may belong to an earlier command.
pub(crate) struct Connection {
    stream: Stream,
    decoder: Decoder,
    /// The most bytes of a value.
    value_limit: usize,
    /// What the last reply could be mistaken for, guards aside.
    last_read: Option<Likeness>,
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
        connector: &Connector,
        login: &Login,
        purpose: Purpose,
        deadlines: Deadlines,
        value_limit: usize,
    ) -> Result<Self, Failure> {
        let stream = connector.connect(deadlines.connected)?;
        let mut connection = Connection { stream, decoder: Decoder::default(), value_limit, last_read: None };
        connection.set_deadline(deadlines.ready);
        connection.shake_hands(&steps(login, purpose))?;
        Ok(connection)
    }

    /// Sends the commands of the handshake together, and checks their replies.
    fn shake_hands(&mut self, steps: &[Step]) -> Result<(), Failure> {
        if !steps.is_empty() {
            self.send(&steps.iter().flat_map(|step| &step.packed).copied().collect::<Vec<_>>())?;
        }
        steps.iter().try_for_each(|step| match self.receive(step.expected)? {
            Value::Error(error) => Err((step.failure)(error)),
            _ => Ok(()),
        })
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
                    if !matches!(expected, Expected::Echo(_)) {
                        self.last_read = expected.likeness();
                    }
                    return Ok(reply);
                }
                None => self.stream.fill(self.decoder.missing())?,
            }
        }
    }

    /// Returns what a surplus reply could be mistaken for, which repeats the last one.
    pub(crate) fn last_read(&self) -> Option<Likeness> {
        self.last_read
    }

    /// Ends an exchange whose replies were all received.
    ///
    /// # Errors
    /// If more bytes have arrived. The replies then may belong to other commands.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        if self.stream.unread().is_empty() { Ok(()) } else { Err(Invalid::Unread.into()) }
    }
}
