//! [`RedisConfig`]: the arguments of the Redis and Valkey backends.

mod connection;
mod node;

use std::fmt;
use std::time::Duration;

use dogpile_sdk::lease::LeaseOptions;
use dogpile_sdk::{BackendError, ErrorKind};
use redis::ConnectionInfo;
use serde::Deserialize;

pub use self::connection::{ConnectionOptions, KeepaliveOptions};
pub use self::node::Node;

/// Arguments of the `dogpile.cache.redis` and `dogpile.cache.valkey` entry points, and of those whose names go on with
/// `_sentinel` or `_cluster`. Times are in seconds.
///
/// Source: dogpile.cache `backends/redis.py`, `RedisBackend`, `RedisSentinelBackend` and `RedisClusterBackend`.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisConfig {
    /// Where the server is: `redis://user:password@host:port/db`, `rediss://..` over TLS, or `unix:///path?db=0`. With
    /// it, `host`, `port`, `db`, `username` and `password` are not looked at. For a cluster, one of its nodes; not for
    /// Sentinel. Default: none.
    pub url: Option<String>,
    /// The server's name or address. Default: `localhost`.
    pub host: String,
    /// The server's port. Default: 6379.
    pub port: u16,
    /// The number of the database; a cluster has only 0. Default: 0.
    pub db: Option<i64>,
    /// The user of the server's access control list. Default: none.
    pub username: Option<String>,
    /// The password. Default: none.
    pub password: Option<String>,
    /// How long to wait for the server to take a command or to answer it, and for a free connection. Default: 3;
    /// Python has none.
    pub socket_timeout: Option<f64>,
    /// How long to wait for a connection. Default: `socket_timeout`.
    pub socket_connect_timeout: Option<f64>,
    /// Whether the system probes connections on which nothing happens. Default: no.
    pub socket_keepalive: Option<bool>,
    /// When, and how often. Default: as the system has it.
    pub socket_keepalive_options: Option<KeepaliveOptions>,
    /// Whether connections are encrypted; certificates are named in `connection_kwargs`. Default: no.
    pub ssl: Option<bool>,
    /// More about connections. What is also given by itself is taken from there, for Sentinel from here. Default: none.
    pub connection_kwargs: ConnectionOptions,
    /// The sentinels, of which one must answer; only for Sentinel, where it must be given. Default: none.
    pub sentinels: Vec<Node>,
    /// By what name the sentinels know the master. Default: `mymaster`.
    pub service_name: Option<String>,
    /// How to connect to the sentinels. Default: as `username` and `password` say, and the timeouts.
    pub sentinel_kwargs: Option<ConnectionOptions>,
    /// Nodes of the cluster, of which one must answer; only for a cluster, where these or `url` must be given. Default:
    /// none.
    pub startup_nodes: Vec<Node>,
    /// After how long the server itself drops a value, in whole seconds. Default: never.
    pub redis_expiration_time: Option<u64>,
    /// Whether creators in other processes are kept out, by a lock on the server. Default: no; for Sentinel: yes.
    pub distributed_lock: Option<bool>,
    /// How long a lock lasts, whether or not its creator is done. Default: 30 seconds from when it was last renewed,
    /// which it is while its creator runs.
    pub lock_timeout: Option<f64>,
    /// The longest pause between two looks at a lock that somebody else holds. Default: 0.1.
    pub lock_sleep: f64,
    /// Whether to wait for a lock that somebody else holds. Default: yes.
    pub lock_blocking: bool,
    /// How long to wait for a lock that somebody else holds. Default: 5 minutes.
    pub lock_blocking_timeout: Option<f64>,
    /// What the name of a lock begins with, before the key: 2 to 10 letters, digits or `_-.:`. Default: `_lock`.
    pub lock_prefix: String,
    /// Whether the release of a lock is told to whoever waits for it, by `PUBLISH`, and waited for on a connection
    /// beside the pool's. Default: yes.
    pub lock_wakeup: bool,
    /// Python's; any thread may release a lock here, whatever it says.
    pub thread_local_lock: bool,
    /// The most connections to a server at a time, at least 1. Default: 32.
    pub pool_size: Option<usize>,
    /// The most connections to a server that are kept while they are not used. Default: 32.
    pub pool_max_idle: usize,
    /// How long a connection is kept that is not used. Default: 60.
    pub pool_idle_timeout: f64,
    /// Whether a command that does the same when it is done twice is sent again, once, on a new connection after the
    /// old one broke. Default: yes.
    pub retry_on_reconnect: bool,
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
            redis_expiration_time: None,
            distributed_lock: None,
            lock_timeout: None,
            lock_sleep: 0.1,
            lock_blocking: true,
            lock_blocking_timeout: None,
            lock_prefix: "_lock".to_owned(),
            lock_wakeup: true,
            thread_local_lock: true,
            pool_size: None,
            pool_max_idle: 32,
            pool_idle_timeout: 60.0,
            retry_on_reconnect: true,
        }
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No password, nor a `url` that may hold one.
        let mut shown = f.debug_struct("RedisConfig");
        shown.field("host", &self.host).field("port", &self.port).field("db", &self.db);
        shown.field("sentinels", &self.sentinels).field("startup_nodes", &self.startup_nodes);
        shown.field("distributed_lock", &self.distributed_lock).finish_non_exhaustive()
    }
}

