//! [`MemcachedConfig`]: the arguments of the memcached backends.

mod behaviors;
mod tls;

use std::fmt;
use std::time::Duration;

use dogpile_sdk::lease::LeaseOptions;
use dogpile_sdk::{BackendError, ErrorKind};
use serde::Deserialize;

pub use self::behaviors::Behaviors;
pub use self::tls::TlsContext;
use crate::client::{Address, Distribution, Keepalive, Kind, Login, Options, Patience};

/// Arguments of the memcached entry points. An argument of some entry points names them. Times are in seconds.
// Source: dogpile.cache `backends/memcached.py`.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemcachedConfig {
    /// One or more servers: `host`, `host:port`, `[address]:port`, `unix:/path`, or `/path`. `dogpile.cache.memcached`
    /// and `dogpile.cache.pylibmc` also accept `host:port:weight`. Required.
    pub url: Urls,
    /// Exclude creators in other processes with a lock on a server. Default: false.
    pub distributed_lock: bool,
    /// Lifetime of a lock in whole seconds. Default: none; a lock is a 30-second lease that is renewed while its creator
    /// runs.
    pub lock_timeout: u32,
    /// Longest pause between two polls of a lock that is held elsewhere. Default: 0.1.
    pub lock_sleep: Option<f64>,
    /// Wait for a lock that is held elsewhere. Default: true.
    pub lock_blocking: Option<bool>,
    /// Longest wait for a lock that is held elsewhere. Default: 300.
    pub lock_blocking_timeout: Option<f64>,
    /// Time after which a server drops a value, in whole seconds. Default: never.
    pub memcached_expire_time: Option<u32>,
    /// Compress values of at least this many bytes with zlib. 0 disables compression. Default: 0;
    /// `dogpile.cache.bmemcached`: 129. Not for `dogpile.cache.pymemcache`, whose Python client cannot read them.
    pub min_compress_len: Option<usize>,
    /// Time limit for everything that a call requests from a server, and for opening a connection. Default: 3.
    pub socket_timeout: Option<f64>,
    /// Time limit for opening a connection. Default: `socket_timeout`.
    pub connect_timeout: Option<f64>,
    /// Most connections to a server at a time. Default: 32.
    pub pool_size: Option<usize>,
    /// Item limit of the servers in bytes: their `-I`. A value whose stored form is larger is not sent. Default: 1 MiB.
    pub item_size_max: Option<usize>,
    /// Skip values above the item limit, with a warning. The creator's value is still returned. Default: false, which
    /// makes them an error.
    pub skip_oversized: bool,
    /// `dogpile.cache.memcached`: time for which a failed server is not used. Other servers have its keys meanwhile.
    /// Default: 30.
    pub dead_retry: Option<f64>,
    /// `dogpile.cache.pylibmc`: use the binary protocol. Default: false.
    pub binary: Option<bool>,
    /// `dogpile.cache.pylibmc`: the behaviors of libmemcached. Default: none.
    pub behaviors: Option<Behaviors>,
    /// `dogpile.cache.bmemcached`: user name, for servers in SASL mode. Default: none.
    pub username: Option<String>,
    /// `dogpile.cache.bmemcached`: password. Default: none.
    pub password: Option<String>,
    /// `dogpile.cache.bmemcached`, `dogpile.cache.pymemcache`: TLS settings. Default: none; connections are not encrypted.
    pub tls_context: Option<TlsContext>,
    /// `dogpile.cache.pymemcache`: store values without waiting for a reply. Default: false.
    pub default_noreply: Option<bool>,
    /// `dogpile.cache.pymemcache`: probe idle connections with TCP keepalive. Default: none.
    pub socket_keepalive: Option<KeepaliveOptions>,
    /// `dogpile.cache.pymemcache`: retry failed operations at once. Default: false.
    pub enable_retry_client: Option<bool>,
    /// `dogpile.cache.pymemcache`: number of attempts in all, at least 1. Default: 2.
    pub retry_attempts: Option<u32>,
    /// `dogpile.cache.pymemcache`: pause between two attempts. Default: 0.
    pub retry_delay: Option<f64>,
    /// `dogpile.cache.pymemcache`: failures to retry, `unavailable` or `timeout`. Default: any.
    pub retry_for: Option<Vec<Failure>>,
    /// `dogpile.cache.pymemcache`: failures not to retry. Default: none.
    pub do_not_retry_for: Option<Vec<Failure>>,
    /// `dogpile.cache.pymemcache`: number of retries of a failed server before other servers get its keys. Default: 2.
    pub hashclient_retry_attempts: Option<u32>,
    /// `dogpile.cache.pymemcache`: pause before a failed server is retried. Default: 1.
    pub hashclient_retry_timeout: Option<f64>,
    /// `dogpile.cache.pymemcache`: time for which other servers have the keys of a dead server. Default: 60.
    #[serde(alias = "dead_timeout")]
    pub hashclient_dead_timeout: Option<f64>,
}

