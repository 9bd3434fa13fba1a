//! The Redis protocol, RESP2 and RESP3, without I/O.
//!
//! Every length that a server claims is checked against a limit, and memory is reserved only as bytes arrive.

mod decode;
mod encode;
mod expected;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod fuzz;
mod limits;
mod line;
mod value;

pub(crate) use self::decode::Decoder;
pub(crate) use self::encode::{bulk, command, number};
pub(crate) use self::expected::{Expected, Likeness};
pub(crate) use self::limits::Invalid;
pub(crate) use self::value::{ErrorReply, Value};
