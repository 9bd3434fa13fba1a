//! A small synchronous memcached client: what the backends need, usable without them.
//!
//! It pipelines, checks keys before anything is sent, keeps to a deadline, and closes every connection on which a question
//! and its answer may not belong together any more.

mod address;
mod connection;
mod distribution;
mod key;
mod protocol;
mod server;
mod stream;
mod tls;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod together;

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

pub use self::address::Address;
pub use self::distribution::{Distribution, Hash};
use self::distribution::{Ring, Where};
pub use self::key::{KEY_LIMIT, check_key};
pub use self::protocol::{Answer, Kind, Operation, When};
pub use self::server::Patience;
pub use self::stream::Keepalive;
pub use self::tls::Tls;

use self::server::{Server, Urgency};

/// How to reach servers.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the servers speak.
    pub kind: Kind,
    /// How keys are shared out among them.
    pub distribution: Distribution,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long all that a call asks of a server may take.
    pub timeout: Duration,
    /// What a server that failed is left alone for.
    pub patience: Patience,
    /// The user and the password, for a server in SASL mode.
    pub login: Option<Login>,
    /// How connections are encrypted; not, if none.
    pub tls: Option<Tls>,
    /// Whether the system probes connections on which nothing happens.
    pub keepalive: Option<Keepalive>,
    /// The most connections to a server at a time.
    pub pool_size: usize,
    /// Whether values are stored without waiting for the answer; complaints are only logged. Not in the binary protocol.
    pub noreply: bool,
}

/// A user and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub username: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Why a server could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It cannot be reached, or broke off.
    #[error("memcached server {server} cannot be reached, or broke off ({source})")]
    Unreachable {
        /// The server.
        server: String,
        /// What happened.
        source: std::io::Error,
    },
    /// It did not answer in time.
    #[error("memcached server {server} did not answer within {limit:?}")]
    TimedOut {
        /// The server.
        server: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// What it answered is no answer to what was asked.
    #[error("memcached server {server} answered what was not asked ({what})")]
    Confused {
        /// The server.
        server: String,
        /// What was wrong.
        what: String,
    },
    /// It refuses the user.
    #[error("memcached server {server} refuses the user; see \"username\" and \"password\"")]
    Login {
        /// The server.
        server: String,
    },
    /// TLS cannot be used.
    #[error("no TLS with memcached server {server}: {what}")]
    Tls {
        /// The server.
        server: String,
        /// What was wrong.
        what: String,
    },
    /// All connections that are allowed are in use.
    #[error("all {size} connections to memcached server {server} were in use for {limit:?}")]
    Busy {
        /// The server.
        server: String,
        /// How many.
        size: usize,
        /// How long it was waited for.
        limit: Duration,
    },
    /// It failed a moment ago, and is left alone.
    #[error("memcached server {server} failed a moment ago, and is left alone for now")]
    LeftAlone {
        /// The server.
        server: String,
    },
}

/// The servers, and which has which key.
#[derive(Debug)]
pub struct Client {
    servers: Vec<Server>,
    ring: Ring,
}

/// What came of one operation.
pub type Outcome = Result<Answer, Arc<Error>>;

impl Client {
    /// A client of the servers at `addresses`. It connects when it is first used.
    pub fn new(addresses: Vec<Address>, options: &Options) -> Self {
        let ring = Ring::new(options.distribution, &addresses);
        let servers = addresses.into_iter().map(|address| Server::new(address, options)).collect();
        Client { servers, ring }
    }

