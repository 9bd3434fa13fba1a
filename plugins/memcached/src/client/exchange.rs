//! [`Exchange`]: operations that are sent to a server, and their replies.

use std::sync::Arc;

use super::connection::{Connection, Sent};
use super::error::{Error, Outcome};
use super::failure::Failure;
use super::protocol::{Operation, Reply, Response};

/// The most bytes of values that one exchange returns, unless a single value may be larger.
pub(crate) const TOTAL: usize = 1 << 30;

/// Operations that are sent to a server, of which the first have outcomes.
pub(super) struct Exchange<'e> {
    operations: &'e [&'e Operation<'e>],
    /// The outcomes of the operations before [`next`](Self::next), and of some after it.
    outcomes: Vec<Option<Outcome>>,
    /// The index of the first operation without an outcome.
    next: usize,
    server: &'e Arc<str>,
    /// The most bytes of a value.
    value_limit: usize,
    /// The bytes of values that may still be received.
    left: usize,
    /// The number of values that the server rejected and that were sent without waiting for a reply.
    unstored: usize,
}

impl<'e> Exchange<'e> {
    pub(super) fn new(operations: &'e [&'e Operation<'e>], server: &'e Arc<str>, value_limit: usize) -> Self {
        let outcomes = operations.iter().map(|_| None).collect();
        Exchange {
            operations,
            outcomes,
            next: 0,
            server,
            value_limit,
            left: TOTAL.max(value_limit),
            unstored: 0,
        }
    }

    /// Sends the operations without an outcome, and receives their replies.
    ///
    /// # Errors
    /// If the connection fails. The operations that had a reply before keep their outcomes.
    pub(super) fn run(&mut self, connection: &mut Connection) -> Result<(), Failure> {
        let mut sent = Vec::new();
        while self.next < self.operations.len() {
            let left = &self.operations[self.next..];
            // A report about a value that needs no reply must not be taken for the reply to a later request.
            let is_noreply = connection.is_noreply(left[0]);
            let alike = left.iter().take_while(|operation| connection.is_noreply(operation) == is_noreply);
            let end = self.next + sent_together(left).min(alike.count());
            sent.clear();
            let reported = connection.send(self.operations, self.next..end, &mut sent)?;
            self.unstored += reported;
            for &request in &sent {
                self.confirm(request.index);
                self.receive(connection, request)?;
            }
            self.confirm(end);
        }
        connection.finish()
    }

    fn receive(&mut self, connection: &mut Connection, request: Sent) -> Result<(), Failure> {
        let limit = self.value_limit.min(self.left);
        let outcome = match connection.receive(self.operations[request.index], request, limit)? {
            Response::Reply(reply) => {
                self.left -= reply.length();
                Ok(reply)
            }
            Response::Refused(why) => Err(Arc::new(Error::Refused { server: Arc::clone(self.server), why })),
            Response::LoggedOut => return Err(Failure::Login),
        };
        self.outcomes[request.index] = Some(outcome);
        self.next = request.index + 1;
        Ok(())
    }

    /// Counts the operations before `end` that need no reply as done.
    fn confirm(&mut self, end: usize) {
        for outcome in &mut self.outcomes[self.next..end] {
            *outcome = Some(Ok(Reply::Done));
        }
        self.next = self.next.max(end);
    }

    /// Returns how many values the server rejected that were sent without waiting for a reply.
    pub(super) fn unstored(&self) -> usize {
        self.unstored
    }

    /// Returns whether repeating the operations without an outcome is harmless.
    pub(super) fn may_repeat(&self) -> bool {
        self.operations[self.next..].iter().all(|operation| operation.is_harmless())
    }

    /// Returns the outcomes. Operations without one, of which there are none after a whole exchange, have `failed`.
    pub(super) fn outcomes(self, failed: Error) -> Vec<Outcome> {
        let failed = Arc::new(failed);
        let outcomes = self.outcomes.into_iter();
        outcomes.map(|outcome| outcome.unwrap_or_else(|| Err(Arc::clone(&failed)))).collect()
    }
}

/// Returns how many of `operations` to send before reading their replies.
///
/// A server may stop reading until its replies are read, so it must be able to accept all of them.
fn sent_together(operations: &[&Operation<'_>]) -> usize {
    const MOST: usize = 1000;
    /// The most bytes of requests whose reply is an item.
    const MOST_READ: usize = 16 << 10;
    const MOST_STORED: usize = 256 << 10;
    let (mut asked, mut stored) = (0, 0);
    let fits = operations.iter().take(MOST).take_while(|operation| {
        match operation {
            Operation::Get { key } | Operation::Delete { key, .. } => asked += key.len() + 32,
            Operation::Store { key, value, .. } => stored += key.len() + value.len() + 64,
        }
        asked <= MOST_READ && stored <= MOST_STORED
    });
    fits.count().max(1)
}

#[cfg(test)]
mod tests {
    use super::super::protocol::When;
    use super::*;

    #[test]
    fn long_list_is_sent_in_parts() {
        let keys: Vec<_> = (0..3000).map(|number| format!("key {number}")).collect();
        let gets: Vec<_> = keys.iter().map(|key| Operation::Get { key }).collect();
        let gets: Vec<_> = gets.iter().collect();
        assert!((100..1000).contains(&sent_together(&gets)));
        assert_eq!(sent_together(&gets[..7]), 7);
        let value = vec![0; 1 << 20];
        let store = Operation::Store { key: "key", value: &value, flags: 0, expiry: 0, when: When::Always };
        assert_eq!(sent_together(&[&store, &store]), 1);
    }
}
