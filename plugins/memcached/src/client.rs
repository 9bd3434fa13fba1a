//! A small synchronous memcached client. It can be used without the backends.
//!
//! It pipelines operations, and each call ends by one deadline. It closes a connection as soon as requests and replies
//! may no longer match. Each process has its own connections, also after a fork, as long as no other thread is inside a
//! call during the fork.

mod address;
mod connection;
mod distribution;
mod error;
mod exchange;
mod failure;
mod health;
mod key;
mod options;
mod protocol;
mod server;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod together;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

pub use dogpile_net::{Checks, Keepalive, Tls};
use dogpile_sdk::PerProcess;

pub use self::address::{Address, Place};
pub use self::distribution::{Distribution, Hash};
use self::distribution::{Ring, Where};
pub use self::error::{Error, Outcome};
pub use self::key::{KEY_LIMIT, check_key};
pub use self::options::{Kind, Login, Options, Patience};
pub use self::protocol::{Invalid, Operation, Refusal, Reply, When};
use self::server::{Server, Urgency};

/// A client of one or more servers.
#[derive(Debug)]
pub struct Client {
    addresses: Vec<Address>,
    servers: PerProcess<Vec<Server>>,
    ring: Ring,
    timeout: Duration,
}

impl Client {
    /// Creates a client of the servers at `addresses`. It connects on first use.
    pub fn new(addresses: Vec<Address>, options: &Options) -> Self {
        let ring = Ring::new(options.distribution, &addresses);
        let (timeout, options, of) = (options.timeout, options.clone(), addresses.clone());
        let build = move || of.iter().map(|address| Server::new(address, &options)).collect();
        let servers =
            PerProcess::new(build, |servers: &Vec<Server>| servers.iter().for_each(Server::abandon));
        Client { addresses, servers, ring, timeout }
    }

    /// Returns the addresses of the servers.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.addresses.iter()
    }

    fn names(&self) -> Arc<str> {
        let names: Vec<_> = self.addresses.iter().map(ToString::to_string).collect();
        names.join(" and ").into()
    }

    /// Returns the deadline of a call that begins now.
    pub fn deadline(&self) -> Instant {
        /// Ten years. Nobody waits longer, and every clock can add it.
        const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);
        Instant::now() + self.timeout.min(LONGEST)
    }

    /// Returns the address of the server that has `key`, unless all servers have it or are dead. Performs no I/O.
    pub fn server_of(&self, key: &str) -> Option<&Address> {
        let (servers, now) = (self.servers.get(), Instant::now());
        match self.ring.place(key, |number| servers[number].is_in(now)) {
            Where::On(server) => Some(&self.addresses[server]),
            _ => None,
        }
    }

    /// Runs `operations` and returns one outcome per operation, in order.
    ///
    /// Blocks until all servers have replied, or until the timeout. Asks all servers at once, and each in one round
    /// trip. Keys must have been [checked](check_key).
    pub fn run(&self, operations: &[Operation<'_>]) -> Vec<Outcome> {
        self.run_until(operations, self.deadline())
    }

    /// Runs `operations` like [`run`](Self::run), but ends by `deadline`.
    pub fn run_until(&self, operations: &[Operation<'_>], deadline: Instant) -> Vec<Outcome> {
        self.run_as(operations, Urgency::Normal, deadline)
    }

    /// Runs `operations` like [`run_until`](Self::run_until), but also on a server that failed a moment ago and is not
    /// dead.
    pub fn run_again_until(&self, operations: &[Operation<'_>], deadline: Instant) -> Vec<Outcome> {
        self.run_as(operations, Urgency::Insisting, deadline)
    }

    fn run_as(&self, operations: &[Operation<'_>], urgency: Urgency, deadline: Instant) -> Vec<Outcome> {
        let (servers, now) = (self.servers.get(), Instant::now());
        let mut outcomes: Vec<Option<Outcome>> = operations.iter().map(|_| None).collect();
        let place =
            |operation: &Operation<'_>| self.ring.place(operation.key(), |number| servers[number].is_in(now));
        let places: Vec<Where> = operations.iter().map(place).collect();
        let rounds = if places.contains(&Where::Everywhere) { servers.len() } else { 1 };
        // A replicated key is read from one server after another, until one has it. Everything else takes one round.
        for round in 0..rounds {
            let mut of_server: Vec<Vec<usize>> = vec![Vec::new(); servers.len()];
            for (number, place) in places.iter().enumerate() {
                match place {
                    Where::On(server) if round == 0 => of_server[*server].push(number),
                    Where::Everywhere if is_for_all(&operations[number]) && round > 0 => {}
                    Where::Everywhere if is_for_all(&operations[number]) => {
                        of_server.iter_mut().for_each(|of_server| of_server.push(number));
                    }
                    Where::Everywhere if goes_on(&operations[number], outcomes[number].as_ref()) => {
                        of_server[round].push(number);
                    }
                    _ => {}
                }
            }
            // A server that does not reply must not use up the time of those that are asked after it.
            let share = deadline.saturating_duration_since(Instant::now()) / (rounds - round) as u32;
            let until = if round + 1 == rounds { deadline } else { Instant::now() + share };
            let asked = Asked { servers, operations, urgency, deadline: until };
            asked.exchange(&of_server, &mut outcomes);
        }
        let nowhere = || Err(Arc::new(Error::NoServer { servers: self.names() }));
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(nowhere)).collect()
    }
}

/// Operations that are sent to several servers at once.
struct Asked<'a> {
    servers: &'a [Server],
    operations: &'a [Operation<'a>],
    urgency: Urgency,
    deadline: Instant,
}

impl Asked<'_> {
    /// Asks all servers at once, each except the last on a thread of its own.
    ///
    /// A server that does not reply, or accepts no connection, must not use up the time of the others.
    fn exchange(&self, of_server: &[Vec<usize>], outcomes: &mut [Option<Outcome>]) {
        let ask = &|server: &Server, numbers: &[usize]| {
            let requests: Vec<_> = numbers.iter().map(|number| &self.operations[*number]).collect();
            server.run(&requests, self.urgency, self.deadline)
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
                note(&self.operations[*number], &mut outcomes[*number], outcome);
            }
        }
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
