//! [`Behaviors`]: the settings of libmemcached.

use std::time::Duration;

use dogpile_sdk::bounds::{invalid, pause, timeout};
use dogpile_sdk::{BackendError, seconds};
use serde::Deserialize;

use crate::client::{Distribution, Hash, Keepalive};

/// The table `behaviors`, with the names of pylibmc.
///
/// Behaviors that only tune libmemcached are accepted without effect. `tcp_nodelay` is always on. As in libmemcached,
/// the timeouts are whole numbers of milliseconds or microseconds.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Behaviors {
    /// Place keys on libmemcached's circle. Default: false.
    pub ketama: Switch,
    /// Place keys on libmemcached's weighted circle, always by `md5`. Default: false.
    pub ketama_weighted: Switch,
    /// Hash of keys: `default`, `md5`, `crc`, `fnv1_64`, `fnv1a_64`, `fnv1_32`, or `fnv1a_32`. Default: `default`.
    pub hash: Option<String>,
    /// `modula`, or `consistent` or `consistent ketama`, which mean the same as `ketama`. Default: `modula`.
    pub distribution: Option<String>,
    /// Probe idle connections with TCP keepalive. Default: false.
    pub tcp_keepalive: Switch,
    /// Time limit for opening a connection, in milliseconds.
    pub connect_timeout: Option<u64>,
    /// Time limit for sending a request, in microseconds.
    pub send_timeout: Option<u64>,
    /// Time limit for receiving a reply, in microseconds.
    pub receive_timeout: Option<u64>,
    /// Time for which a failed server is not used. It is a number of seconds or a duration such as `"2s"`. Default:
    /// 2.
    #[serde(alias = "_retry_timeout", with = "seconds")]
    pub retry_timeout: Option<Duration>,
    /// Has no effect, like all behaviors below.
    pub tcp_nodelay: Switch,
    /// See `tcp_nodelay`.
    pub no_block: Switch,
    /// See `tcp_nodelay`. Values of one call are always sent together.
    pub buffer_requests: Switch,
    /// See `tcp_nodelay`. Cas values are always requested.
    pub cas: Switch,
    /// See `tcp_nodelay`. Keys are always verified.
    pub verify_keys: Switch,
    /// See `tcp_nodelay`.
    pub failure_limit: Option<u64>,
    /// See `tcp_nodelay`.
    #[serde(rename = "_poll_timeout")]
    pub poll_timeout: Option<u64>,
    /// See `tcp_nodelay`.
    pub pickle_protocol: Option<i64>,
}

/// A boolean that may also be written as a number: 0 is false.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switch(pub bool);

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Truth(bool),
            Number(u8),
        }
        match Written::deserialize(deserializer)? {
            Written::Truth(on) => Ok(Switch(on)),
            Written::Number(number) => Ok(Switch(number != 0)),
        }
    }
}

impl Behaviors {
    pub(super) fn distribution(&self) -> Result<Distribution, BackendError> {
        let hash = self.hash()?.unwrap_or(Hash::OneAtATime);
        if self.ketama_weighted.0 {
            return Ok(Distribution::KetamaWeighted);
        }
        if self.ketama.0 {
            return Ok(Distribution::Ketama(hash));
        }
        match self.distribution.as_deref() {
            None | Some("modula") => Ok(Distribution::Modula(hash)),
            Some("consistent" | "consistent ketama") => Ok(Distribution::Ketama(hash)),
            Some(other) => {
                let known =
                    "\"modula\", \"consistent\", or \"consistent ketama\", or set \"ketama_weighted\"";
                let why = format!("unknown \"distribution\" {other:?}; use {known}");
                Err(invalid("behaviors", why))
            }
        }
    }

    fn hash(&self) -> Result<Option<Hash>, BackendError> {
        let Some(name) = self.hash.as_deref() else { return Ok(None) };
        Ok(Some(match name {
            "default" => Hash::OneAtATime,
            "md5" => Hash::Md5,
            "crc" => Hash::Crc,
            "fnv1_64" => Hash::Fnv1_64,
            "fnv1a_64" => Hash::Fnv1a64,
            "fnv1_32" => Hash::Fnv1_32,
            "fnv1a_32" => Hash::Fnv1a32,
            other => {
                let known = "default, md5, crc, fnv1_64, fnv1a_64, fnv1_32, or fnv1a_32";
                return Err(invalid("behaviors", format_args!("unknown \"hash\" {other:?}; use {known}")));
            }
        }))
    }

    pub(super) fn connect_timeout(&self) -> Result<Option<Duration>, BackendError> {
        let given = self.connect_timeout.filter(|millis| *millis > 0).map(Duration::from_millis);
        given.map(|given| timeout("behaviors", given)).transpose()
    }

    /// Returns the time limit for a request and its reply.
    pub(super) fn timeout(&self) -> Result<Option<Duration>, BackendError> {
        let given = [self.send_timeout, self.receive_timeout];
        let given = given.into_iter().flatten().filter(|micros| *micros > 0);
        let given = given.max().map(|micros| Duration::from_micros(micros).max(Duration::from_millis(1)));
        given.map(|given| timeout("behaviors", given)).transpose()
    }

    pub(super) fn retry_timeout(&self) -> Result<Duration, BackendError> {
        pause("behaviors", self.retry_timeout.unwrap_or(Duration::from_secs(2)))
    }

    pub(super) fn keepalive(&self) -> Option<Keepalive> {
        let (idle, interval) = (Some(Duration::from_secs(60)), Some(Duration::from_secs(10)));
        self.tcp_keepalive.0.then_some(Keepalive { idle, interval, count: Some(5) })
    }
}
