//! [`Response`]: what a server said to a request.

use super::invalid::Refusal;
use super::operation::{Operation, Reply};

/// What a server said to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Response {
    Reply(Reply),
    /// The server rejected the request.
    Refused(Refusal),
    /// The server rejected the request because nobody logged in, or the login itself.
    LoggedOut,
}

/// A request whose response has not arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Awaited<'a> {
    pub(crate) operation: &'a Operation<'a>,
    /// The request's number, which the server repeats. Requests of one connection have different numbers.
    pub(crate) opaque: u32,
}
