//! [`Codec`]: writes the requests of a connection, and reads their replies. It performs no I/O.

use super::frame::{Frames, Layout};
use super::invalid::{Invalid, LONGEST_LINE};
use super::operation::Operation;
use super::response::{Awaited, Response};
use super::{binary, classic, meta};
use crate::client::options::Login;

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Meta,
    Classic,
    Binary,
}

impl Dialect {
    fn layout(self) -> Layout {
        match self {
            Dialect::Meta => meta::LAYOUT,
            Dialect::Classic => classic::LAYOUT,
            Dialect::Binary => binary::LAYOUT,
        }
    }
}

/// Writes the requests of one connection, and reads their replies as bytes arrive.
///
/// Each request gets another number, which the server repeats, except in the classic protocol. After an error, the
/// connection must be closed.
pub(crate) struct Codec {
    dialect: Dialect,
    frames: Frames,
    /// The number of the next request.
    next: u32,
    /// Whether the server has repeated the number of a request. From then on, replies without it are invalid.
    echoes: bool,
}

impl Codec {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Codec { dialect, frames: Frames::new(dialect.layout()), next: 1, echoes: false }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Appends the request for `operation`, and returns its number.
    ///
    /// With `is_noreply`, the request asks the server not to reply to a stored value. The binary protocol ignores it.
    pub(crate) fn write(&mut self, operation: &Operation<'_>, is_noreply: bool, out: &mut Vec<u8>) -> u32 {
        let opaque = self.number();
        match self.dialect {
            Dialect::Meta => meta::write(operation, opaque, is_noreply, out),
            Dialect::Classic => classic::write(operation, is_noreply, out),
            Dialect::Binary => binary::write(operation, opaque, out),
        }
        opaque
    }

    /// Reads the response to a request, and removes the bytes that were used from `input`. `limit` is the most bytes of
    /// a value.
    ///
    /// Returns `None` if all of `input` was used and the response is not finished.
    ///
    /// # Errors
    /// If the bytes are not a response to the request, or contain a value beyond `limit`.
    pub(crate) fn read(
        &mut self,
        input: &mut &[u8],
        awaited: Awaited<'_>,
        limit: usize,
    ) -> Result<Option<Response>, Invalid> {
        let Some(frame) = self.frames.next(input, limit)? else { return Ok(None) };
        let response = match self.dialect {
            Dialect::Meta => meta::read(frame, awaited, &mut self.echoes),
            Dialect::Classic => classic::read(frame, awaited.operation),
            Dialect::Binary => binary::read(frame, awaited),
        };
        response.map(Some)
    }

    /// Returns how many bytes are known to be missing, which is at least 1.
    pub(crate) fn missing(&self) -> usize {
        self.frames.missing()
    }

    /// Appends the request that logs in, in the binary protocol, and returns its number.
    pub(crate) fn write_login(&mut self, login: &Login, out: &mut Vec<u8>) -> u32 {
        let opaque = self.number();
        binary::log_in(login, opaque, out);
        opaque
    }

    /// Reads the response to a login, like [`read`](Self::read), and returns whether the login was accepted.
    pub(crate) fn read_login(&mut self, input: &mut &[u8], opaque: u32) -> Result<Option<bool>, Invalid> {
        // The server replies with a word or two.
        match self.frames.next(input, LONGEST_LINE).map_err(of_no_value)? {
            Some(frame) => binary::is_logged_in(&frame, opaque).map(Some),
            None => Ok(None),
        }
    }

    /// Reads the next line, in the text protocols.
    pub(crate) fn read_line(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, Invalid> {
        let frame = self.frames.next(input, 0).map_err(of_no_value)?;
        Ok(frame.map(|frame| frame.head.to_vec()))
    }

    fn number(&mut self) -> u32 {
        let number = self.next;
        self.next = number.wrapping_add(1);
        number
    }
}

/// Returns the error for a reply that should contain no value.
fn of_no_value(invalid: Invalid) -> Invalid {
    if matches!(invalid, Invalid::LongValue { .. }) { Invalid::Kind } else { invalid }
}
