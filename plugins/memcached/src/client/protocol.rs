//! The three protocols of memcached. They perform no I/O.

mod binary;
mod classic;
mod codec;
mod frame;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod fuzz;
mod invalid;
mod meta;
mod operation;
mod parse;
mod response;

pub(crate) use self::codec::{Codec, Dialect};
pub use self::invalid::{Invalid, Refusal};
pub use self::operation::{Operation, Reply, When};
pub(crate) use self::response::{Awaited, Response};

#[cfg(test)]
pub(super) mod tests {
    use super::{Awaited, Codec, Dialect, Invalid, Operation, Response};

    /// The most bytes of a value in the tests.
    pub(super) const LIMIT: usize = 1 << 20;

    /// Returns the response in `sent`. If it is unfinished, the connection ends, which is an invalid end, too.
    pub(super) fn response(
        dialect: Dialect,
        operation: &Operation<'_>,
        opaque: u32,
        mut sent: &[u8],
    ) -> Result<Response, Invalid> {
        let read = Codec::new(dialect).read(&mut sent, Awaited { operation, opaque }, LIMIT)?;
        // More than the response must be left unread for the next request.
        read.filter(|_| sent.is_empty()).ok_or(Invalid::End)
    }
}
