//! [`Rounds`]: which server gets which operations of a call, and when.

use std::sync::Arc;
use std::time::Instant;

use super::distribution::Where;
use super::error::{Error, Outcome};
use super::protocol::{Operation, Reply, When};

/// The servers of the operations of a call, and the outcomes so far. It performs no I/O.
///
/// A replicated key is read from one server after another, until one has it. Everything else takes one round.
pub(crate) struct Rounds {
    places: Vec<Where>,
    outcomes: Vec<Option<Outcome>>,
    servers: usize,
    /// The number of rounds in all, and of those that have begun.
    rounds: usize,
    begun: usize,
}

impl Rounds {
    /// Plans a call of one or more `servers`. `places` are the places of its operations, in order.
    pub(crate) fn new(places: Vec<Where>, servers: usize) -> Self {
        let rounds = if places.contains(&Where::Everywhere) { servers } else { 1 };
        let outcomes = places.iter().map(|_| None).collect();
        Rounds { places, outcomes, servers, rounds, begun: 0 }
    }

    /// Begins the next round. Returns the indexes of the operations of each server, or `None` after the last round.
    pub(crate) fn begin(&mut self, operations: &[Operation<'_>]) -> Option<Vec<Vec<usize>>> {
        let round = self.begun;
        if round == self.rounds {
            return None;
        }
        self.begun += 1;
        let mut of_server: Vec<Vec<usize>> = vec![Vec::new(); self.servers];
        for (number, place) in self.places.iter().enumerate() {
            match place {
                Where::On(server) if round == 0 => of_server[*server].push(number),
                Where::Everywhere if is_for_all(&operations[number]) && round > 0 => {}
                Where::Everywhere if is_for_all(&operations[number]) => {
                    of_server.iter_mut().for_each(|of_server| of_server.push(number));
                }
                Where::Everywhere if goes_on(&operations[number], self.outcomes[number].as_ref()) => {
                    of_server[round].push(number);
                }
                _ => {}
            }
        }
        Some(of_server)
    }

    /// Returns the end of the round that was begun last.
    ///
    /// A server that does not reply must not use up the time of those that are asked after it.
    pub(crate) fn end(&self, deadline: Instant) -> Instant {
        let left = (self.rounds + 1).saturating_sub(self.begun).max(1);
        let now = Instant::now();
        if left == 1 { deadline } else { now + deadline.saturating_duration_since(now) / left as u32 }
    }

    /// Adds the outcome of an operation on one of its servers.
    pub(crate) fn add(&mut self, operations: &[Operation<'_>], number: usize, outcome: Outcome) {
        note(&operations[number], &mut self.outcomes[number], outcome);
    }

    /// Returns the outcomes. An operation that was sent to no server has the error that `nowhere` returns.
    pub(crate) fn outcomes(self, nowhere: impl Fn() -> Error) -> Vec<Outcome> {
        let outcomes = self.outcomes.into_iter();
        outcomes.map(|outcome| outcome.unwrap_or_else(|| Err(Arc::new(nowhere())))).collect()
    }
}

/// Returns whether `operation` is sent to every server of a replicated key.
fn is_for_all(operation: &Operation<'_>) -> bool {
    matches!(operation, Operation::Store { when: When::Always, .. } | Operation::Delete { cas: None, .. })
}

/// Returns whether an operation that is not for all servers goes on to the next one.
fn goes_on(operation: &Operation<'_>, outcome: Option<&Outcome>) -> bool {
    match operation {
        Operation::Get { .. } => !matches!(outcome, Some(Ok(Reply::Value { .. }))),
        // A cas value, and therefore a lock, belongs to one server. A server that rejects a lock may grant it to another
        // client, so that no other server may grant it to this one.
        Operation::Store { .. } | Operation::Delete { .. } => match outcome {
            Some(Err(error)) => !matches!(**error, Error::Refused { .. }),
            outcome => outcome.is_none(),
        },
    }
}

/// Keeps the better of two outcomes of one operation on two servers.
///
/// For a deletion, keeps the worse one: a server that was not reached may still have the value.
fn note(operation: &Operation<'_>, place: &mut Option<Outcome>, outcome: Outcome) {
    let is_kept = match (operation, &place, &outcome) {
        (Operation::Delete { cas: None, .. }, Some(kept), _) => kept.is_err(),
        (_, Some(Ok(Reply::Value { .. } | Reply::Done)), _) | (_, Some(Ok(_)), Err(_)) => true,
        _ => false,
    };
    if !is_kept {
        *place = Some(outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delete_with_unreachable_replica_fails() {
        let down = || Err(Arc::new(Error::Resting { server: "away".into() }));
        let noted = |operation: &Operation<'_>, outcomes: [Outcome; 2]| {
            let mut place = None;
            outcomes.into_iter().for_each(|outcome| note(operation, &mut place, outcome));
            place.is_some_and(|outcome| outcome.is_ok())
        };
        let delete = Operation::Delete { key: "key", cas: None };
        let store = Operation::Store { key: "key", value: b"v", flags: 0, expiry: 0, when: When::Always };
        for outcomes in [|down| [Ok(Reply::Done), down], |down| [down, Ok(Reply::Done)]] {
            assert!(!noted(&delete, outcomes(down())));
            assert!(noted(&store, outcomes(down())));
        }
        assert!(noted(&delete, [Ok(Reply::Miss), Ok(Reply::Done)]));
    }
}
