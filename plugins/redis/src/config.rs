//! [`RedisConfig`]: the arguments of the Redis and Valkey backends.

mod connection;
mod foreign;
mod node;
mod url;

use std::fmt;
use std::time::Duration;

use dogpile_sdk::bounds::{LONGEST, between, invalid, number, timeout};
use dogpile_sdk::lease::LeaseOptions;
use dogpile_sdk::{BackendError, Capabilities, seconds};
use serde::Deserialize;

pub use self::connection::{ConnectionOptions, KeepaliveOptions};
pub use self::foreign::{SENTINEL_FOREIGN, SINGLE_FOREIGN};
pub(crate) use self::node::AllowedHosts;
pub use self::node::Node;
use self::node::{is_host, port};
use self::url::Url;
use crate::connection::Address;

/// Arguments of the Redis and Valkey entry points, which include those of `_sentinel` and `_cluster`.
///
/// A configuration gives times in seconds, or as durations such as `"3s"`.
// Source: dogpile.cache `backends/redis.py`, `RedisBackend`, `RedisSentinelBackend` and `RedisClusterBackend`.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RedisConfig {
    /// Server URL: `redis://user:password@host:port/db`, `rediss://…` for TLS, or `unix:///path?db=0`. Options of
    /// `connection_kwargs` may follow a `?`. Overrides the arguments of the same meaning, such as `host` and
    /// `password`. For a cluster, give one of its nodes. Not allowed with Sentinel. Default: none.
    pub url: Option<String>,
    /// Host name or address of the server. Default: `localhost`.
    pub host: String,
    /// Port of the server. Default: 6379.
    #[serde(deserialize_with = "port")]
    pub port: u16,
    /// Database number. A cluster has only database 0. Default: 0.
    pub db: Option<i64>,
    /// User name for the server. Default: none.
    pub username: Option<String>,
    /// Password for the server. It never appears in logs, errors, or `Debug` output. Default: none.
    pub password: Option<String>,
    /// Time limit for each exchange with the servers. It includes connecting, waiting for a pooled connection,
    /// redirections, and a retry. Default: 3. Python has no limit by default.
    #[serde(with = "seconds")]
    pub socket_timeout: Option<Duration>,
    /// Time limit for opening a connection, within `socket_timeout`. It includes name resolution and TLS. Default:
    /// `socket_timeout`.
    #[serde(with = "seconds")]
    pub socket_connect_timeout: Option<Duration>,
    /// Probe idle connections with TCP keepalive. Default: false.
    pub socket_keepalive: Option<bool>,
    /// TCP keepalive settings. Default: the settings of the system.
    pub socket_keepalive_options: Option<KeepaliveOptions>,
    /// Encrypt connections with TLS. `connection_kwargs` has the certificates, which need it. Default: false.
    pub ssl: Option<bool>,
    /// Further options of connections. An argument overrides the same option here, except with Sentinel, where this
    /// table wins. Default: none.
    pub connection_kwargs: ConnectionOptions,
    /// Addresses of the sentinels, of which at least one must be reachable. Required for Sentinel.
    pub sentinels: Vec<Node>,
    /// Name under which the sentinels know the master. Default: `mymaster`.
    pub service_name: Option<String>,
    /// Options of connections to the sentinels. Default: the timeouts, and `username` and `password` unless only the
    /// servers have TLS.
    pub sentinel_kwargs: Option<ConnectionOptions>,
    /// Addresses of cluster nodes, of which at least one must be reachable. Required for a cluster without `url`.
    pub startup_nodes: Vec<Node>,
    /// Hosts that the sentinels or the nodes of a cluster may name. An example is `10.0.0.7` or `*.cache.internal`.
    /// The client connects to no other host that they name, and sends it no password. Only for Sentinel and clusters.
    /// Default: any.
    pub allowed_hosts: Option<Vec<String>>,
    /// Time after which the server drops a value. It replaces the `keep_for` of the region. Default: never.
    #[serde(with = "seconds")]
    pub redis_expiration_time: Option<Duration>,
    /// Exclude creators in other processes with a lock on the server. Default: false; Sentinel: true.
    pub distributed_lock: Option<bool>,
    /// Lifetime of a lock. Default: none; a lock is a 30-second lease that is renewed while its creator runs.
    #[serde(with = "seconds")]
    pub lock_timeout: Option<Duration>,
    /// Longest pause between two polls of a lock that is held elsewhere. Default: 0.1.
    #[serde(with = "seconds")]
    pub lock_sleep: Duration,
    /// Wait for a lock that is held elsewhere. Default: true.
    pub lock_blocking: bool,
    /// Longest wait for a lock that is held elsewhere. Default: 300.
    #[serde(with = "seconds")]
    pub lock_blocking_timeout: Option<Duration>,
    /// Prefix of lock names: 2 to 10 letters, digits, or `_-.:`. With `distributed_lock`, keys that begin with it are
    /// replaced. Default: `_lock`.
    pub lock_prefix: String,
    /// Notify waiters when a lock is released. If false, waiters only poll. Default: true.
    pub lock_wakeup: bool,
    /// Accepted for compatibility with Python, without effect. Any thread may release a lock.
    pub thread_local_lock: bool,
    /// Most connections to a server in use at a time, from 1 to 65535. Default: 32.
    pub pool_size: Option<usize>,
    /// Most unused connections to a server that are kept, at most 65535. Default: 32.
    pub pool_max_idle: usize,
    /// Time after which an unused connection is closed. Default: 60.
    #[serde(with = "seconds")]
    pub pool_idle_timeout: Duration,
    /// Connections to each server that asynchronous calls share, from 1 to 4. Large requests and replies have others of
    /// their own. One is the fastest, because calls are sent in larger groups. More of them separate calls from one whose
    /// reply arrives slowly. Default: 1.
    pub async_connections: usize,
    /// Resend a command once after its connection breaks, if repeating the command is harmless. The retry opens a new
    /// connection. Default: true.
    pub retry_on_reconnect: bool,
    /// Check with an `ECHO` after reads and lock scripts that replies belong to their commands. It costs a few percent of
    /// the time of a read, and notices proxies that lose or repeat replies. Default: true.
    pub check_replies: bool,
    /// Most bytes of a value. A larger one is not stored, and reading it is an error. One reply has at most 1 GiB, or
    /// one value if that may be larger. Default: 536870912 (512 MiB), which is the limit of a Redis server.
    pub max_value_bytes: usize,
}

