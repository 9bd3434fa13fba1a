//! [`Server`]: the connections to one server, and its health.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dogpile_net::{Busy, Connector, Loan, Pool, PoolLimits};
use dogpile_sdk::error_chain;

use super::address::Address;
use super::connection::{Connection, Deadlines};
use super::error::{Error, Outcome};
use super::exchange::Exchange;
use super::failure::Failure;
use super::health::Health;
use super::options::Options;
use super::protocol::{Invalid, Operation};

/// Whether to use a server that failed a moment ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Do not use it before its retry time.
    Normal,
    /// Use it, unless it is dead.
    Insisting,
}

/// A server, as one process uses it.
pub(super) struct Server {
    name: Arc<str>,
    options: Options,
    connector: Connector,
    pool: Pool<Connection>,
    health: Health,
}

impl Server {
    pub(super) fn new(address: &Address, options: &Options) -> Self {
        let (size, options) = (options.pool_size, options.clone());
        let connector = Connector::new(address.endpoint());
        let limits = PoolLimits { size, max_idle: size, idle_timeout: Duration::MAX };
        Server {
            name: address.to_string().into(),
            connector: connector.with_tls(options.tls.clone()).with_keepalive(options.keepalive),
            pool: Pool::new(limits),
            health: Health::new(options.patience),
            options,
        }
    }

    /// Returns whether the server is not dead. Other servers may have the keys of a dead one.
    pub(super) fn is_in(&self, now: Instant) -> bool {
        !self.health.is_dead(now)
    }

    /// Closes the connections of the parent process, in a forked child.
    pub(super) fn abandon(&self) {
        self.pool.abandon();
    }

    /// Runs `operations` and returns their outcomes by `deadline`.
    pub(super) fn run(
        &self,
        operations: &[&Operation<'_>],
        urgency: Urgency,
        deadline: Instant,
    ) -> Vec<Outcome> {
        let now = Instant::now();
        let mut exchange = Exchange::new(operations, &self.name, self.options.max_value_bytes);
        let is_insisting = urgency == Urgency::Insisting && !self.health.is_dead(now);
        if !is_insisting && self.health.is_resting(now) {
            return exchange.outcomes(Error::Resting { server: self.name() });
        }
        let mut loan = match self.pool.lend(deadline) {
            Ok(loan) => loan,
            Err(Busy { size, waited }) => {
                return exchange.outcomes(Error::Busy { server: self.name(), size, waited });
            }
        };
        self.close_if_confused(&mut loan, deadline);
        let mut ended = self.attempt(&mut loan, &mut exchange, deadline);
        // The server has probably restarted. All idle connections are then broken, too.
        if matches!(ended, Err(Failure::Broken(_))) && loan.is_reused() && exchange.may_repeat() {
            self.pool.close_idle();
            loan.close();
            ended = self.attempt(&mut loan, &mut exchange, deadline);
        }
        match ended {
            Ok(()) => {
                self.health.succeeded();
                loan.keep();
                exchange.outcomes(Error::Resting { server: self.name() })
            }
            Err(failure) => {
                let waited = loan.waited();
                drop(loan);
                exchange.outcomes(self.failed(failure, waited))
            }
        }
    }

    fn attempt(
        &self,
        loan: &mut Loan<'_, Connection>,
        exchange: &mut Exchange<'_>,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let connected = Instant::now()
            .checked_add(self.options.connect_timeout)
            .map_or(deadline, |end| end.min(deadline));
        let deadlines = Deadlines { connected, ready: deadline };
        exchange.run(loan.open(|| Connection::open(&self.connector, &self.options, deadlines))?)
    }

    /// Prepares a reused connection, or closes it if the server has sent something that belongs to no request.
    fn close_if_confused(&self, loan: &mut Loan<'_, Connection>, deadline: Instant) {
        let Some(connection) = loan.connection() else { return };
        connection.set_deadline(deadline);
        // A broken connection is noticed, and perhaps replaced, when the requests are sent.
        if let Ok(true) = connection.has_unread() {
            log::warn!("closed a connection to memcached server {}: it sent an unrequested reply", self.name);
            loan.close();
        }
    }

    fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// Describes a failure. If the server is to blame, records and logs it, and closes the idle connections.
    fn failed(&self, failure: Failure, waited: Duration) -> Error {
        let server = self.name();
        let error = match failure {
            Failure::TimedOut if waited > self.options.timeout / 2 => {
                return Error::Busy { server, size: self.options.pool_size, waited };
            }
            Failure::Invalid(Invalid::LongValue { given, limit }) => {
                return Error::TooLarge { server, given, limit };
            }
            Failure::TimedOut => Error::TimedOut { server, limit: self.options.timeout },
            Failure::Broken(source) => Error::Unreachable { server, source },
            Failure::Tls(source) => Error::Tls { server, source },
            Failure::Invalid(why) => Error::InvalidReply { server, why },
            Failure::Login => Error::Login { server },
        };
        log::warn!("{}", error_chain(&error));
        self.health.failed(Instant::now());
        self.pool.close_idle();
        error
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("name", &self.name).finish_non_exhaustive()
    }
}