/// One or more servers.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Urls {
    /// No server: the argument is missing.
    #[default]
    #[serde(skip)]
    None,
    /// One server.
    One(String),
    /// Several servers.
    Many(Vec<String>),
}

/// A kind of failure that may be retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The server could not be reached, or closed the connection.
    Unavailable,
    /// The server did not reply in time.
    Timeout,
}

/// TCP keepalive settings in whole seconds, as in pymemcache's `KeepaliveOpts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeepaliveOptions {
    /// Idle time before the first probe. Default: 1.
    pub idle: u64,
    /// Time between two probes. Default: 1.
    pub intvl: u64,
    /// Number of lost probes after which the connection is closed. Default: 5.
    pub cnt: u32,
}

impl Default for KeepaliveOptions {
    fn default() -> Self {
        KeepaliveOptions { idle: 1, intvl: 1, cnt: 5 }
    }
}

/// The Python client whose behavior the backend follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    PythonMemcached,
    Pymemcache,
    Pylibmc,
    Bmemcached,
}

impl Variant {
    fn entry_point(self) -> &'static str {
        match self {
            Variant::PythonMemcached => "dogpile.cache.memcached",
            Variant::Pymemcache => "dogpile.cache.pymemcache",
            Variant::Pylibmc => "dogpile.cache.pylibmc",
            Variant::Bmemcached => "dogpile.cache.bmemcached",
        }
    }
}

impl MemcachedConfig {
    /// Returns the addresses of the servers.
    pub(crate) fn addresses(&self, variant: Variant) -> Result<Vec<Address>, BackendError> {
        let urls = match &self.url {
            Urls::None => &[][..],
            Urls::One(url) => std::slice::from_ref(url),
            Urls::Many(urls) => urls,
        };
        if urls.is_empty() {
            return Err(wrong(
                "missing argument \"url\": set a server such as \"host:11211\", or a list of servers"
                    .to_owned(),
            ));
        }
        let has_weights = matches!(variant, Variant::PythonMemcached | Variant::Pylibmc);
        let parse = |url: &String| match Address::parse(url) {
            Some(address) if address.weight == 1 || has_weights => Ok(address),
            Some(_) => Err(wrong(format!(
                "invalid argument \"url\": {url:?} has a weight, which {} does not support",
                variant.entry_point()
            ))),
            None => Err(wrong(format!(
                "invalid argument \"url\": {url:?} is not a valid server; expected \"host:port\" or \"unix:/path\""
            ))),
        };
        urls.iter().map(parse).collect()
    }

