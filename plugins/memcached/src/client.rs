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
mod greeting;
mod health;
mod key;
mod options;
mod protocol;
mod rounds;
mod server;
mod target;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod together;

#[cfg(feature = "tokio")]
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

pub use dogpile_net::{Checks, Keepalive, Tls};
use dogpile_sdk::PerProcess;

pub use self::address::{Address, Place};
#[cfg(feature = "tokio")]
pub(crate) use self::connection::Deadlines;
use self::distribution::Ring;
pub(crate) use self::distribution::Where;
pub use self::distribution::{Distribution, Hash};
pub use self::error::{Error, Outcome};
#[cfg(feature = "tokio")]
pub(crate) use self::exchange::TOTAL;
#[cfg(feature = "tokio")]
pub(crate) use self::failure::Failure;
#[cfg(feature = "tokio")]
pub(crate) use self::greeting::{GREETING, dialect};
pub use self::key::{KEY_LIMIT, check_key};
pub use self::options::{Kind, Login, Options, Patience};
#[cfg(feature = "tokio")]
pub(crate) use self::protocol::{Awaited, Codec, Dialect, Response};
pub use self::protocol::{Invalid, Operation, Refusal, Reply, When};
pub(crate) use self::rounds::Rounds;
use self::server::Server;
#[cfg(feature = "tokio")]
pub(crate) use self::target::Target;
pub(crate) use self::target::Urgency;

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

    /// Returns the error of an operation for which there is no server.
    pub(crate) fn nowhere(&self) -> Error {
        let names: Vec<_> = self.addresses.iter().map(ToString::to_string).collect();
        Error::NoServer { servers: names.join(" and ").into() }
    }

    /// Returns the place of `key` among the servers for which `is_in` holds.
    pub(crate) fn place(&self, key: &str, is_in: impl Fn(usize) -> bool) -> Where {
        self.ring.place(key, is_in)
    }

    /// Returns the servers, as this process knows them.
    #[cfg(feature = "tokio")]
    pub(crate) fn targets(&self) -> Vec<Arc<Target>> {
        self.servers.get().iter().map(|server| Arc::clone(server.target())).collect()
    }

    /// Returns the deadline of a call that begins now.
    pub fn deadline(&self) -> Instant {
        /// Ten years. No caller waits longer, and every clock can add it.
        const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);
        Instant::now() + self.timeout.min(LONGEST)
    }

    /// Returns the address of the server that has `key`. It is `None` if all servers have it or are dead. Performs no
    /// I/O.
    pub fn server_of(&self, key: &str) -> Option<&Address> {
        let (servers, now) = (self.servers.get(), Instant::now());
        match self.place(key, |number| servers[number].is_in(now)) {
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

    /// Runs `operations` like [`run_until`](Self::run_until), including on a server that failed a moment ago. A dead
    /// server is left out.
    pub fn run_again_until(&self, operations: &[Operation<'_>], deadline: Instant) -> Vec<Outcome> {
        self.run_as(operations, Urgency::Insisting, deadline)
    }

    fn run_as(&self, operations: &[Operation<'_>], urgency: Urgency, deadline: Instant) -> Vec<Outcome> {
        let (servers, now) = (self.servers.get(), Instant::now());
        let place =
            |operation: &Operation<'_>| self.place(operation.key(), |number| servers[number].is_in(now));
        let mut rounds = Rounds::new(operations.iter().map(place).collect(), servers.len());
        while let Some(of_server) = rounds.begin(operations) {
            let asked = Asked { servers, operations, urgency, deadline: rounds.end(deadline) };
            asked.exchange(&of_server, &mut rounds);
        }
        rounds.outcomes(|| self.nowhere())
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
    fn exchange(&self, of_server: &[Vec<usize>], rounds: &mut Rounds) {
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
                rounds.add(self.operations, *number, outcome);
            }
        }
    }
}
