//! A small synchronous memcached client. It can be used without the backends.
//!
//! It pipelines operations, checks keys before it sends anything, and keeps a deadline. It closes a connection as soon
//! as requests and replies may no longer match.

mod address;
mod connection;
mod distribution;
mod error;
mod key;
mod options;
mod protocol;
mod server;
mod stream;
mod tls;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod together;

use std::sync::Arc;
use std::thread;
use std::time::Instant;

pub use self::address::{Address, Place};
pub use self::distribution::{Distribution, Hash};
use self::distribution::{Ring, Where};
pub use self::error::{Error, Outcome};
pub use self::key::{KEY_LIMIT, check_key};
pub use self::options::{Keepalive, Kind, Login, Options, Patience};
pub use self::protocol::{Operation, Reply, When};
use self::server::{Server, Urgency};
pub use self::tls::Tls;

/// A client of one or more servers.
#[derive(Debug)]
pub struct Client {
    servers: Vec<Server>,
    ring: Ring,
}

impl Client {
    /// Creates a client of the servers at `addresses`. It connects on first use.
    pub fn new(addresses: Vec<Address>, options: &Options) -> Self {
        let ring = Ring::new(options.distribution, &addresses);
        let servers = addresses.into_iter().map(|address| Server::new(address, options)).collect();
        Client { servers, ring }
    }

    /// Returns the addresses of the servers.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.servers.iter().map(Server::address)
    }

    /// Returns the address of the server that has `key`, unless all servers have it or are dead. Performs no I/O.
    pub fn server_of(&self, key: &str) -> Option<&Address> {
        match self.place(&Operation::Get { key }) {
            Where::On(server) => Some(self.servers[server].address()),
            _ => None,
        }
    }

    /// Runs `operations` and returns one outcome per operation, in order.
    ///
    /// Blocks until all servers have replied, or until the timeout. Asks all servers at once, and each in one round
    /// trip. Keys must have been [checked](check_key).
    pub fn run(&self, operations: &[Operation<'_>]) -> Vec<Outcome> {
        self.run_as(operations, Urgency::Normal)
    }

    /// Runs `operations` like [`run`](Self::run), but also on a server that failed a moment ago and is not dead.
    pub fn run_again(&self, operations: &[Operation<'_>]) -> Vec<Outcome> {
        self.run_as(operations, Urgency::Insisting)
    }

    fn run_as(&self, operations: &[Operation<'_>], urgency: Urgency) -> Vec<Outcome> {
        let mut outcomes: Vec<Option<Outcome>> = operations.iter().map(|_| None).collect();
        let places: Vec<Where> = operations.iter().map(|operation| self.place(operation)).collect();
        let rounds = if places.contains(&Where::Everywhere) { self.servers.len() } else { 1 };
        // A read of a replicated key goes on to the next server after a miss. Everything else takes one round.
        for round in 0..rounds {
            let mut of_server: Vec<Vec<usize>> = vec![Vec::new(); self.servers.len()];
            for (number, place) in places.iter().enumerate() {
                let server = match place {
                    Where::On(server) if round == 0 => *server,
                    Where::Everywhere if goes_on(&operations[number], outcomes[number].as_ref()) => round,
                    _ => continue,
                };
                of_server[server].push(number);
            }
            self.exchange(operations, &of_server, urgency, &mut outcomes);
        }
        let nowhere = || Err(Arc::new(Error::NoServer));
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(nowhere)).collect()
    }

    fn place(&self, operation: &Operation<'_>) -> Where {
        let now = Instant::now();
        self.ring.place(operation.key(), |number| self.servers[number].is_in(now))
    }

    /// Asks all servers at once, each except the last on a thread of its own.
    ///
    /// A server that does not reply, or accepts no connection, must not use up the time of the others.
    fn exchange(
        &self,
        operations: &[Operation<'_>],
        of_server: &[Vec<usize>],
        urgency: Urgency,
        outcomes: &mut [Option<Outcome>],
    ) {
        let ask = &|server: &Server, numbers: &[usize]| {
            let requests = numbers.iter().map(|number| &operations[*number]).collect();
            server.begin(requests, urgency).finish()
        };
        let asked = self.servers.iter().zip(of_server).filter(|(_, numbers)| !numbers.is_empty());
        let asked: Vec<(&Server, &Vec<usize>)> = asked.collect();
        let Some(((last, numbers_of_last), others)) = asked.split_last() else { return };
        let received: Vec<Vec<Outcome>> = thread::scope(|scope| {
            let threads = others.iter().map(|&(server, numbers)| {
                thread::Builder::new().spawn_scoped(scope, move || ask(server, numbers))
            });
            let threads: Vec<_> = threads.collect();
            let of_last = ask(last, numbers_of_last);
            // If no thread could be started, ask on this one.
            let of_others = threads.into_iter().zip(others).map(|(thread, (server, numbers))| {
                let received = thread.ok().and_then(|thread| thread.join().ok());
                received.unwrap_or_else(|| ask(server, numbers))
            });
            of_others.chain([of_last]).collect()
        });
        for ((_, numbers), received) in asked.iter().zip(received) {
            for (number, outcome) in numbers.iter().zip(received) {
                note(&operations[*number], &mut outcomes[*number], outcome);
            }
        }
    }
}

/// Returns whether `operation` goes on to the next server.
fn goes_on(operation: &Operation<'_>, outcome: Option<&Outcome>) -> bool {
    match operation {
        Operation::Get { .. } => !matches!(outcome, Some(Ok(Reply::Value { .. }))),
        Operation::Store { when: When::Always, .. } | Operation::Delete { cas: None, .. } => true,
        // A cas value, and therefore a lock, belongs to one server.
        Operation::Store { .. } | Operation::Delete { .. } => !matches!(outcome, Some(Ok(_))),
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
        let down = || Err(Arc::new(Error::Resting { server: "away".to_owned() }));
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
