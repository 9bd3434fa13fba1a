//! [`Calls`]: which operations the calls of a backend send, and what their outcomes mean.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use dogpile_sdk::{BackendError, BytesEntry, ErrorKind, LogLimit, error_chain};

use crate::client::{Client, Error, Operation, Outcome, Refusal, Reply, When, check_key};
#[cfg(feature = "tokio")]
use crate::compression::COMPRESSED;
use crate::compression::Unreadable;
use crate::config::{Failure, MemcachedConfig, Retries, Variant};
use crate::values::Values;
use crate::{error, expiry};

/// Which operations the calls of a backend send, and what their outcomes mean. It performs no I/O.
#[derive(Debug)]
pub(crate) struct Calls {
    values: Values,
    expire_time: Option<Duration>,
    retries: Retries,
    scope: String,
    /// The limits of warnings about values that were ignored, and about old values that may be served.
    ignored: LogLimit,
    remaining: LogLimit,
}

impl Calls {
    pub(crate) fn new(
        config: &MemcachedConfig,
        variant: Variant,
        client: &Client,
    ) -> Result<Self, BackendError> {
        let mut servers: Vec<_> = client.addresses().map(ToString::to_string).collect();
        servers.sort();
        Ok(Calls {
            values: Values::new(config, variant)?,
            expire_time: config.memcached_expire_time,
            retries: config.retries(),
            scope: format!("memcached://{}", servers.join(",")),
            ignored: LogLimit::new(),
            remaining: LogLimit::new(),
        })
    }

    pub(crate) fn values(&self) -> &Values {
        &self.values
    }

    pub(crate) fn retries(&self) -> &Retries {
        &self.retries
    }

    /// Returns whether values have a configured lifetime. It replaces those of the region.
    pub(crate) fn has_expire_time(&self) -> bool {
        self.expire_time.is_some()
    }

    /// Returns the addresses of the servers, in one order.
    pub(crate) fn scope(&self) -> &str {
        &self.scope
    }