    /// Returns an error if an argument is invalid, or has no effect for `variant`.
    pub(crate) fn check(&self, variant: Variant) -> Result<(), BackendError> {
        use Variant::{Bmemcached, Pylibmc, Pymemcache, PythonMemcached};
        let given: [(&str, bool, &[Variant]); 15] = [
            ("dead_retry", self.dead_retry.is_some(), &[PythonMemcached]),
            ("binary", self.binary.is_some(), &[Pylibmc]),
            ("behaviors", self.behaviors.is_some(), &[Pylibmc]),
            ("username", self.username.is_some(), &[Bmemcached]),
            ("password", self.password.is_some(), &[Bmemcached]),
            ("tls_context", self.tls_context.is_some(), &[Bmemcached, Pymemcache]),
            ("default_noreply", self.default_noreply.is_some(), &[Pymemcache]),
            ("socket_keepalive", self.socket_keepalive.is_some(), &[Pymemcache]),
            ("enable_retry_client", self.enable_retry_client.is_some(), &[Pymemcache]),
            ("retry_attempts", self.has_retry_options(), &[Pymemcache]),
            ("hashclient_retry_attempts", self.hashclient_retry_attempts.is_some(), &[Pymemcache]),
            ("hashclient_retry_timeout", self.hashclient_retry_timeout.is_some(), &[Pymemcache]),
            ("hashclient_dead_timeout", self.hashclient_dead_timeout.is_some(), &[Pymemcache]),
            ("min_compress_len", self.min_compress_len.is_some(), &[PythonMemcached, Pylibmc, Bmemcached]),
            ("memcached_expire_time", self.memcached_expire_time == Some(0), &[]),
        ];
        for (name, is_given, variants) in given {
            if is_given && variants.is_empty() {
                return Err(wrong(format!(
                    "invalid argument {name:?}: it must be at least 1; remove it to keep values until they are deleted"
                )));
            }
            if is_given && !variants.contains(&variant) {
                let whose: Vec<_> = variants.iter().map(|variant| variant.entry_point()).collect();
                let (whose, here) = (whose.join(" and "), variant.entry_point());
                return Err(wrong(format!(
                    "unsupported argument {name:?}: {here} does not have it, only {whose}; remove it"
                )));
            }
        }
        if self.retry_attempts == Some(0) || self.pool_size == Some(0) {
            return Err(wrong(
                "invalid argument: \"retry_attempts\" and \"pool_size\" must be at least 1".to_owned(),
            ));
        }
        if self.has_retry_options() && self.enable_retry_client != Some(true) {
            log::warn!("the retry arguments have no effect: \"enable_retry_client\" is not set");
        }
        Ok(())
    }

    fn has_retry_options(&self) -> bool {
        self.retry_attempts.is_some()
            || self.retry_delay.is_some()
            || self.retry_for.is_some()
            || self.do_not_retry_for.is_some()
    }

    /// Returns the options of the client.
    pub(crate) fn options(&self, variant: Variant) -> Result<Options, BackendError> {
        let behaviors = self.behaviors.clone().unwrap_or_default();
        let timeout = match (self.socket_timeout, behaviors.timeout()) {
            (Some(given), _) => seconds("socket_timeout", given)?,
            (None, Some(of_behaviors)) => of_behaviors,
            (None, None) => Duration::from_secs(3),
        };
        let connect_timeout = match (self.connect_timeout, behaviors.connect_timeout()) {
            (Some(given), _) => seconds("connect_timeout", given)?,
            (None, Some(of_behaviors)) => of_behaviors,
            (None, None) => timeout,
        };
        let is_binary = variant == Variant::Bmemcached || self.binary == Some(true);
        Ok(Options {
            kind: if is_binary { Kind::Binary } else { Kind::Text },
            distribution: match variant {
                Variant::PythonMemcached => Distribution::Crc,
                Variant::Pymemcache => Distribution::Rendezvous,
                Variant::Pylibmc => behaviors.distribution()?,
                Variant::Bmemcached => Distribution::Replicated,
            },
            connect_timeout,
            timeout,
            patience: self.patience(variant, &behaviors)?,
            login: self.login()?,
            tls: self.tls_context.as_ref().map(TlsContext::tls).transpose()?,
            keepalive: self.keepalive().or(behaviors.keepalive()),
            pool_size: self.pool_size.unwrap_or(32),
            noreply: self.default_noreply == Some(true),
        })
    }

    fn patience(&self, variant: Variant, behaviors: &Behaviors) -> Result<Patience, BackendError> {
        let time = |name, given: Option<f64>, default| seconds(name, given.unwrap_or(default));
        Ok(match variant {
            Variant::PythonMemcached => {
                let dead_for = time("dead_retry", self.dead_retry, 30.0)?;
                Patience { attempts: 0, retry_after: dead_for, dead_for }
            }
            Variant::Pymemcache => Patience {
                attempts: self.hashclient_retry_attempts.unwrap_or(2),
                retry_after: time("hashclient_retry_timeout", self.hashclient_retry_timeout, 1.0)?,
                dead_for: time("hashclient_dead_timeout", self.hashclient_dead_timeout, 60.0)?,
            },
            Variant::Pylibmc => {
                let retry_after = behaviors.retry_timeout();
                Patience { attempts: u32::MAX, retry_after, dead_for: retry_after }
            }
            Variant::Bmemcached => {
                let retry_after = Duration::from_secs(5);
                Patience { attempts: u32::MAX, retry_after, dead_for: retry_after }
            }
        })
    }

