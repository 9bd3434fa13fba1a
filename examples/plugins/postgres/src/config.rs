//! [`PostgresConfig`]: the arguments of `postgres.table`.

use std::fmt;
use std::time::Duration;

use dogpile_sdk::{BackendError, bounds, seconds};
use serde::Deserialize;

/// Arguments of the `postgres.table` entry point. Times are seconds or durations such as `"5m"`.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PostgresConfig {
    /// Where the server is: `"postgresql://USER@HOST:PORT/DATABASE"`, or `"host=HOST user=USER dbname=DATABASE"`.
    /// Required.
    pub url: String,
    /// Password of the user. Default: that of `url`.
    pub password: Option<String>,
    /// Schema of the tables. Default: the first of the user's `search_path`.
    pub schema: Option<String>,
    /// Name of the table of values, of 1 to 50 bytes. The locks are in another one, with `_locks` added to its name.
    /// Default: `dogpile_cache`.
    pub table: String,
    /// Create the tables if they are missing. Default: true.
    pub create_tables: bool,
    /// Create them as `UNLOGGED` tables, which are faster. The server empties them after a crash. Default: true.
    pub unlogged: bool,
    /// Number of connections for values, from 1 to 64. Each is shared by any number of calls. There is one more for
    /// locks, and one while expired rows are removed. Default: 2.
    pub connections: usize,
    /// Number of threads that serve the calls. Default: 2.
    pub threads: usize,
    /// Time limit of a call, which includes connecting. Default: 3.
    #[serde(with = "seconds")]
    pub timeout: Duration,
    /// Lifetime of values that are stored without one. Default: none, so that they stay.
    #[serde(with = "seconds")]
    pub time_to_live: Option<Duration>,
    /// Shortest time between two purges of expired rows by one process. 0 disables them. Default: 600.
    #[serde(with = "seconds")]
    pub purge_interval: Duration,
    /// Exclude creators in other processes with a lock on the server. Default: true.
    pub distributed_lock: bool,
    /// Time after which the lock of a dead process is free, at least 0.1. Locks are renewed while their creators run.
    /// Default: 30.
    #[serde(with = "seconds")]
    pub lease: Duration,
    /// Most bytes of a value, at most 268435456 (256 MiB). A larger one is refused. Default: 67108864 (64 MiB).
    pub max_value_bytes: usize,
}

impl Default for PostgresConfig {
    fn default() -> Self {
        PostgresConfig {
            url: String::new(),
            password: None,
            schema: None,
            table: "dogpile_cache".to_owned(),
            create_tables: true,
            unlogged: true,
            connections: 2,
            threads: 2,
            timeout: Duration::from_secs(3),
            time_to_live: None,
            purge_interval: Duration::from_secs(600),
            distributed_lock: true,
            lease: Duration::from_secs(30),
            max_value_bytes: 64 << 20,
        }
    }
}

/// Omits `password`, and `url`, which may contain one.
impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("PostgresConfig");
        shown.field("schema", &self.schema).field("table", &self.table).field("timeout", &self.timeout);
        shown.field("distributed_lock", &self.distributed_lock).finish_non_exhaustive()
    }
}

impl PostgresConfig {
    /// Returns an error that names the argument if one is out of its bounds. `Server::new` checks `url`.
    pub(crate) fn check(&self) -> Result<(), BackendError> {
        check_name("table", &self.table)?;
        if let Some(schema) = &self.schema {
            check_name("schema", schema)?;
        }
        bounds::number("connections", self.connections, 1, 64)?;
        bounds::number("threads", self.threads, 1, 64)?;
        bounds::number("max_value_bytes", self.max_value_bytes, 1, 256 << 20)?;
        bounds::timeout("timeout", self.timeout)?;
        if let Some(live) = self.time_to_live {
            bounds::timeout("time_to_live", live)?;
        }
        bounds::pause("purge_interval", self.purge_interval)?;
        bounds::between("lease", self.lease, Duration::from_millis(100), bounds::LONGEST)?;
        Ok(())
    }
}

/// A name has at most 63 bytes on the server, of which suffixes need some.
fn check_name(argument: &str, name: &str) -> Result<(), BackendError> {
    if (1..=50).contains(&name.len()) && !name.contains('\0') {
        return Ok(());
    }
    Err(bounds::invalid(
        argument,
        format_args!("{name:?} is not a valid name; use 1 to 50 bytes other than zero"),
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use super::*;

    fn refused(change: fn(&mut PostgresConfig)) -> String {
        let mut config = PostgresConfig::default();
        change(&mut config);
        config.check().unwrap_err().to_string()
    }

    #[test]
    fn arguments_out_of_bounds_are_named() {
        assert_eq!(
            refused(|config| config.timeout = Duration::ZERO),
            "invalid argument \"timeout\": 0s is too short; use at least 1ms"
        );
        assert_eq!(
            refused(|config| config.lease = Duration::from_millis(99)),
            "invalid argument \"lease\": 99ms is too short; use at least 100ms"
        );
        assert!(refused(|config| config.connections = 0).starts_with("invalid argument \"connections\": 0 "));
        assert!(refused(|config| config.threads = 65).starts_with("invalid argument \"threads\": 65 "));
        assert!(refused(|config| config.max_value_bytes = 1 << 30).contains("at most 268435456"));
        assert!(
            refused(|config| config.table = "t".repeat(51)).contains("use 1 to 50 bytes other than zero")
        );
        assert!(refused(|config| config.schema = Some(String::new())).contains("\"schema\": \"\" is not"));
    }

    #[test]
    fn debug_output_omits_secrets() {
        let config = PostgresConfig {
            url: "postgresql://tea:s3cret@db".to_owned(),
            password: Some("s3cret".to_owned()),
            ..PostgresConfig::default()
        };
        assert!(!format!("{config:?}").contains("s3cret"));
    }
}