    /// Returns an error if a key is invalid.
    pub(crate) fn check<'k>(keys: impl IntoIterator<Item = &'k str>) -> Result<(), BackendError> {
        keys.into_iter().try_for_each(|key| {
            check_key(key).map_err(|why| BackendError::new(ErrorKind::InvalidKey, why).for_key(key))
        })
    }

    /// Returns the indexes of the operations that are retried.
    pub(crate) fn retried(&self, outcomes: &[Outcome]) -> Vec<usize> {
        (0..outcomes.len()).filter(|number| self.is_retried(&outcomes[*number])).collect()
    }

    /// Returns whether an operation with this outcome is retried.
    fn is_retried(&self, outcome: &Outcome) -> bool {
        match outcome {
            Ok(_) => false,
            Err(error) => match **error {
                Error::TimedOut { .. } | Error::Busy { .. } | Error::Crowded { .. } => {
                    self.retries.allow(Failure::Timeout)
                }
                Error::Login { .. } | Error::Tls { .. } | Error::Refused { .. } | Error::TooLarge { .. } => {
                    false
                }
                _ => self.retries.allow(Failure::Unavailable),
            },
        }
    }

    /// Returns the operation that stores a value. Deletes what an oversized value would replace, so that it is not served.
    pub(crate) fn store<'o>(
        &self,
        entry: &BytesEntry<'o>,
        (value, flags): &'o (Cow<'_, [u8]>, u32),
    ) -> Operation<'o> {
        let key = entry.key;
        if value.len() > self.values.largest() {
            return Operation::Delete { key, cas: None };
        }
        // The configured lifetime comes before the region's.
        let keep_for = || entry.options.keep_for.map(expiry::no_earlier_than);
        let expiry = self.expire_time.map(expiry::of).or_else(keep_for).unwrap_or_default();
        Operation::Store { key, value, flags: *flags, expiry, when: When::Always }
    }

    /// Returns the keys whose old values must be deleted, because the server rejected the new ones. It usually has deleted
    /// them already.
    pub(crate) fn rejected<'k>(
        keys: impl IntoIterator<Item = &'k str>,
        outcomes: &[Outcome],
    ) -> Vec<&'k str> {
        if !outcomes.iter().any(is_rejected) {
            return Vec::new();
        }
        // The last value of a key counts.
        let last: BTreeMap<&str, &Outcome> = keys.into_iter().zip(outcomes).collect();
        last.into_iter().filter(|(_, outcome)| is_rejected(outcome)).map(|(key, _)| key).collect()
    }

    /// Logs the deletions of rejected values that failed.
    pub(crate) fn log_remaining(&self, deletions: Vec<Outcome>) {
        for error in deletions.into_iter().filter_map(Result::err) {
            if let Some(suppressed) = self.remaining.pass() {
                let error = error_chain(&*error);
                log::warn!("an old value may be served instead of a rejected one: {error}{suppressed}");
            }
        }
    }

    /// Returns an error if a value of `length` bytes was not stored. An outage is not an error here; it has been logged.
    pub(crate) fn stored(
        &self,
        operation: &Operation<'_>,
        length: usize,
        outcome: Outcome,
    ) -> Result<(), BackendError> {
        match outcome {
            Err(error) if matches!(*error, Error::Refused { why: Refusal::TooLarge, .. }) => {
                self.values.oversized(length)
            }
            Err(error) if error::is_outage(&error) => Ok(()),
            Err(error) => Err(error::of(error)),
            Ok(_) => Ok(()),
        }?;
        if matches!(operation, Operation::Delete { .. }) { self.values.oversized(length) } else { Ok(()) }
    }

    /// Returns the value of a reply. Unreadable compressed values and the keys of a server that is down are misses.
    ///
    /// `left` is how many bytes may still be decompressed in this call.
    pub(crate) fn found(&self, outcome: Outcome, left: &mut usize) -> Result<Option<Vec<u8>>, BackendError> {
        let decoded = match outcome {
            Ok(Reply::Value { data, flags, .. }) => self.values.decoded(data, flags, left),
            Ok(_) => return Ok(None),
            Err(error) if error::is_outage(&error) || matches!(*error, Error::Refused { .. }) => {
                return Ok(None);
            }
            Err(error) => return Err(error::of(error)),
        };
        match decoded {
            Ok(value) => Ok(Some(value)),
            Err(error @ Unreadable::Damaged(_)) => {
                if let Some(suppressed) = self.ignored.pass() {
                    log::warn!("ignored a value of {}: {}{suppressed}", self.scope, error_chain(&error));
                }
                Ok(None)
            }
            Err(Unreadable::TooLarge(limit)) => {
                let why = format!(
                    "cannot decompress the value: it has more than {limit} bytes; raise \"max_decompressed_bytes\""
                );
                Err(BackendError::new(ErrorKind::Other, why).at_server(&*self.scope))
            }
        }
    }

    /// Returns whether reading the values of `outcomes` takes long, because much must be decompressed.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_long(outcomes: &[Outcome]) -> bool {
        /// Decompressing this takes about as long as a hundred small calls.
        const MUCH: usize = 16 << 10;
        let compressed = outcomes.iter().map(|outcome| match outcome {
            Ok(reply @ Reply::Value { flags, .. }) if flags & COMPRESSED != 0 => reply.length(),
            _ => 0,
        });
        compressed.sum::<usize>() > MUCH
    }

    /// Returns an error if a value may remain. A server that is down may still have the value when it comes back.
    pub(crate) fn deleted(outcome: Outcome) -> Result<(), BackendError> {
        outcome.map(drop).map_err(error::of)
    }
}

fn is_rejected(outcome: &Outcome) -> bool {
    matches!(outcome, Err(error) if matches!(**error, Error::Refused { .. }))
}