/// How the servers of a backend belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deployment {
    Single,
    Sentinel,
    Cluster,
}

impl RedisConfig {
    pub(crate) fn check(&self, deployment: Deployment) -> Result<(), BackendError> {
        let prefix = &self.lock_prefix;
        let known = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
        if !(2..=10).contains(&prefix.len()) || !prefix.chars().all(known) {
            return Err(refused(
                "lock_prefix",
                format_args!("{prefix:?}"),
                "2 to 10 letters, digits or _-.:",
            ));
        }
        if self.pool_size() == 0 {
            return Err(refused("pool_size", format_args!("0"), "at least 1"));
        }
        if self.redis_expiration_time == Some(0) {
            let must = "at least 1; leave it out for values that stay";
            return Err(refused("redis_expiration_time", format_args!("0"), must));
        }
        self.check_servers(deployment)
    }

    /// That the servers are named as `deployment` has it.
    fn check_servers(&self, deployment: Deployment) -> Result<(), BackendError> {
        let wrong = |why: &str| Err(BackendError::new(ErrorKind::Configuration, why));
        let names_sentinels =
            !self.sentinels.is_empty() || self.service_name.is_some() || self.sentinel_kwargs.is_some();
        match deployment {
            Deployment::Sentinel if self.sentinels.is_empty() => wrong(
                "argument \"sentinels\" is missing: the servers to ask for the master, [\"host:26379\", ..]",
            ),
            Deployment::Sentinel if self.url.is_some() => {
                wrong("argument \"url\" is not for Sentinel, which tells where the servers are; leave it out")
            }
            Deployment::Cluster if self.startup_nodes.is_empty() && self.url.is_none() => {
                wrong("argument \"startup_nodes\" is missing: some nodes of the cluster, [\"host:6379\", ..]")
            }
            Deployment::Cluster if self.options(deployment).db.is_some_and(|db| db != 0) => {
                wrong("argument \"db\" must be 0 or left out: a cluster has one database")
            }
            Deployment::Single | Deployment::Cluster if names_sentinels => wrong(
                "arguments \"sentinels\", \"service_name\" and \"sentinel_kwargs\" are for the entry points whose \
                 names end in _sentinel",
            ),
            Deployment::Single | Deployment::Sentinel if !self.startup_nodes.is_empty() => {
                wrong("argument \"startup_nodes\" is for the entry points whose names end in _cluster")
            }
            _ => Ok(()),
        }
    }

    /// How to connect to any of the servers.
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

    /// How to connect to the sentinels.
    pub(crate) fn sentinel_options(&self) -> ConnectionOptions {
        let from_servers = ConnectionOptions {
            username: self.username.clone(),
            password: self.password.clone(),
            socket_timeout: self.socket_timeout,
            socket_connect_timeout: self.socket_connect_timeout,
            ..ConnectionOptions::default()
        };
        let options = self.sentinel_kwargs.clone().unwrap_or_default().or(from_servers);
        // A sentinel has no databases.
        ConnectionOptions { db: None, ..options }
    }

    /// The one server that is named.
    pub(crate) fn server(&self, options: &ConnectionOptions) -> Result<ConnectionInfo, BackendError> {
        match &self.url {
            Some(url) => options.to_url(url),
            None => options.to(&Node::new(self.host.clone(), self.port)),
        }
    }

    pub(crate) fn pool_size(&self) -> usize {
        self.pool_size.or(self.connection_kwargs.max_connections).unwrap_or(32)
    }

    pub(crate) fn pool_idle_timeout(&self) -> Result<Duration, BackendError> {
        seconds("pool_idle_timeout", self.pool_idle_timeout)
    }

    pub(crate) fn leases(&self) -> Result<LeaseOptions, BackendError> {
        let mut options = LeaseOptions::default();
        if let Some(timeout) = self.lock_timeout {
            options.lease = seconds("lock_timeout", timeout)?;
            options.renewed = false;
        }
        options.longest_pause = seconds("lock_sleep", self.lock_sleep)?;
        if let Some(timeout) = self.lock_blocking_timeout {
            options.give_up_after = seconds("lock_blocking_timeout", timeout)?;
        }
        if !self.lock_blocking {
            options.give_up_after = Duration::ZERO;
        }
        Ok(options)
    }
}

/// A time of at least a millisecond, below which the server's clock does not go.
fn seconds(name: &str, given: f64) -> Result<Duration, BackendError> {
    let duration = Duration::try_from_secs_f64(given).ok();
    let usable = duration.filter(|duration| *duration >= Duration::from_millis(1));
    usable.ok_or_else(|| refused(name, format_args!("{given}"), "a number of seconds, at least 0.001"))
}

