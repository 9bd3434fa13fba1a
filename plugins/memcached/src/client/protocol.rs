//! The three protocols of memcached.

mod binary;
mod classic;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod fuzz;
mod meta;
mod operation;
mod parse;

use std::io;

pub(super) use self::binary::{is_logged_in, log_in};
pub use self::operation::{Operation, Reply, When};
pub(super) use self::parse::LONGEST_LINE;
use super::stream::Input;

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Meta,
    Classic,
    Binary,
}

impl Dialect {
    /// Appends `operation`, which has index `number` among the operations that are sent together.
    ///
    /// With `is_noreply`, the request asks the server not to reply to a stored value. The binary protocol ignores it.
    pub(super) fn write(self, operation: &Operation<'_>, number: u32, is_noreply: bool, out: &mut Vec<u8>) {
        match self {
            Dialect::Meta => meta::write(operation, is_noreply, out),
            Dialect::Classic => classic::write(operation, is_noreply, out),
            Dialect::Binary => binary::write(operation, number, out),
        }
    }

    /// Reads the reply to `operation`, which was sent with index `number`.
    pub(super) fn read(
        self,
        operation: &Operation<'_>,
        number: u32,
        input: &mut impl Input,
    ) -> io::Result<Reply> {
        match self {
            Dialect::Meta => meta::read(operation, input),
            Dialect::Classic => classic::read(operation, input),
            Dialect::Binary => binary::read(operation, number, input),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io;

    use super::Input;

    /// The bytes that a server sent.
    pub(super) struct Sent<'a>(pub(super) &'a [u8]);

    impl Input for Sent<'_> {
        fn line(&mut self, limit: usize) -> io::Result<&[u8]> {
            let end = self.0.windows(2).position(|pair| pair == b"\r\n").filter(|end| *end <= limit);
            let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
            let (line, rest) = self.0.split_at(end);
            self.0 = &rest[2..];
            Ok(line)
        }

        fn bytes(&mut self, count: usize) -> io::Result<&[u8]> {
            let (bytes, rest) = self.0.split_at_checked(count).ok_or(io::ErrorKind::UnexpectedEof)?;
            self.0 = rest;
            Ok(bytes)
        }
    }
}
