//! [`Server`]: the connections to one server, and its health.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dogpile_net::{Busy, Loan, Pool, PoolLimits};

use super::address::Address;
use super::connection::{Connection, Deadlines};
use super::error::{Error, Outcome};
use super::exchange::Exchange;
use super::failure::Failure;
use super::options::Options;
use super::protocol::Operation;
use super::target::{Target, Urgency};

/// A server, as one process uses it.
pub(super) struct Server {
    target: Arc<Target>,
    pool: Pool<Connection>,
}

impl Server {
    pub(super) fn new(address: &Address, options: &Options) -> Self {
        let size = options.pool_size;
        let limits = PoolLimits { size, max_idle: size, idle_timeout: Duration::MAX };
        Server { target: Arc::new(Target::new(address, options)), pool: Pool::new(limits) }
    }

    #[cfg(feature = "tokio")]
    pub(super) fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Returns whether the server is not dead. Other servers may have the keys of a dead one.
    pub(super) fn is_in(&self, now: Instant) -> bool {
        self.target.is_in(now)
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
        let (name, options) = (self.target.name(), self.target.options());
        let mut exchange = Exchange::new(operations, &name, options.max_value_bytes);
        if !self.target.may_be_used(urgency) {
            return exchange.outcomes(Error::Resting { server: self.target.name() });
        }
        let mut loan = match self.pool.lend(deadline) {
            Ok(loan) => loan,
            Err(Busy { size, waited }) => {
                return exchange.outcomes(Error::Busy { server: self.target.name(), size, waited });
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
        self.target.warn_of_unstored(exchange.unstored());
        match ended {
            Ok(()) => {
                self.target.succeeded();
                loan.keep();
                exchange.outcomes(Error::Resting { server: self.target.name() })
            }
            Err(failure) => {
                let waited = loan.waited();
                drop(loan);
                exchange.outcomes(self.failed(&failure, waited))
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
            .checked_add(self.target.options().connect_timeout)
            .map_or(deadline, |end| end.min(deadline));
        let deadlines = Deadlines { connected, ready: deadline };
        let (connector, options) = (self.target.connector(), self.target.options());
        exchange.run(loan.open(|| Connection::open(connector, options, deadlines))?)
    }

    /// Prepares a reused connection, or closes it if the server has sent something that belongs to no request.
    fn close_if_confused(&self, loan: &mut Loan<'_, Connection>, deadline: Instant) {
        let Some(connection) = loan.connection() else { return };
        connection.set_deadline(deadline);
        // A broken connection is noticed, and perhaps replaced, when the requests are sent.
        if let Ok(true) = connection.has_unread() {
            self.target.warn_of_unrequested();
            loan.close();
        }
    }

    /// Describes a failure. If the server is to blame, records and logs it, and closes the idle connections.
    fn failed(&self, failure: &Failure, waited: Duration) -> Error {
        let options = self.target.options();
        if matches!(failure, Failure::TimedOut) && waited > options.timeout / 2 {
            return Error::Busy { server: self.target.name(), size: options.pool_size, waited };
        }
        let error = self.target.failed(failure);
        if !matches!(error, Error::TooLarge { .. }) {
            self.pool.close_idle();
        }
        error
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("target", &self.target).finish_non_exhaustive()
    }
}
