//! [`Settings`]: the settings of a region that its explanation is about.

use std::time::Duration;

use dogpile::Expiration;
use dogpile::sdk::seconds;
use serde::Deserialize;
use toml::{Table, Value};

/// The families of backends on servers: the beginnings of their names, and the arguments that limit how long the server
/// keeps a value, or that exclude creators in other processes.
const SERVERS: [(&[&str], &[&str]); 2] = [
    (&["dogpile.cache.redis", "dogpile.cache.valkey"], &["redis_expiration_time", "backend_expiration_time"]),
    (
        &[
            "dogpile.cache.memcached",
            "dogpile.cache.pymemcache",
            "dogpile.cache.pylibmc",
            "dogpile.cache.bmemcached",
        ],
        &["memcached_expire_time", "backend_expiration_time"],
    ),
];

/// The settings of a region that its explanation is about.
#[derive(Clone, Debug)]
pub(in crate::commands::check) struct Settings {
    pub(super) region: String,
    pub(super) backend: String,
    /// The age past which a value is stale. `None` means never.
    pub(super) expiration_time: Option<Duration>,
    pub(super) creation_wait_timeout: Duration,
    /// Whether callers that waited share the failure of the creator.
    pub(super) shares_failures: bool,
    pub(super) server_expiry: ServerExpiry,
    pub(super) creators: Creators,
    /// Whether the backend treats a server that is down as empty, as memcached's clients do.
    pub(super) hides_outages: bool,
}

/// Whether a server drops values by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands::check) enum ServerExpiry {
    /// The backend is not known to have a server.
    NoServer,
    /// It could, but is not told to.
    Never {
        /// The argument that would tell it.
        argument: &'static str,
    },
    After(Duration),
}

/// Which creators exclude each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Creators {
    /// Those of one process.
    OfAProcess,
    /// Those of all processes.
    OfAllProcesses,
    /// Those of all processes, if the backend has mutexes of its own. It is not one of ours.
    Unknown,
}

impl Settings {
    /// Returns the settings in `table`, the table of `region` in a valid configuration.
    pub(in crate::commands::check) fn of(region: &str, table: &Table) -> Self {
        let text = |name| table.get(name).and_then(Value::as_str);
        let backend = text("backend").unwrap_or_default().to_owned();
        let arguments = table.get("arguments").and_then(Value::as_table).cloned().unwrap_or_default();
        Settings {
            region: region.to_owned(),
            expiration_time: expiration(table.get("expiration_time")),
            creation_wait_timeout: duration(table.get("creation_wait_timeout"))
                .unwrap_or(Duration::from_secs(300)),
            shares_failures: text("on_creator_failure") == Some("share"),
            server_expiry: server_expiry(&backend, &arguments),
            creators: creators(&backend, &arguments),
            hides_outages: begins_with(&backend, SERVERS[1].0),
            backend,
        }
    }

    /// Returns whether another process can take a lock while its holder runs.
    pub(super) fn locks_can_be_lost(&self) -> bool {
        let has_server = self.server_expiry != ServerExpiry::NoServer;
        self.creators == Creators::Unknown || self.creators == Creators::OfAllProcesses && has_server
    }

    /// Returns how long the server keeps a value.
    pub(in crate::commands::check) fn server_expiry(&self) -> ServerExpiry {
        self.server_expiry
    }
}

fn begins_with(backend: &str, names: &[&str]) -> bool {
    names.iter().any(|name| backend == *name || backend.starts_with(&format!("{name}_")))
}

fn server_expiry(backend: &str, arguments: &Table) -> ServerExpiry {
    let Some((_, names)) = SERVERS.iter().find(|(backends, _)| begins_with(backend, backends)) else {
        return ServerExpiry::NoServer;
    };
    let given = names.iter().find_map(|name| duration(arguments.get(*name)));
    given.map_or(ServerExpiry::Never { argument: names[0] }, ServerExpiry::After)
}

fn creators(backend: &str, arguments: &Table) -> Creators {
    let is_on_server = SERVERS.iter().any(|(backends, _)| begins_with(backend, backends));
    match arguments.get("distributed_lock").and_then(Value::as_bool) {
        Some(true) if is_on_server => Creators::OfAllProcesses,
        None if is_on_server && backend.ends_with("_sentinel") => Creators::OfAllProcesses,
        _ if is_on_server || begins_with(backend, &["dogpile.cache.memory", "dogpile.cache.null"]) => {
            Creators::OfAProcess
        }
        _ if begins_with(backend, &["dogpile.cache.dbm", "dogpile.cache.lmdb"]) => Creators::OfAllProcesses,
        _ => Creators::Unknown,
    }
}

/// Returns the duration, if it is one.
pub(super) fn duration(value: Option<&Value>) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Read(#[serde(with = "seconds")] Duration);

    value?.clone().try_into().ok().map(|Read(duration)| duration)
}

/// Returns the age, or `None` for never.
pub(super) fn expiration(value: Option<&Value>) -> Option<Duration> {
    match value?.clone().try_into() {
        Ok(Expiration::After(age)) => Some(age),
        _ => None,
    }
}
