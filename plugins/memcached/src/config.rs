//! [`MemcachedConfig`]: the arguments of the memcached backends.

mod behaviors;
mod foreign;
mod keepalive;
mod retries;
mod sizes;
mod tls;

use std::fmt;
use std::time::Duration;

use dogpile_sdk::bounds::{invalid, number, pause, timeout};
use dogpile_sdk::lease::LeaseOptions;
use dogpile_sdk::{BackendError, list, seconds};
use serde::{Deserialize, Deserializer};

pub use self::behaviors::{Behaviors, Switch};
pub use self::foreign::{MEMCACHED_FOREIGN, OTHER_FOREIGN, PYMEMCACHE_FOREIGN};
pub use self::keepalive::KeepaliveOptions;
pub use self::retries::Failure;
pub(crate) use self::retries::Retries;
pub(crate) use self::sizes::Sizes;
pub use self::tls::TlsContext;
use crate::client::{Address, Distribution, Kind, Login, Options, Patience};

/// Arguments of the memcached entry points. An argument of some entry points names them.
///
/// A configuration gives times in seconds, or as durations such as `"3s"`.
// Source: dogpile.cache `backends/memcached.py`.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct MemcachedConfig {
    /// One or more servers: `host`, `host:port`, `[address]:port`, `unix:/path`, or `/path`. `dogpile.cache.memcached`
    /// and `dogpile.cache.pylibmc` also accept `host:port:weight`. Required.
    pub url: Urls,
    /// Exclude creators in other processes with a lock on a server. Default: false.
    pub distributed_lock: bool,
    /// Lifetime of a lock, rounded up to whole seconds. Default: none; a lock is a 30-second lease that is renewed
    /// while its creator runs. 0 means none.
    #[serde(with = "seconds")]
    pub lock_timeout: Option<Duration>,
    /// Longest pause between two polls of a lock that is held elsewhere. Default: 0.1.
    #[serde(with = "seconds")]
    pub lock_sleep: Option<Duration>,
    /// Wait for a lock that is held elsewhere. Default: true.
    pub lock_blocking: Option<bool>,
    /// Longest wait for a lock that is held elsewhere. Default: 300.
    #[serde(with = "seconds")]
    pub lock_blocking_timeout: Option<Duration>,
    /// Time after which a server drops a value, in whole seconds, rounded up. It is at most a hundred years. The
    /// servers know no dates after January 2038, so a time that ends later means never. It replaces the `keep_for` of
    /// the region. Default: never.
    #[serde(with = "seconds")]
    pub memcached_expire_time: Option<Duration>,
    /// Compress values of at least this many bytes with zlib. 0 disables compression. Default: 0;
    /// `dogpile.cache.bmemcached`: 129. Not for `dogpile.cache.pymemcache`, whose Python client cannot read them.
    pub min_compress_len: Option<usize>,
    /// Time limit for each exchange with the servers. It covers all servers of a call, connecting, waiting for a
    /// pooled connection, and retries. Default: 3.
    #[serde(with = "seconds")]
    pub socket_timeout: Option<Duration>,
    /// Time limit for opening a connection, within `socket_timeout`. It includes name resolution and TLS. Default:
    /// `socket_timeout`.
    #[serde(with = "seconds")]
    pub connect_timeout: Option<Duration>,
    /// Most connections to a server at a time. Default: 32.
    pub pool_size: Option<usize>,
    /// Connections to each server that asynchronous calls share, from 1 to 4. Large requests have others of their own. One
    /// is the fastest, because calls are sent in larger groups. More of them separate calls from one whose reply arrives
    /// slowly. Default: 1.
    pub async_connections: Option<usize>,
    /// Item limit of the servers in bytes: their `-I`. A value whose stored form is larger is not stored, and the value
    /// that it would have replaced is deleted. Default: 1 MiB.
    pub item_size_max: Option<usize>,
    /// Skip values above the item limit, with a warning. The creator's value is still returned. Default: false, which
    /// makes them an error.
    pub skip_oversized: bool,
    /// Most bytes of a value as it is stored. A larger one is not stored, and reading it is an error. All values of a
    /// call from one server have at most 1 GiB, or one value if that may be larger. Default: 512 MiB.
    pub max_value_bytes: Option<usize>,
    /// Most bytes of a value after decompression. A larger one is stored without compression, and reading one that is
    /// stored with it is an error. All values of a call have at most 1 GiB, or one value if that may be larger. Default:
    /// eight times `item_size_max`.
    pub max_decompressed_bytes: Option<usize>,
    /// `dogpile.cache.memcached`: time for which a failed server is not used. Other servers have its keys meanwhile.
    /// Default: 30.
    #[serde(with = "seconds")]
    pub dead_retry: Option<Duration>,
    /// `dogpile.cache.pylibmc`: use the binary protocol. Default: false.
    pub binary: Option<bool>,
    /// `dogpile.cache.pylibmc`: the behaviors of libmemcached. Default: none.
    pub behaviors: Option<Behaviors>,
    /// `dogpile.cache.bmemcached`: user name, for servers in SASL mode. Default: none.
    pub username: Option<String>,
    /// `dogpile.cache.bmemcached`: password. Default: none.
    pub password: Option<String>,
    /// `dogpile.cache.bmemcached`, `dogpile.cache.pymemcache`: TLS settings. Default: none; connections are not
    /// encrypted.
    pub tls_context: Option<TlsContext>,
    /// `dogpile.cache.pymemcache`: store values without waiting for a reply, and only log errors. If several threads use
    /// the backend, a thread may not see its own store yet, because its next read may use another connection. It does
    /// with a `pool_size` of 1. Default: false.
    pub default_noreply: Option<bool>,
    /// `dogpile.cache.pymemcache`: probe idle connections with TCP keepalive. Default: none.
    pub socket_keepalive: Option<KeepaliveOptions>,
    /// `dogpile.cache.pymemcache`: retry failed operations at once. Each attempt gets an equal share of the time that
    /// `socket_timeout` leaves. Default: false.
    pub enable_retry_client: Option<bool>,
    /// `dogpile.cache.pymemcache`: number of attempts in all, 1 to 100. Default: 2.
    pub retry_attempts: Option<u32>,
    /// `dogpile.cache.pymemcache`: pause between two attempts. Default: 0.
    #[serde(with = "seconds")]
    pub retry_delay: Option<Duration>,
    /// `dogpile.cache.pymemcache`: failures to retry, `unavailable` or `timeout`. Default: any.
    pub retry_for: Option<Vec<Failure>>,
    /// `dogpile.cache.pymemcache`: failures not to retry. Default: none.
    pub do_not_retry_for: Option<Vec<Failure>>,
    /// `dogpile.cache.pymemcache`: number of retries of a failed server before other servers get its keys. Default: 2.
    pub hashclient_retry_attempts: Option<u32>,
    /// `dogpile.cache.pymemcache`: pause before a failed server is retried. Default: 1.
    #[serde(with = "seconds")]
    pub hashclient_retry_timeout: Option<Duration>,
    /// `dogpile.cache.pymemcache`: time for which other servers have the keys of a dead server. Default: 60.
    #[serde(alias = "dead_timeout", with = "seconds")]
    pub hashclient_dead_timeout: Option<Duration>,
}

