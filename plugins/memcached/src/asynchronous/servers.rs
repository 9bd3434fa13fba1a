//! [`Servers`]: the servers and the runtime of one process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dogpile_net::Cancellation;
use tokio::runtime::Handle;
use tokio::time::sleep;

use super::multiplexer::{Multiplexer, Terms};
use super::owned::Owned;
use crate::calls::Calls;
use crate::client::{Client, Operation, Outcome, Rounds, Urgency, Where};

/// The servers and the runtime of one process. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Servers {
    client: Arc<Client>,
    runtime: Handle,
    all: Arc<[Multiplexer]>,
}

impl Servers {
    pub(super) fn new(client: Arc<Client>, runtime: &Handle) -> Self {
        let targets = client.targets().into_iter();
        let all = targets.map(|target| Multiplexer::new(target, runtime.clone())).collect();
        Servers { client, runtime: runtime.clone(), all }
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Returns the one server that gets all of `operations`, or `None` if there is no such server.
    pub(super) fn only(&self, operations: &[Arc<Owned>]) -> Option<&Multiplexer> {
        let now = Instant::now();
        let mut places = operations.iter().map(|operation| self.place(&operation.operation(), now));
        let Some(first @ Where::On(server)) = places.next() else { return None };
        places.all(|place| place == first).then(|| &self.all[server])
    }

    /// Runs `operations` on their servers, and returns the outcomes by `deadline`.
    pub(super) async fn run(
        &self,
        operations: &[Arc<Owned>],
        urgency: Urgency,
        deadline: Instant,
        cancellation: &Cancellation,
    ) -> Vec<Outcome> {
        let (borrowed, now): (Vec<_>, _) =
            (operations.iter().map(|operation| operation.operation()).collect(), Instant::now());
        let places = borrowed.iter().map(|operation| self.place(operation, now)).collect();
        let mut rounds = Rounds::new(places, self.all.len());
        while let Some(of_server) = rounds.begin(&borrowed) {
            let deadline = rounds.end(deadline);
            let asked = of_server.into_iter().zip(self.all.iter()).filter(|(numbers, _)| !numbers.is_empty());
            let asked: Vec<_> = asked
                .map(|(numbers, server)| {
                    let theirs = numbers.iter().map(|number| Arc::clone(&operations[*number])).collect();
                    let terms = Terms { urgency, deadline, cancellation: cancellation.clone() };
                    (numbers, server.begin(theirs, terms))
                })
                .collect();
            for (numbers, outcomes) in asked {
                for (number, outcome) in numbers.into_iter().zip(outcomes.await) {
                    rounds.add(&borrowed, number, outcome);
                }
            }
        }
        rounds.outcomes(|| self.client.nowhere())
    }

    /// Runs `operations` like [`run`](Self::run), and retries those that failed as `calls` says.
    pub(super) async fn run_repeatedly(
        &self,
        calls: &Calls,
        operations: &[Arc<Owned>],
        deadline: Instant,
        cancellation: &Cancellation,
    ) -> Vec<Outcome> {
        let retries = calls.retries();
        let share = |made| retries.share(deadline, made);
        let mut outcomes = self.run(operations, Urgency::Normal, share(0), cancellation).await;
        for attempt in 1..retries.attempts {
            let failed = calls.retried(&outcomes);
            let is_over = cancellation.is_canceled() || Instant::now() + retries.delay >= deadline;
            if failed.is_empty() || is_over {
                break;
            }
            if retries.delay > Duration::ZERO {
                sleep(retries.delay).await;
            }
            let again: Vec<_> = failed.iter().map(|number| Arc::clone(&operations[*number])).collect();
            let retried = self.run(&again, Urgency::Insisting, share(attempt), cancellation).await;
            for (number, outcome) in failed.into_iter().zip(retried) {
                outcomes[number] = outcome;
            }
        }
        outcomes
    }

    fn place(&self, operation: &Operation<'_>, now: Instant) -> Where {
        self.client.place(operation.key(), |number| self.all[number].is_in(now))
    }
}
