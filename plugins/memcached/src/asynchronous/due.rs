//! [`Due`]: a call whose replies are due on a connection.

use std::time::Instant;

use super::call::Call;
use crate::client::{Codec, Operation};

/// A call whose replies are due on a connection.
pub(super) struct Due {
    pub(super) call: Call,
    pub(super) since: Instant,
    /// The bytes of values that the call may still receive.
    pub(super) left: usize,
    /// The index of the first operation that this connection carries, and its number.
    first: usize,
    number: u32,
    /// The number of operations that are written, or that an earlier connection carried.
    written: usize,
    /// The position after the first operation among the bytes of the connection.
    begins: u64,
}

impl Due {
    pub(super) fn new(call: Call, since: Instant, left: usize) -> Self {
        let first = call.replied();
        Due { call, since, left, first, number: 0, written: first, begins: u64::MAX }
    }

    /// Returns whether all operations are written.
    pub(super) fn is_written(&self) -> bool {
        self.written == self.call.len()
    }

    /// Writes the next operation to `out`, whose end is at `position` before. Returns how many bytes that took.
    pub(super) fn write(&mut self, codec: &mut Codec, out: &mut Vec<u8>, position: u64) -> u64 {
        let before = out.len();
        if let Some(operation) = self.call.operation(self.written) {
            let number = codec.write(&operation, false, out);
            let length = (out.len() - before) as u64;
            if self.written == self.first {
                (self.number, self.begins) = (number, position + length);
            }
        }
        self.written += 1;
        (out.len() - before) as u64
    }

    /// Returns the operation whose reply is next, and its number, if it was sent. `sent` is the number of bytes that the
    /// connection has sent.
    ///
    /// A request that was not sent has no reply.
    pub(super) fn awaited(&self, sent: u64) -> Option<(Operation<'_>, u32)> {
        let index = self.call.replied();
        let is_sent = self.begins <= sent && index < self.written;
        let number = self.number.wrapping_add((index - self.first) as u32);
        self.call.operation(index).filter(|_| is_sent).map(|operation| (operation, number))
    }
}
