//! [`Behaviors`]: libmemcached's switches.

use std::time::Duration;

use dogpile_sdk::BackendError;
use serde::Deserialize;

use super::wrong;
use crate::client::{Distribution, Hash, Keepalive};

/// The table `behaviors`, by the names that pylibmc gives them. Those that only tune how libmemcached works are taken, and
/// mean nothing here; `tcp_nodelay` is always on.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviors {
    /// Whether keys are on libmemcached's circle.
    pub ketama: Switch,
    /// Whether keys are on its circle of four points for each digest, by weight. Its hash is `md5` in any case.
    pub ketama_weighted: Switch,
    /// The hash of keys: `default`, `md5`, `crc`, `fnv1_64`, `fnv1a_64`, `fnv1_32` or `fnv1a_32`.
    pub hash: Option<String>,
    /// `modula`; or `consistent` or `consistent ketama`, which are what `ketama` says. Default: `modula`.
    pub distribution: Option<String>,
    /// Whether the system probes connections.
    pub tcp_keepalive: Switch,
    /// How long to wait for a connection, in milliseconds.
    pub connect_timeout: Option<u64>,
    /// How long to wait for a server to take something, in microseconds.
    pub send_timeout: Option<u64>,
    /// How long to wait for its answer, in microseconds.
    pub receive_timeout: Option<u64>,
    /// How long a server that failed is left alone, in seconds. Default: 2.
    #[serde(alias = "_retry_timeout")]
    pub retry_timeout: Option<u64>,
    /// Means nothing here, as do those below.
    pub tcp_nodelay: Switch,
    /// See `tcp_nodelay`.
    pub no_block: Switch,
    /// See `tcp_nodelay`: no two values are sent but together.
    pub buffer_requests: Switch,
    /// See `tcp_nodelay`: cas values are always asked for.
    pub cas: Switch,
    /// See `tcp_nodelay`: keys are always verified.
    pub verify_keys: Switch,
    /// See `tcp_nodelay`.
    pub failure_limit: Option<u64>,
    /// See `tcp_nodelay`.
    #[serde(rename = "_poll_timeout")]
    pub poll_timeout: Option<u64>,
    /// See `tcp_nodelay`.
    pub pickle_protocol: Option<i64>,
}

/// `true` or 1, `false` or 0.
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
            Some(other) => Err(wrong(format!(
                "behavior \"distribution\" is {other:?}, which is not known here; \"modula\", \"consistent\" and \
                 \"consistent ketama\" are, and the behavior \"ketama_weighted\""
            ))),
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
                let known = "default, md5, crc, fnv1_64, fnv1a_64, fnv1_32 and fnv1a_32";
                return Err(wrong(format!(
                    "behavior \"hash\" is {other:?}, which is not known here; {known} are"
                )));
            }
        }))
    }

    pub(super) fn connect_timeout(&self) -> Option<Duration> {
        self.connect_timeout.filter(|millis| *millis > 0).map(Duration::from_millis)
    }

    /// How long a server may take to take something and to answer it.
    pub(super) fn timeout(&self) -> Option<Duration> {
        let given = [self.send_timeout, self.receive_timeout];
        let given = given.into_iter().flatten().filter(|micros| *micros > 0);
        given.max().map(|micros| Duration::from_micros(micros).max(Duration::from_millis(1)))
    }

    pub(super) fn retry_timeout(&self) -> Duration {
        Duration::from_secs(self.retry_timeout.unwrap_or(2))
    }

    pub(super) fn keepalive(&self) -> Option<Keepalive> {
        let (idle, interval) = (Duration::from_secs(60), Duration::from_secs(10));
        self.tcp_keepalive.0.then_some(Keepalive { idle, interval, count: 5 })
    }
}