    /// The servers' addresses.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.servers.iter().map(Server::address)
    }

    /// Runs `operations`, all servers at once and those of a server in one go; blocks until each is answered, or until
    /// the timeout. What came of each, in their order. Keys must have been [checked](check_key).
    pub fn run(&self, operations: &[Operation<'_>]) -> Vec<Outcome> {
        self.run_as(operations, Urgency::Normal)
    }

    /// As [`run`](Self::run), also on a server that failed a moment ago and is not out.
    pub fn run_again(&self, operations: &[Operation<'_>]) -> Vec<Outcome> {
        self.run_as(operations, Urgency::Insisting)
    }

    fn run_as(&self, operations: &[Operation<'_>], urgency: Urgency) -> Vec<Outcome> {
        let mut outcomes: Vec<Option<Outcome>> = operations.iter().map(|_| None).collect();
        let places: Vec<Where> = operations.iter().map(|operation| self.place(operation)).collect();
        let rounds = if places.contains(&Where::Everywhere) { self.servers.len() } else { 1 };
        // Reads of replicated keys go to the next server where one has none; everything else is over in one round.
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
        let nowhere = || Err(Arc::new(Error::LeftAlone { server: "of the key, and any other,".to_owned() }));
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(nowhere)).collect()
    }

    fn place(&self, operation: &Operation<'_>) -> Where {
        let now = Instant::now();
        self.ring.place(operation.key(), |number| self.servers[number].is_in(now))
    }

    /// Asks all servers at once, each but the last on a thread of its own: one that does not answer, or takes no connection,
    /// must not take the time that the others have.
    fn exchange(
        &self,
        operations: &[Operation<'_>],
        of_server: &[Vec<usize>],
        urgency: Urgency,
        outcomes: &mut [Option<Outcome>],
    ) {
        let ask = &|server: &Server, numbers: &[usize]| {
            let asked = numbers.iter().map(|number| &operations[*number]).collect();
            server.begin(asked, urgency).finish()
        };
        let asked = self.servers.iter().zip(of_server).filter(|(_, numbers)| !numbers.is_empty());
        let asked: Vec<(&Server, &Vec<usize>)> = asked.collect();
        let Some(((last, numbers_of_last), others)) = asked.split_last() else { return };
        let heard: Vec<Vec<Outcome>> = thread::scope(|scope| {
            let threads = others.iter().map(|&(server, numbers)| {
                thread::Builder::new().spawn_scoped(scope, move || ask(server, numbers))
            });
            let threads: Vec<_> = threads.collect();
            let of_last = ask(last, numbers_of_last);
            // Where there is no thread to be had, here and now.
            let of_others = threads.into_iter().zip(others).map(|(thread, (server, numbers))| {
                let heard = thread.ok().and_then(|thread| thread.join().ok());
                heard.unwrap_or_else(|| ask(server, numbers))
            });
            of_others.chain([of_last]).collect()
        });
        for ((_, numbers), heard) in asked.iter().zip(heard) {
            for (number, outcome) in numbers.iter().zip(heard) {
                note(&operations[*number], &mut outcomes[*number], outcome);
            }
        }
    }
}

/// Whether `operation` is for the next server too.
fn goes_on(operation: &Operation<'_>, outcome: Option<&Outcome>) -> bool {
    match operation {
        Operation::Get { .. } => !matches!(outcome, Some(Ok(Answer::Value { .. }))),
        Operation::Store { when: When::Always, .. } | Operation::Delete { cas: None, .. } => true,
        // Cas values, and so locks, are those of one server.
        Operation::Store { .. } | Operation::Delete { .. } => !matches!(outcome, Some(Ok(_))),
    }
}

/// Keeps the better of two outcomes of one operation on two servers; of a deletion the worse, since a server that was not
/// reached may have the value still.
fn note(operation: &Operation<'_>, place: &mut Option<Outcome>, outcome: Outcome) {
    let is_kept = match (operation, &place, &outcome) {
        (Operation::Delete { cas: None, .. }, Some(kept), _) => kept.is_err(),
        (_, Some(Ok(Answer::Value { .. } | Answer::Done)), _) | (_, Some(Ok(_)), Err(_)) => true,
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
    fn a_value_that_one_server_may_have_still_is_not_deleted_though_others_have_it_no_more() {
        let down = || Err(Arc::new(Error::LeftAlone { server: "away".to_owned() }));
        let noted = |operation: &Operation<'_>, outcomes: [Outcome; 2]| {
            let mut place = None;
            outcomes.into_iter().for_each(|outcome| note(operation, &mut place, outcome));
            place.is_some_and(|outcome| outcome.is_ok())
        };
        let delete = Operation::Delete { key: "key", cas: None };
        let store = Operation::Store { key: "key", value: b"v", flags: 0, expiry: 0, when: When::Always };
        for outcomes in [|down| [Ok(Answer::Done), down], |down| [down, Ok(Answer::Done)]] {
            assert!(!noted(&delete, outcomes(down())));
            assert!(noted(&store, outcomes(down())));
        }
        assert!(noted(&delete, [Ok(Answer::Miss), Ok(Answer::Done)]));
    }
}
