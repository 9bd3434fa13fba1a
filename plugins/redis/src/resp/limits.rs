//! [`Limits`]: how large a reply may be.

/// The most bytes in a line, which is a status, an error, a number, or a length.
pub(super) const LINE: usize = 16 << 10;

/// The deepest nesting of lists. The reply to `CLUSTER SLOTS` is the deepest one that we request, with four levels.
pub(super) const DEPTH: usize = 8;

/// How large one reply may be, with everything in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The most elements in all lists together.
    pub(crate) elements: usize,
    /// The most bytes in a string.
    pub(crate) string: usize,
    /// The most bytes in all strings together.
    pub(crate) total: usize,
}

impl Limits {
    /// The limits of a push message, whatever reply is expected.
    pub(super) const PUSH: Limits = Limits { elements: 1024, string: 64 << 10, total: 64 << 10 };
}

/// Why the bytes that a server sent are not the expected reply. The text contains none of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Invalid {
    #[error("a line is longer than {LINE} bytes")]
    LongLine,
    #[error("a line or string has no valid end")]
    End,
    #[error("no reply begins with the byte {0:#04x}")]
    Type(u8),
    #[error("it contains a malformed number")]
    Number,
    #[error("a string has {given} bytes, more than {limit}")]
    LongString { given: u64, limit: usize },
    #[error("its strings have more than {limit} bytes in all")]
    Large { limit: usize },
    #[error("a list is longer than {limit} elements")]
    LongList { limit: usize },
    #[error("its lists are nested deeper than {DEPTH} levels")]
    Deep,
    #[error("a push message is part of another value")]
    NestedPush,
    #[error("{given} is not {expected}")]
    Kind { given: &'static str, expected: &'static str },
    #[error("{given} values for {expected} keys")]
    Count { given: usize, expected: usize },
    #[error("there are bytes that belong to no command")]
    Unread,
}
