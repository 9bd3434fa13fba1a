//! [`RedisConfig`]: the arguments of the Redis and Valkey backends.

use std::fmt;
use std::time::Duration;

use dogpile_sdk::lease::LeaseOptions;
use dogpile_sdk::{BackendError, ErrorKind};
use redis::{ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};
use serde::Deserialize;

/// Arguments of the `dogpile.cache.redis` and `dogpile.cache.valkey` entry points. Times are in seconds.
///
/// Source: dogpile.cache `backends/redis.py`, `RedisBackend`.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisConfig {
    /// Where the server is: `redis://user:password@host:port/db`, or `unix:///path?db=0`. With it, `host`, `port`,
    /// `db`, `username` and `password` are not looked at. Default: none.
    pub url: Option<String>,
    /// The server's name or address. Default: `localhost`.
    pub host: String,
    /// The server's port. Default: 6379.
    pub port: u16,
    /// The number of the database. Default: 0.
    pub db: i64,
    /// The user of the server's access control list. Default: none.
    pub username: Option<String>,
    /// The password. Default: none.
    pub password: Option<String>,
    /// How long to wait for the server to take a command or to answer it, and for a free connection. Default: 3;
    /// Python has none.
    pub socket_timeout: f64,
    /// How long to wait for a connection. Default: `socket_timeout`.
    pub socket_connect_timeout: Option<f64>,
    /// After how long the server itself drops a value, in whole seconds. Default: never.
    pub redis_expiration_time: Option<u64>,
    /// Whether creators in other processes are kept out, by a lock on the server. Default: no.
    pub distributed_lock: bool,
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
    /// Python's; any thread may release a lock here, whatever it says.
    pub thread_local_lock: bool,
    /// The most connections at a time, at least 1. Default: 32.
    pub pool_size: usize,
    /// The most connections that are kept while they are not used. Default: 32.
    pub pool_max_idle: usize,
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
            db: 0,
            username: None,
            password: None,
            socket_timeout: 3.0,
            socket_connect_timeout: None,
            redis_expiration_time: None,
            distributed_lock: false,
            lock_timeout: None,
            lock_sleep: 0.1,
            lock_blocking: true,
            lock_blocking_timeout: None,
            lock_prefix: "_lock".to_owned(),
            thread_local_lock: true,
            pool_size: 32,
            pool_max_idle: 32,
            retry_on_reconnect: true,
        }
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No password, nor a `url` that may hold one.
        let mut shown = f.debug_struct("RedisConfig");
        shown.field("host", &self.host).field("port", &self.port).field("db", &self.db);
        shown.field("distributed_lock", &self.distributed_lock).finish_non_exhaustive()
    }
}

impl RedisConfig {
    pub(crate) fn check(&self) -> Result<(), BackendError> {
        let prefix = &self.lock_prefix;
        let known = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
        if !(2..=10).contains(&prefix.len()) || !prefix.chars().all(known) {
            return Err(refused(
                "lock_prefix",
                format_args!("{prefix:?}"),
                "2 to 10 letters, digits or _-.:",
            ));
        }
        if self.pool_size == 0 {
            return Err(refused("pool_size", format_args!("0"), "at least 1"));
        }
        if self.redis_expiration_time == Some(0) {
            let must = "at least 1; leave it out for values that stay";
            return Err(refused("redis_expiration_time", format_args!("0"), must));
        }
        Ok(())
    }

    /// Where the server is, and as whom to log in.
    pub(crate) fn connection(&self) -> Result<ConnectionInfo, BackendError> {
        if let Some(url) = &self.url {
            // Neither the URL nor what the parser says of it is shown: it may have a password.
            return url.as_str().into_connection_info().map_err(|error| {
                let why = format!(
                    "argument \"url\" cannot be used ({:?}); it reads redis://user:password@host:port/db or \
                     unix:///path",
                    error.kind()
                );
                BackendError::new(ErrorKind::Configuration, why)
            });
        }
        let mut login = RedisConnectionInfo::default().set_db(self.db);
        if let Some(username) = &self.username {
            login = login.set_username(username);
        }
        if let Some(password) = &self.password {
            login = login.set_password(password);
        }
        let server = (self.host.as_str(), self.port).into_connection_info();
        let server = server.map_err(|error| {
            BackendError::new(ErrorKind::Configuration, format!("host {:?} cannot be used", self.host))
                .with_source(error)
        })?;
        Ok(server.set_redis_settings(login))
    }

    pub(crate) fn timeout(&self) -> Result<Duration, BackendError> {
        seconds("socket_timeout", self.socket_timeout)
    }

    pub(crate) fn connect_timeout(&self) -> Result<Duration, BackendError> {
        seconds("socket_connect_timeout", self.socket_connect_timeout.unwrap_or(self.socket_timeout))
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

    /// Behaviour: `redis-connect-defaults`
    #[test]
    fn without_arguments_it_is_the_server_of_this_machine() {
        let server = RedisConfig::default().connection().unwrap();
        assert_eq!(server.addr().to_string(), "localhost:6379");
        let login = server.redis_settings();
        assert_eq!((login.db(), login.username(), login.password()), (0, None, None));
    }

    /// Behaviour: `redis-connect-basics`, `redis-connect-password`, `redis-connect-username-password`
    #[test]
    fn server_and_login_are_as_given() {
        let mut config = RedisConfig { host: "h".into(), port: 7, db: 3, ..RedisConfig::default() };
        config.password = Some("0123".into());
        let server = config.connection().unwrap();
        assert_eq!((server.addr().to_string().as_str(), server.redis_settings().db()), ("h:7", 3));
        assert_eq!(server.redis_settings().username(), None);
        assert_eq!(server.redis_settings().password(), Some("0123"));
        config.username = Some("user".into());
        assert_eq!(config.connection().unwrap().redis_settings().username(), Some("user"));
    }

    /// Behaviour: `redis-connect-url-wins`
    #[test]
    fn a_url_takes_the_place_of_host_port_and_login() {
        let config = RedisConfig {
            url: Some("redis://u:p@there:5/2".into()),
            password: Some("other".into()),
            ..RedisConfig::default()
        };
        let server = config.connection().unwrap();
        assert_eq!(server.addr().to_string(), "there:5");
        assert_eq!((server.redis_settings().db(), server.redis_settings().password()), (2, Some("p")));
    }

    /// Behaviour: `redis-connect-socket-timeout`, `redis-connect-socket-timeout-1s`
    #[test]
    fn timeouts_are_as_given_and_never_none() {
        let config = RedisConfig { socket_timeout: 0.5, ..RedisConfig::default() };
        assert_eq!(config.timeout().unwrap(), Duration::from_millis(500));
        assert_eq!(config.connect_timeout().unwrap(), Duration::from_millis(500));
        assert_eq!(RedisConfig::default().timeout().unwrap(), Duration::from_secs(3));
        let error = RedisConfig { socket_timeout: 0.0, ..RedisConfig::default() }.timeout().unwrap_err();
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
        let error = config.connection().unwrap_err();
        assert!(!format!("{config:?} {error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn a_wrong_lock_prefix_is_refused() {
        for prefix in ["", "a", "elevenchars", "_lo k"] {
            let config = RedisConfig { lock_prefix: prefix.into(), ..RedisConfig::default() };
            assert!(config.check().is_err(), "{prefix:?}");
        }
        assert!(RedisConfig { lock_prefix: "_lok.".into(), ..RedisConfig::default() }.check().is_ok());
    }
}