impl Default for RedisConfig {
    fn default() -> Self {
        RedisConfig {
            url: None,
            host: "localhost".to_owned(),
            port: 6379,
            db: None,
            username: None,
            password: None,
            socket_timeout: None,
            socket_connect_timeout: None,
            socket_keepalive: None,
            socket_keepalive_options: None,
            ssl: None,
            connection_kwargs: ConnectionOptions::default(),
            sentinels: Vec::new(),
            service_name: None,
            sentinel_kwargs: None,
            startup_nodes: Vec::new(),
            allowed_hosts: None,
            redis_expiration_time: None,
            distributed_lock: None,
            lock_timeout: None,
            lock_sleep: Duration::from_millis(100),
            lock_blocking: true,
            lock_blocking_timeout: None,
            lock_prefix: "_lock".to_owned(),
            lock_wakeup: true,
            thread_local_lock: true,
            pool_size: None,
            pool_max_idle: 32,
            pool_idle_timeout: Duration::from_secs(60),
            async_connections: 1,
            retry_on_reconnect: true,
            check_replies: true,
            max_value_bytes: 512 << 20,
        }
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Leave out the password, and the `url`, which may contain one.
        let mut shown = f.debug_struct("RedisConfig");
        shown.field("host", &self.host).field("port", &self.port).field("db", &self.db);
        shown.field("sentinels", &self.sentinels).field("startup_nodes", &self.startup_nodes);
        shown.field("distributed_lock", &self.distributed_lock).finish_non_exhaustive()
    }
}

/// The most connections to a server: there are no more ports.
const MOST_CONNECTIONS: usize = 65_535;
/// The most bytes of a value: a terabyte is more than fits into memory.
const MOST_BYTES: usize = 1 << 40;

/// The kind of deployment that a backend uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deployment {
    Single,
    Sentinel,
    Cluster,
}

impl RedisConfig {
    /// Returns an error if an argument is invalid, or not allowed for `deployment`.
    pub(crate) fn check(&self, deployment: Deployment) -> Result<(), BackendError> {
        let prefix = &self.lock_prefix;
        let known = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
        if !(2..=10).contains(&prefix.len()) || !prefix.chars().all(known) {
            let why = format!("{prefix:?} is not a valid prefix; use 2 to 10 letters, digits, or _-.:");
            return Err(invalid("lock_prefix", why));
        }
        let replaced = Capabilities::REPLACED_KEY_PREFIX;
        if replaced.starts_with(prefix) || prefix.starts_with(replaced) {
            let why =
                format!("{prefix:?} is how keys begin that replace others ({replaced:?}); use another one");
            return Err(invalid("lock_prefix", why));
        }
        if self.port == 0 {
            return Err(invalid("port", "0 is not a valid port; use 1 to 65535"));
        }
        let max_connections = self.options(deployment).max_connections;
        for (argument, given) in [("pool_size", self.pool_size), ("max_connections", max_connections)] {
            given.map(|given| number(argument, given, 1, MOST_CONNECTIONS)).transpose()?;
        }
        number("pool_max_idle", self.pool_max_idle, 0, MOST_CONNECTIONS)?;
        number("max_value_bytes", self.max_value_bytes, 1, MOST_BYTES)?;
        number("async_connections", self.async_connections, 1, 4)?;
        if self.redis_expiration_time == Some(Duration::ZERO) {
            let why = "0 is too short; use at least 1, or remove it to keep values until they are deleted";
            return Err(invalid("redis_expiration_time", why));
        }
        if let Some(given) = self.redis_expiration_time {
            between("redis_expiration_time", given, Duration::ZERO, LONGEST)?;
        }
        if !is_host(&self.host) {
            // Do not repeat it: it may be a URL with a password.
            return Err(invalid("host", "it is not a host name or address; a URL belongs in \"url\""));
        }
        self.check_servers(deployment)
    }

