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

/// Meta commands, if the server has them.
fn dialect_of(stream: &mut Stream) -> io::Result<Dialect> {
    stream.send(b"mn\r\n")?;
    match stream.line(64)? {
        b"MN" => Ok(Dialect::Meta),
        line if line.starts_with(b"ERROR") => Ok(Dialect::Classic),
        line => {
            let what = format!("a greeting {:?}", String::from_utf8_lossy(line));
            Err(io::Error::new(io::ErrorKind::InvalidData, what))
        }
    }
}