fn refused(name: &str, given: fmt::Arguments<'_>, must: &str) -> BackendError {
    let message = format!("argument {name:?} of a Redis backend is {given}, and must be {must}");
    BackendError::new(ErrorKind::Configuration, message)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;

    fn connection(config: &RedisConfig) -> ConnectionInfo {
        config.server(&config.options(Deployment::Single)).unwrap()
    }

    /// Behaviour: `redis-connect-defaults`
    #[test]
    fn without_arguments_it_is_the_server_of_this_machine() {
        let server = connection(&RedisConfig::default());
        assert_eq!(server.addr().to_string(), "localhost:6379");
        let login = server.redis_settings();
        assert_eq!((login.db(), login.username(), login.password()), (0, None, None));
    }

    /// Behaviour: `redis-connect-basics`, `redis-connect-password`, `redis-connect-username-password`
    #[test]
    fn server_and_login_are_as_given() {
        let mut config = RedisConfig { host: "h".into(), port: 7, db: Some(3), ..RedisConfig::default() };
        config.password = Some("0123".into());
        let server = connection(&config);
        assert_eq!((server.addr().to_string().as_str(), server.redis_settings().db()), ("h:7", 3));
        assert_eq!(server.redis_settings().username(), None);
        assert_eq!(server.redis_settings().password(), Some("0123"));
        config.username = Some("user".into());
        assert_eq!(connection(&config).redis_settings().username(), Some("user"));
    }

    /// Behaviour: `redis-connect-url-wins`
    #[test]
    fn a_url_takes_the_place_of_host_port_and_login() {
        let config = RedisConfig {
            url: Some("redis://u:p@there:5/2".into()),
            password: Some("other".into()),
            ..RedisConfig::default()
        };
        let server = connection(&config);
        assert_eq!(server.addr().to_string(), "there:5");
        assert_eq!((server.redis_settings().db(), server.redis_settings().password()), (2, Some("p")));
    }

    /// Behaviour: `redis-connect-socket-timeout`, `redis-connect-socket-timeout-1s`
    #[test]
    fn timeouts_are_as_given_and_never_none() {
        let options = |socket_timeout| {
            RedisConfig { socket_timeout, ..RedisConfig::default() }.options(Deployment::Single)
        };
        assert_eq!(options(Some(0.5)).timeout().unwrap(), Duration::from_millis(500));
        assert_eq!(options(Some(0.5)).connect_timeout().unwrap(), Duration::from_millis(500));
        assert_eq!(options(None).timeout().unwrap(), Duration::from_secs(3));
        let error = options(Some(0.0)).timeout().unwrap_err();
        assert_eq!(
            error.to_string(),
            "argument \"socket_timeout\" of a Redis backend is 0, and must be a number of seconds, at least 0.001"
        );
    }

    #[test]
    fn neither_debug_nor_an_error_shows_a_password() {
        let config = RedisConfig {
            url: Some("nonsense://u:hunter2@there:5/2".into()),
            password: Some("hunter2".into()),
            ..RedisConfig::default()
        };
        let error = config.server(&config.options(Deployment::Single)).unwrap_err();
        assert!(!format!("{config:?} {error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn a_wrong_lock_prefix_is_refused() {
        for prefix in ["", "a", "elevenchars", "_lo k"] {
            let config = RedisConfig { lock_prefix: prefix.into(), ..RedisConfig::default() };
            assert!(config.check(Deployment::Single).is_err(), "{prefix:?}");
        }
        let config = RedisConfig { lock_prefix: "_lok.".into(), ..RedisConfig::default() };
        assert!(config.check(Deployment::Single).is_ok());
    }

    #[test]
    fn servers_are_named_as_the_entry_point_has_it() {
        let refused = |written: &str, deployment| {
            let config: RedisConfig = serde_json::from_str(written).unwrap();
            config.check(deployment).unwrap_err().to_string()
        };
        let names = [
            (refused("{}", Deployment::Sentinel), "\"sentinels\" is missing"),
            (refused("{}", Deployment::Cluster), "\"startup_nodes\" is missing"),
            (refused(r#"{"service_name": "m"}"#, Deployment::Single), "_sentinel"),
            (refused(r#"{"startup_nodes": ["h:1"]}"#, Deployment::Single), "_cluster"),
            (refused(r#"{"startup_nodes": ["h:1"], "db": 1}"#, Deployment::Cluster), "\"db\" must be 0"),
            (refused(r#"{"sentinels": ["h:1"], "url": "redis://h"}"#, Deployment::Sentinel), "\"url\""),
        ];
        for (refused, name) in names {
            assert!(refused.contains(name), "{refused}");
        }
    }

    #[test]
    fn sentinels_are_asked_as_the_same_user_unless_told_otherwise() {
        let config: RedisConfig =
            serde_json::from_str(r#"{"username": "u", "password": "p", "db": 2}"#).unwrap();
        let options = config.sentinel_options();
        assert_eq!(
            (options.username.as_deref(), options.password.as_deref(), options.db),
            (Some("u"), Some("p"), None)
        );
        let more = r#"{"password": "p", "sentinel_kwargs": {"password": ""}}"#;
        let config: RedisConfig = serde_json::from_str(more).unwrap();
        let server = config.sentinel_options().to(&Node::new("h", 1)).unwrap();
        assert_eq!(server.redis_settings().password(), None);
    }
}
