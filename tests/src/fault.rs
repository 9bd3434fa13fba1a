//! [`Fault`]: what a network, a proxy, or a broken server does to replies.

/// What happens to a reply between a server and its client.
///
/// Whatever happens, each call ends at its deadline, no call returns the value of another key or one that was never
/// stored, and replies are right again as soon as the fault is over. [`CorruptPayload`](Fault::CorruptPayload) and
/// [`Swap`](Fault::Swap) have narrower promises, which they state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It arrives late, but well before the deadline.
    Delay,
    /// It arrives after the deadline, when its caller no longer waits.
    Late,
    /// It does not arrive while the fault lasts. It is delivered afterwards, like a late reply.
    Freeze,
    /// Its first half arrives. The rest is delivered when the fault is over.
    FreezeInside,
    /// It arrives byte by byte, with pauses that add up to more than the deadline for all but the shortest replies.
    Drip,
    /// It arrives byte by byte, without pauses.
    SingleBytes,
    /// It lacks its last three bytes. Later replies follow.
    Truncate,
    /// It is lost. Later replies follow.
    Drop,
    /// The connection is closed instead.
    Close,
    /// The connection is closed in the middle.
    CloseInside,
    /// The connection is closed after it, so that a kept connection is no longer open.
    CloseAfter,
    /// The connection is reset instead.
    Reset,
    /// The connection is reset in the middle.
    ResetInside,
    /// The server ends its half of the connection instead, and still accepts requests.
    HalfClose,
    /// It arrives twice, at once.
    Duplicate,
    /// It arrives a second time a moment later, when the next request may be on its way.
    DuplicateLater,
    /// It changes places with the next one of the connection. If there is no other, it waits for the next request.
    ///
    /// Replies of Redis do not name their keys. Nothing can notice that two values of one batch changed places, so that
    /// the relay never swaps those.
    Swap,
    /// A well-formed reply of another type arrives instead.
    OtherType,
    /// An error reply arrives instead.
    Error,
    /// Bytes that belong to no reply follow it.
    InsertAfter,
    /// Bytes that belong to no reply precede it.
    InsertBefore,
    /// A reply without a request arrives on each new connection.
    Unrequested,
    /// Its length is too small by one.
    WrongLength,
    /// Its length is more than any memory holds.
    HugeLength,
    /// A line without an end arrives instead.
    EndlessLine,
    /// A list without an end arrives instead.
    EndlessList,
    /// A byte that is not part of a value changes: one of a type, length, number, status, key, or line end.
    CorruptHead,
    /// A byte of a value changes.
    ///
    /// No protocol has checksums, so that the value may be wrong. The values of other keys are right. The relay changes
    /// only values that contain the word [`VICTIM`].
    CorruptPayload,
}

/// The word in values that [`Fault::CorruptPayload`] may change.
pub const VICTIM: &str = "victim";

impl Fault {
    /// All faults.
    pub const ALL: [Fault; 28] = [
        Fault::Delay,
        Fault::Late,
        Fault::Freeze,
        Fault::FreezeInside,
        Fault::Drip,
        Fault::SingleBytes,
        Fault::Truncate,
        Fault::Drop,
        Fault::Close,
        Fault::CloseInside,
        Fault::CloseAfter,
        Fault::Reset,
        Fault::ResetInside,
        Fault::HalfClose,
        Fault::Duplicate,
        Fault::DuplicateLater,
        Fault::Swap,
        Fault::OtherType,
        Fault::Error,
        Fault::InsertAfter,
        Fault::InsertBefore,
        Fault::Unrequested,
        Fault::WrongLength,
        Fault::HugeLength,
        Fault::EndlessLine,
        Fault::EndlessList,
        Fault::CorruptHead,
        Fault::CorruptPayload,
    ];

    /// Returns whether every reply still arrives whole and in time, so that calls succeed.
    pub fn is_harmless(self) -> bool {
        matches!(self, Fault::Delay | Fault::SingleBytes)
    }
}
