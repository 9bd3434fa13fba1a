//! What is known about a backend from its name and arguments, without opening it.

use std::time::Duration;

use dogpile::sdk::seconds;
use serde::Deserialize;
use toml::{Table, Value};

/// The backends on Redis and Valkey servers, without the endings for Sentinel and Cluster.
const REDIS: &[&str] = &["dogpile.cache.redis", "dogpile.cache.valkey"];
/// The backends on memcached servers.
const MEMCACHED: &[&str] = &[
    "dogpile.cache.memcached",
    "dogpile.cache.pymemcache",
    "dogpile.cache.pylibmc",
    "dogpile.cache.bmemcached",
];
/// The backends that live within one process.
const IN_PROCESS: &[&str] = &["dogpile.cache.memory", "dogpile.cache.null"];
/// The backends whose files have locks.
const FILES: &[&str] = &["dogpile.cache.dbm", "dogpile.cache.lmdb"];

/// Whether a server drops values by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands::check) enum ServerExpiry {
    /// The backend is not known to have a server.
    NoServer,
    /// It could, but is not configured to.
    Never {
        /// The argument that would configure it.
        argument: &'static str,
    },
    /// It does, after this time.
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

/// Returns whether `backend` is one of `names`, with any ending.
fn is_one_of(backend: &str, names: &[&str]) -> bool {
    names
        .iter()
        .any(|name| backend.strip_prefix(name).is_some_and(|end| end.is_empty() || end.starts_with('_')))
}

/// Returns whether the server of `backend` drops values by itself.
pub(super) fn server_expiry(backend: &str, arguments: &Table) -> ServerExpiry {
    let argument = match backend {
        _ if is_one_of(backend, REDIS) => "redis_expiration_time",
        _ if is_one_of(backend, MEMCACHED) => "memcached_expire_time",
        _ => return ServerExpiry::NoServer,
    };
    // The second name is that of oslo.cache.
    let given =
        [argument, "backend_expiration_time"].into_iter().find_map(|name| duration(arguments.get(name)?));
    given.map_or(ServerExpiry::Never { argument }, ServerExpiry::After)
}

/// Returns which creators exclude each other.
pub(super) fn creators(backend: &str, arguments: &Table) -> Creators {
    let is_on_server = is_one_of(backend, REDIS) || is_one_of(backend, MEMCACHED);
    let has_locks = arguments.get("distributed_lock").and_then(Value::as_bool);
    match backend {
        _ if is_on_server && has_locks.unwrap_or(backend.ends_with("_sentinel")) => Creators::OfAllProcesses,
        _ if is_on_server || is_one_of(backend, IN_PROCESS) => Creators::OfAProcess,
        _ if is_one_of(backend, FILES) => Creators::OfAllProcesses,
        _ => Creators::Unknown,
    }
}

/// Returns whether the backend itself treats a server that is down as empty, as memcached's clients do.
pub(super) fn hides_outages(backend: &str) -> bool {
    is_one_of(backend, MEMCACHED)
}

/// Returns the duration, if `value` is one.
pub(super) fn duration(value: &Value) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Read(#[serde(with = "seconds")] Duration);

    value.clone().try_into().ok().map(|Read(duration)| duration)
}