    fn login(&self) -> Result<Option<Login>, BackendError> {
        match (&self.username, &self.password) {
            (Some(username), Some(password)) => {
                Ok(Some(Login { username: username.clone(), password: password.clone() }))
            }
            (None, None) => Ok(None),
            _ => Err(wrong(
                "invalid login: only one of \"username\" and \"password\" is set; set both or neither"
                    .to_owned(),
            )),
        }
    }

    fn keepalive(&self) -> Option<Keepalive> {
        self.socket_keepalive.map(|KeepaliveOptions { idle, intvl, cnt }| Keepalive {
            idle: Duration::from_secs(idle),
            interval: Duration::from_secs(intvl),
            count: cnt,
        })
    }

    /// Returns the length from which values are compressed.
    pub(crate) fn compressed_from(&self, variant: Variant) -> Option<usize> {
        let default = if variant == Variant::Bmemcached { 129 } else { 0 };
        Some(self.min_compress_len.unwrap_or(default)).filter(|length| *length > 0)
    }

    pub(crate) fn leases(&self) -> Result<LeaseOptions, BackendError> {
        let mut options = LeaseOptions::default();
        if self.lock_timeout > 0 {
            options.lease = Duration::from_secs(self.lock_timeout.into());
            options.renewed = false;
        }
        if let Some(pause) = self.lock_sleep {
            options.longest_pause = seconds("lock_sleep", pause)?;
        }
        if let Some(timeout) = self.lock_blocking_timeout {
            options.give_up_after = seconds("lock_blocking_timeout", timeout)?;
        }
        if self.lock_blocking == Some(false) {
            options.give_up_after = Duration::ZERO;
        }
        Ok(options)
    }

    /// Returns how failed operations are retried.
    pub(crate) fn retries(&self) -> Result<Retries, BackendError> {
        let is_enabled = self.enable_retry_client == Some(true);
        let delay = match self.retry_delay {
            None => Duration::ZERO,
            Some(0.0) => Duration::ZERO,
            Some(delay) => seconds("retry_delay", delay)?,
        };
        Ok(Retries {
            attempts: if is_enabled { self.retry_attempts.unwrap_or(2) } else { 1 },
            delay,
            only: self.retry_for.clone(),
            never: self.do_not_retry_for.clone().unwrap_or_default(),
        })
    }
}

/// The rules for retrying failed operations.
#[derive(Clone, Debug)]
pub(crate) struct Retries {
    pub(crate) attempts: u32,
    pub(crate) delay: Duration,
    only: Option<Vec<Failure>>,
    never: Vec<Failure>,
}

impl Retries {
    pub(crate) fn allow(&self, failure: Failure) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&failure)) && !self.never.contains(&failure)
    }
}

impl fmt::Debug for MemcachedConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Leave out the password.
        let mut shown = f.debug_struct("MemcachedConfig");
        shown
            .field("url", &self.url)
            .field("distributed_lock", &self.distributed_lock)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Urls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Urls::None => f.write_str("none"),
            Urls::One(url) => url.fmt(f),
            Urls::Many(urls) => urls.fmt(f),
        }
    }
}

fn wrong(message: String) -> BackendError {
    BackendError::new(ErrorKind::Configuration, message)
}

fn seconds(name: &str, given: f64) -> Result<Duration, BackendError> {
    let duration = Duration::try_from_secs_f64(given).ok();
    let usable = duration.filter(|duration| *duration >= Duration::from_millis(1));
    usable.ok_or_else(|| {
        wrong(format!(
            "invalid argument {name:?}: {given} is not a valid time; expected seconds, at least 0.001"
        ))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests;