    /// Returns an error if the arguments that name servers are not those of `deployment`.
    fn check_servers(&self, deployment: Deployment) -> Result<(), BackendError> {
        let missing = |argument, example| {
            Err(invalid(argument, format_args!("it is missing; list the addresses, such as [{example:?}]")))
        };
        let only = |argument, suffix| {
            let why = format!("only entry points whose names end in {suffix} have it; remove it");
            Err(invalid(argument, why))
        };
        match deployment {
            Deployment::Sentinel if self.sentinels.is_empty() => missing("sentinels", "host:26379"),
            Deployment::Sentinel if self.url.is_some() => {
                Err(invalid("url", "it is not allowed with Sentinel, which names the servers; remove it"))
            }
            Deployment::Cluster if self.startup_nodes.is_empty() && self.url.is_none() => {
                missing("startup_nodes", "host:6379")
            }
            Deployment::Cluster if self.options(deployment).db.is_some_and(|db| db != 0) => {
                Err(invalid("db", "a cluster has only database 0; remove it"))
            }
            Deployment::Single | Deployment::Cluster if !self.sentinels.is_empty() => {
                only("sentinels", "_sentinel")
            }
            Deployment::Single | Deployment::Cluster if self.service_name.is_some() => {
                only("service_name", "_sentinel")
            }
            Deployment::Single | Deployment::Cluster if self.sentinel_kwargs.is_some() => {
                only("sentinel_kwargs", "_sentinel")
            }
            Deployment::Single | Deployment::Sentinel if !self.startup_nodes.is_empty() => {
                only("startup_nodes", "_cluster")
            }
            Deployment::Single if self.allowed_hosts.is_some() => {
                only("allowed_hosts", "_sentinel or _cluster")
            }
            _ => Ok(()),
        }
    }

    /// Returns the options of connections to the servers.
    pub(crate) fn options(&self, deployment: Deployment) -> ConnectionOptions {
        let given = ConnectionOptions {
            username: self.username.clone(),
            password: self.password.clone(),
            db: self.db,
            socket_timeout: self.socket_timeout,
            socket_connect_timeout: self.socket_connect_timeout,
            socket_keepalive: self.socket_keepalive,
            socket_keepalive_options: self.socket_keepalive_options,
            ssl: self.ssl,
            ..ConnectionOptions::default()
        };
        let more = self.connection_kwargs.clone();
        if deployment == Deployment::Sentinel { more.or(given) } else { given.or(more) }
    }

    /// Returns the options of connections to the sentinels.
    pub(crate) fn sentinel_options(&self) -> ConnectionOptions {
        let given = self.sentinel_kwargs.clone().unwrap_or_default();
        // The login of encrypted servers must not be sent in the clear.
        let is_exposed = self.options(Deployment::Sentinel).ssl == Some(true) && given.ssl != Some(true);
        let login = |text: &Option<String>| text.clone().filter(|_| !is_exposed);
        let from_servers = ConnectionOptions {
            username: login(&self.username),
            password: login(&self.password),
            socket_timeout: self.socket_timeout,
            socket_connect_timeout: self.socket_connect_timeout,
            ..ConnectionOptions::default()
        };
        // A sentinel has no databases.
        ConnectionOptions { db: None, ..given.or(from_servers) }
    }

    /// Returns the server that `url`, or `host` and `port`, names, and the options of connections to it.
    pub(crate) fn server(
        &self,
        deployment: Deployment,
    ) -> Result<(Address, ConnectionOptions), BackendError> {
        let options = self.options(deployment);
        match &self.url {
            Some(url) => Url::parse(url).map(|url| (url.address, url.options.or(options))),
            None => Ok((Address::Tcp(Node::new(self.host.clone(), self.port)), options)),
        }
    }

    pub(crate) fn pool_idle_timeout(&self) -> Result<Duration, BackendError> {
        timeout("pool_idle_timeout", self.pool_idle_timeout)
    }

    pub(crate) fn leases(&self) -> Result<LeaseOptions, BackendError> {
        let mut options = LeaseOptions::default();
        if let Some(lifetime) = self.lock_timeout {
            options.lease = timeout("lock_timeout", lifetime)?;
            options.renewed = false;
        }
        options.longest_pause = timeout("lock_sleep", self.lock_sleep)?;
        if let Some(longest) = self.lock_blocking_timeout {
            options.give_up_after = timeout("lock_blocking_timeout", longest)?;
        }
        if !self.lock_blocking {
            options.give_up_after = Duration::ZERO;
        }
        Ok(options)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests;