/// One or more servers. A configuration gives a list, or one string such as `"a:1, b:2"`.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Urls {
    /// No server: the argument is missing.
    #[default]
    None,
    /// One server.
    One(String),
    /// Several servers.
    Many(Vec<String>),
}

impl<'de> Deserialize<'de> for Urls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a server such as \"host:11211\", or a list of servers")]
        enum Written {
            Text(String),
            List(Vec<String>),
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::Text(text) => Urls::Many(list::split(&text).map(str::to_owned).collect()),
            Written::List(urls) => Urls::Many(urls),
        })
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
        let urls = self.urls();
        if urls.is_empty() {
            let why = "it is missing; set a server such as \"host:11211\", or a list of servers";
            return Err(invalid("url", why));
        }
        let has_weights = matches!(variant, Variant::PythonMemcached | Variant::Pylibmc);
        let parse = |url: &String| match Address::parse(url) {
            // Do not repeat it: it may contain a password.
            _ if is_url(url) => Err(invalid("url", "a server is \"host:port\" or \"unix:/path\", not a URL")),
            Some(address) if address.weight == 1 || has_weights => Ok(address),
            Some(_) => {
                let here = variant.entry_point();
                Err(invalid("url", format_args!("{url:?} has a weight, which {here} does not support")))
            }
            None => {
                let expected = "expected \"host:port\" or \"unix:/path\"";
                Err(invalid("url", format_args!("{url:?} is not a valid server; {expected}")))
            }
        };
        urls.iter().map(parse).collect()
    }

    /// Returns an error if an argument is invalid, or has no effect for `variant`.
    pub(crate) fn check(&self, variant: Variant) -> Result<(), BackendError> {
        use Variant::{Bmemcached, Pylibmc, Pymemcache, PythonMemcached};
        let given: [(&str, bool, &[Variant]); 14] = [
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
        ];
        for (name, is_given, variants) in given {
            if is_given && !variants.contains(&variant) {
                let whose: Vec<_> = variants.iter().map(|variant| variant.entry_point()).collect();
                let (whose, here) = (whose.join(" and "), variant.entry_point());
                return Err(invalid(name, format_args!("{here} does not have it, only {whose}; remove it")));
            }
        }
        self.check_numbers()?;
        self.check_tls()?;
        if self.has_retry_options() && self.enable_retry_client != Some(true) {
            log::warn!("the retry arguments have no effect: \"enable_retry_client\" is not set");
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<(), BackendError> {
        number("retry_attempts", self.retry_attempts.unwrap_or(1), 1, 100)?;
        self.sizes()?;
        number("pool_size", self.pool_size.unwrap_or(1), 1, usize::MAX)?;
        number("async_connections", self.async_connections.unwrap_or(1), 1, 4)?;
        if self.memcached_expire_time == Some(Duration::ZERO) {
            let why = "0 is too short; use at least 1, or remove it to keep values until they are deleted";
            return Err(invalid("memcached_expire_time", why));
        }
        pause("memcached_expire_time", self.memcached_expire_time.unwrap_or_default())?;
        pause("lock_timeout", self.lock_timeout.unwrap_or_default())?;
        pause("retry_delay", self.retry_delay.unwrap_or_default()).map(drop)
    }

    /// Returns an error if TLS is configured for a server that has none. The password would be sent unencrypted.
    fn check_tls(&self) -> Result<(), BackendError> {
        let is_unix = |url: &String| url.starts_with('/') || url.starts_with("unix:");
        if self.tls_context.is_some() && self.urls().iter().any(is_unix) {
            return Err(invalid("tls_context", "a unix socket has no TLS; remove it"));
        }
        Ok(())
    }

    fn urls(&self) -> &[String] {
        match &self.url {
            Urls::None => &[],
            Urls::One(url) => std::slice::from_ref(url),
            Urls::Many(urls) => urls,
        }
    }

    pub(crate) fn sizes(&self) -> Result<Sizes, BackendError> {
        Sizes::new(self.item_size_max, self.max_value_bytes, self.max_decompressed_bytes)
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
        let socket_timeout = match (self.socket_timeout, behaviors.timeout()?) {
            (Some(given), _) => timeout("socket_timeout", given)?,
            (None, Some(of_behaviors)) => of_behaviors,
            (None, None) => Duration::from_secs(3),
        };
        let connect_timeout = match (self.connect_timeout, behaviors.connect_timeout()?) {
            (Some(given), _) => timeout("connect_timeout", given)?,
            (None, Some(of_behaviors)) => of_behaviors,
            (None, None) => socket_timeout,
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
            timeout: socket_timeout,
            patience: self.patience(variant, &behaviors)?,
            login: self.login()?,
            tls: self.tls_context.as_ref().map(TlsContext::tls).transpose()?,
            keepalive: match self.socket_keepalive {
                Some(given) => Some(given.keepalive()?),
                None => behaviors.keepalive(),
            },
            pool_size: self.pool_size.unwrap_or(32),
            async_connections: self.async_connections.unwrap_or(1),
            max_value_bytes: self.sizes()?.value,
            noreply: self.default_noreply == Some(true),
        })
    }

    fn patience(&self, variant: Variant, behaviors: &Behaviors) -> Result<Patience, BackendError> {
        let time = |name, given: Option<Duration>, default| {
            timeout(name, given.unwrap_or(Duration::from_secs(default)))
        };
        Ok(match variant {
            Variant::PythonMemcached => {
                let dead_for = time("dead_retry", self.dead_retry, 30)?;
                Patience { attempts: 0, retry_after: dead_for, dead_for }
            }
            Variant::Pymemcache => Patience {
                attempts: self.hashclient_retry_attempts.unwrap_or(2),
                retry_after: time("hashclient_retry_timeout", self.hashclient_retry_timeout, 1)?,
                dead_for: time("hashclient_dead_timeout", self.hashclient_dead_timeout, 60)?,
            },
            Variant::Pylibmc => {
                let retry_after = behaviors.retry_timeout()?;
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
            (Some(_), None) => Err(invalid("password", "it is missing; set it with \"username\"")),
            (None, Some(_)) => Err(invalid("username", "it is missing; set it with \"password\"")),
        }
    }

    /// Returns the length from which values are compressed.
    pub(crate) fn compressed_from(&self, variant: Variant) -> Option<usize> {
        let default = if variant == Variant::Bmemcached { 129 } else { 0 };
        Some(self.min_compress_len.unwrap_or(default)).filter(|length| *length > 0)
    }

    /// Returns the fixed lifetime of locks, if they have one.
    pub(crate) fn lock_lifetime(&self) -> Option<Duration> {
        self.lock_timeout.filter(|lifetime| !lifetime.is_zero())
    }

    pub(crate) fn leases(&self) -> Result<LeaseOptions, BackendError> {
        let mut options = LeaseOptions::default();
        if let Some(lifetime) = self.lock_lifetime() {
            // The server counts whole seconds.
            options.lease = Duration::from_secs(lifetime.as_secs_f64().ceil() as u64);
            options.renewed = false;
        }
        if let Some(pause) = self.lock_sleep {
            options.longest_pause = timeout("lock_sleep", pause)?;
        }
        if let Some(longest) = self.lock_blocking_timeout {
            options.give_up_after = timeout("lock_blocking_timeout", longest)?;
        }
        if self.lock_blocking == Some(false) {
            options.give_up_after = Duration::ZERO;
        }
        Ok(options)
    }

    /// Returns how failed operations are retried.
    pub(crate) fn retries(&self) -> Retries {
        let is_enabled = self.enable_retry_client == Some(true);
        Retries {
            attempts: if is_enabled { self.retry_attempts.unwrap_or(2) } else { 1 },
            delay: self.retry_delay.unwrap_or_default(),
            only: self.retry_for.clone(),
            never: self.do_not_retry_for.clone().unwrap_or_default(),
        }
    }
}

/// Returns whether `server` looks like a URL, such as `memcached://user:password@host`, and not like a path.
fn is_url(server: &str) -> bool {
    !server.starts_with(['/']) && !server.starts_with("unix:") && server.contains(['@', '/', '?', '#'])
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
            // A URL, which is refused, may contain a password.
            Urls::One(url) if is_url(url) => f.write_str("a URL"),
            Urls::Many(urls) if urls.iter().any(|url| is_url(url)) => f.write_str("URLs"),
            Urls::One(url) => url.fmt(f),
            Urls::Many(urls) => urls.fmt(f),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests;
