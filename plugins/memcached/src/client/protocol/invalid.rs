//! [`Invalid`] and [`Refusal`]: replies other than the requested one.

/// The longest line of a reply: a key and some numbers, or an error message.
pub(super) const LONGEST_LINE: usize = 2048;

/// Why the bytes that a server sent are not the expected reply. The text contains none of them.
///
/// The connection is then closed, because its next bytes may belong to another request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// A line has no end within its limit.
    #[error("a line is longer than {LONGEST_LINE} bytes")]
    LongLine,
    /// A value is larger than its limit.
    #[error("a value has {given} bytes, more than {limit}")]
    LongValue {
        /// The size that the server announced.
        given: usize,
        /// The limit.
        limit: usize,
    },
    /// A line or a value does not end as it should.
    #[error("a line or a value has no valid end")]
    End,
    /// A number is not valid.
    #[error("it contains a malformed number")]
    Number,
    /// The reply names another key than the request, or none.
    #[error("it is for another key")]
    Key,
    /// The reply repeats the number of another request, or none.
    #[error("it is for another request")]
    Opaque,
    /// The request has no such reply.
    #[error("it is of another type")]
    Kind,
    /// The server did not understand the request.
    #[error("it is a protocol error")]
    Protocol,
    /// The server sent more than was requested.
    #[error("there are bytes that belong to no request")]
    Unread,
}

/// Why a server rejected a request that it understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The value is larger than the server's item limit.
    TooLarge,
    /// The server has no memory left, and must not evict anything.
    OutOfMemory,
    /// Another reason.
    Other,
}

impl Refusal {
    /// Returns the reason in the text of a server.
    pub(super) fn of(text: &[u8]) -> Self {
        let has = |words: &[u8]| text.windows(words.len()).any(|part| part == words);
        match () {
            () if has(b"too large") => Refusal::TooLarge,
            () if has(b"out of memory") || has(b"Out of memory") => Refusal::OutOfMemory,
            () => Refusal::Other,
        }
    }
}
