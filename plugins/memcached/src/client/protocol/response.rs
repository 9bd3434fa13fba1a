//! [`Response`]: the response of a server to a request.

use super::invalid::Refusal;
use super::operation::{Operation, Reply};

/// The response of a server to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Response {
    Reply(Reply),
    /// The server rejected the request.
    Refused(Refusal),
    /// The server rejected the login, or the request because there was no login.
    LoggedOut,
}

/// A request whose response has not arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Awaited<'a> {
    pub(crate) operation: &'a Operation<'a>,
    /// The request's number, which the server repeats. Requests of one connection have different numbers.
    pub(crate) opaque: u32,
}
