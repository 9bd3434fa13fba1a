//! [`Target`]: a server, as one process knows it: its address and whether it works.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use dogpile_net::Connector;
use dogpile_sdk::{LogLimit, error_chain};

use super::address::Address;
use super::error::Error;
use super::failure::Failure;
use super::health::Health;
use super::options::Options;
use super::protocol::Invalid;

/// Whether to use a server that failed a moment ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// Do not use it before its retry time.
    Normal,
    /// Use it, unless it is dead.
    Insisting,
}

/// A server, as one process knows it: how to reach it, and whether it works.
pub(crate) struct Target {
    name: Arc<str>,
    options: Options,
    connector: Arc<Connector>,
    health: Health,
    /// The limits of warnings about failures, unrequested replies, and values that were not stored.
    failures: LogLimit,
    unrequested: LogLimit,
    unstored: LogLimit,
}

impl Target {
    pub(super) fn new(address: &Address, options: &Options) -> Self {
        let connector = Connector::new(address.endpoint());
        let connector = connector.with_tls(options.tls.clone()).with_keepalive(options.keepalive);
        Target {
            name: address.to_string().into(),
            connector: Arc::new(connector),
            health: Health::new(options.patience),
            options: options.clone(),
            failures: LogLimit::new(),
            unrequested: LogLimit::new(),
            unstored: LogLimit::new(),
        }
    }

    pub(crate) fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn connector(&self) -> &Arc<Connector> {
        &self.connector
    }

    /// Returns whether the server is not dead. Other servers may have the keys of a dead one.
    pub(crate) fn is_in(&self, now: Instant) -> bool {
        !self.health.is_dead(now)
    }

    /// Returns whether a call may use the server. If not, its operations fail at once.
    pub(crate) fn may_be_used(&self, urgency: Urgency) -> bool {
        let now = Instant::now();
        let is_insisting = urgency == Urgency::Insisting && !self.health.is_dead(now);
        is_insisting || !self.health.is_resting(now)
    }

    /// Records that the server replied.
    pub(crate) fn succeeded(&self) {
        self.health.succeeded();
    }

    /// Returns the error of operations that failed. If the server is to blame, records and logs the failure.
    pub(crate) fn failed(&self, failure: &Failure) -> Error {
        let error = self.error(failure);
        if !matches!(error, Error::TooLarge { .. }) {
            if let Some(suppressed) = self.failures.pass() {
                log::warn!("{}{suppressed}", error_chain(&error));
            }
            self.health.failed(Instant::now());
        }
        error
    }

    /// Logs that a connection was closed because of a reply that belongs to no request.
    pub(crate) fn warn_of_unrequested(&self) {
        if let Some(suppressed) = self.unrequested.pass() {
            let name = &self.name;
            log::warn!(
                "closed a connection to memcached server {name}: it sent an unrequested reply{suppressed}"
            );
        }
    }

    /// Logs that the server rejected values that were sent without waiting for a reply.
    pub(super) fn warn_of_unstored(&self, count: usize) {
        if count > 0
            && let Some(suppressed) = self.unstored.pass()
        {
            log::warn!(
                "memcached server {} did not store {count} values that were sent without waiting for a \
                 reply{suppressed}",
                self.name
            );
        }
    }

    /// Returns the error of operations that failed.
    pub(crate) fn error(&self, failure: &Failure) -> Error {
        let server = self.name();
        match failure {
            Failure::Invalid(Invalid::LongValue { given, limit }) => {
                Error::TooLarge { server, given: *given, limit: *limit }
            }
            Failure::TimedOut => Error::TimedOut { server, limit: self.options.timeout },
            Failure::Broken(source) => Error::Unreachable { server, source: Arc::clone(source) },
            Failure::Tls(source) => Error::Tls { server, source: Arc::clone(source) },
            Failure::Invalid(why) => Error::InvalidReply { server, why: why.clone() },
            Failure::Login => Error::Login { server },
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("name", &self.name).finish_non_exhaustive()
    }
}
