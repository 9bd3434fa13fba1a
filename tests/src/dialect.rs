//! [`Dialect`]: distinguishes the replies of a protocol, and makes wrong ones.

mod binary;
mod layout;
mod resp;
mod text;
mod tls;

pub(crate) use self::layout::Layout;

/// A protocol that servers and clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Redis, in RESP2 or RESP3.
    Resp,
    /// The meta commands of memcached.
    Meta,
    /// The classic text commands of memcached.
    Classic,
    /// The binary protocol of memcached.
    Binary,
    /// Any protocol inside TLS. Its replies are the records.
    Tls,
}

impl Dialect {
    /// Returns the layout of the first reply in `bytes`, or `None` if it is incomplete.
    pub(crate) fn layout(self, bytes: &[u8]) -> Option<Layout> {
        let layout = match self {
            Dialect::Resp => resp::layout(bytes),
            Dialect::Meta | Dialect::Classic => text::layout(bytes),
            Dialect::Binary => binary::layout(bytes),
            Dialect::Tls => tls::layout(bytes),
        };
        layout.filter(|layout| layout.length <= bytes.len())
    }

    /// Returns what the relay passes on instead of `reply` even without a fault.
    ///
    /// A client speaks the classic commands of memcached if the server does not know the meta commands.
    pub(crate) fn translate(self, reply: Vec<u8>) -> Vec<u8> {
        if self == Dialect::Classic && reply == b"MN\r\n" { b"ERROR\r\n".to_vec() } else { reply }
    }

    /// Returns whether only their order distinguishes the replies.
    pub(crate) fn are_alike(self, one: &[u8], other: &[u8]) -> bool {
        self == Dialect::Resp && one.first() == other.first()
    }

    /// Returns a well-formed reply of another type.
    pub(crate) fn other_type(self, reply: &[u8]) -> Vec<u8> {
        match self {
            Dialect::Resp => resp::other_type(reply),
            Dialect::Meta => text::other_type(reply, b"VA 5 f0 c1 kother\r\nwrong\r\n"),
            Dialect::Classic => text::other_type(reply, b"VALUE other 0 5 1\r\nwrong\r\nEND\r\n"),
            Dialect::Binary => binary::other_type(reply),
            Dialect::Tls => tls::ALERT.to_vec(),
        }
    }

    /// Returns an error reply to the request of `reply`.
    pub(crate) fn error(self, reply: &[u8]) -> Vec<u8> {
        match self {
            Dialect::Resp => b"-ERR no reason\r\n".to_vec(),
            Dialect::Meta | Dialect::Classic => b"SERVER_ERROR out of memory\r\n".to_vec(),
            Dialect::Binary => binary::error(reply),
            Dialect::Tls => tls::ALERT.to_vec(),
        }
    }

    /// Returns a reply that no client waits for.
    pub(crate) fn unrequested(self) -> Vec<u8> {
        match self {
            Dialect::Resp => b"+OK\r\n".to_vec(),
            Dialect::Meta | Dialect::Classic => b"STORED\r\n".to_vec(),
            Dialect::Binary => binary::unrequested(),
            Dialect::Tls => tls::ALERT.to_vec(),
        }
    }

    /// Returns bytes that belong to no reply.
    pub(crate) fn garbage(self) -> Vec<u8> {
        match self {
            Dialect::Binary => vec![0xff; 30],
            _ => b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        }
    }

    /// Returns `reply` with a length that is too small by one.
    pub(crate) fn wrong_length(self, reply: &[u8]) -> Vec<u8> {
        match self {
            Dialect::Resp => resp::wrong_length(reply),
            Dialect::Meta => text::with_length(reply, 1, |length| length - 1),
            Dialect::Classic => text::with_length(reply, 3, |length| length - 1),
            Dialect::Binary => binary::with_length(reply, |length| length.checked_sub(1).unwrap_or(1)),
            Dialect::Tls => tls::with_length(reply, |length| length.wrapping_sub(1)),
        }
    }

    /// Returns the beginning of a reply that claims to be very long.
    pub(crate) fn huge_length(self, reply: &[u8]) -> Vec<u8> {
        match self {
            Dialect::Resp => b"$9223372036854775807\r\nabc".to_vec(),
            Dialect::Meta => text::with_length(reply, 1, |_| 1 << 40),
            Dialect::Classic => text::with_length(reply, 3, |_| 1 << 40),
            Dialect::Binary => binary::with_length(reply, |_| u32::MAX),
            Dialect::Tls => tls::with_length(reply, |_| u16::MAX),
        }
    }

    /// Returns the beginning of a line, and what follows it forever.
    pub(crate) fn endless_line(self, reply: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let beginning = match self {
            Dialect::Resp => b"+".to_vec(),
            Dialect::Meta | Dialect::Classic => reply[..reply.len().min(2)].to_vec(),
            Dialect::Binary => binary::with_length(&reply[..reply.len().min(24)], |_| u32::MAX),
            Dialect::Tls => vec![23, 3, 3, 0x3f, 0xff],
        };
        (beginning, vec![b'a'; 4096])
    }

    /// Returns the beginning of a list, and the elements that follow it forever.
    pub(crate) fn endless_list(self, reply: &[u8]) -> (Vec<u8>, Vec<u8>) {
        match self {
            Dialect::Resp => (b"*1000000000\r\n".to_vec(), b"_\r\n".repeat(1000)),
            Dialect::Meta => (Vec::new(), b"VA 1 f0 c1 kother\r\na\r\n".repeat(100)),
            Dialect::Classic => (Vec::new(), text::without_end(reply).repeat(100)),
            Dialect::Binary => (Vec::new(), binary::unrequested().repeat(100)),
            Dialect::Tls => (Vec::new(), tls::CHANGE_CIPHER_SPEC.repeat(100)),
        }
    }
}
