//! [`Due`]: what has replies that are due on a connection.

use std::time::Instant;

use super::call::Call;
use crate::resp::{Expected, Value};

/// A request whose replies are due.
pub(super) struct Due {
    pub(super) what: What,
    pub(super) since: Instant,
    /// The position after its last byte among those of all requests.
    pub(super) end: u64,
}

pub(super) enum What {
    Call {
        call: Call,
        replies: Vec<Value>,
        is_guarded: bool,
    },
    /// A guard, and its number.
    Guard(u64),
}

impl Due {
    /// Returns the call, or `None` for a guard.
    pub(super) fn call(&self) -> Option<&Call> {
        match &self.what {
            What::Call { call, .. } => Some(call),
            What::Guard(_) => None,
        }
    }

    /// Returns the kind of the next reply.
    pub(super) fn expected(&self) -> Option<Expected> {
        match &self.what {
            What::Call { call, replies, .. } => call.request.expected.get(replies.len()).copied(),
            What::Guard(number) => Some(Expected::Echo(*number)),
        }
    }

    /// Returns whether the command whose reply is next was sent. `written` is how many bytes of all requests are.
    ///
    /// A server replies to the first commands of a large request before it has received the last ones.
    pub(super) fn may_be_replied(&self, written: u64) -> bool {
        let unsent = match &self.what {
            What::Call { call, replies, .. } => {
                let (length, end) = (call.request.packed(false).len(), call.request.end_of(replies.len()));
                end.map_or(0, |end| length - end)
            }
            What::Guard(_) => 0,
        };
        self.end - unsent as u64 <= written
    }

    /// Adds a reply, and returns whether it was the last one.
    pub(super) fn add(&mut self, reply: Value) -> bool {
        match &mut self.what {
            What::Call { call, replies, .. } => {
                replies.push(reply);
                replies.len() == call.request.expected.len()
            }
            What::Guard(_) => true,
        }
    }
}
