//! What the conformance suite does not cover: servers that hang, restart, or refuse, and what the tables contain.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::sync::LazyLock;
use std::time::Duration;

use dogpile::sdk::{
    BackendError, Bytes, CacheBackend, CachedValue, CreationTime, Entry, Metadata, OnTokio, Payload,
    StoreOptions,
};
use postgres_dogpile::{Postgres, PostgresConfig};

#[path = "service/connections.rs"]
mod connections;
#[path = "service/faults.rs"]
mod faults;
#[path = "support/installed.rs"]
mod installed;
#[path = "service/purges.rs"]
mod purges;
#[path = "support/server.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "each test needs a part of it")]
mod server;
#[path = "service/tables.rs"]
mod tables;

use server::PostgresServer;

/// The server of the tests that neither stop nor restart it.
static SERVER: LazyLock<PostgresServer> = LazyLock::new(PostgresServer::start);

fn backend(url: &str, change: impl FnOnce(&mut PostgresConfig)) -> OnTokio<Postgres> {
    let mut config = PostgresConfig::default();
    config.url = url.to_owned();
    change(&mut config);
    Postgres::start(&config).unwrap()
}

/// Returns a backend over a table of its own on the shared server. Its sessions have the table's name too.
///
/// It does not purge, so that it has no other sessions than those of its calls.
fn on_table(table: &str) -> OnTokio<Postgres> {
    on_table_with(table, |_| {})
}

fn on_table_with(table: &str, change: impl FnOnce(&mut PostgresConfig)) -> OnTokio<Postgres> {
    backend(&named(table), |config| {
        config.table = table.to_owned();
        config.purge_interval = Duration::ZERO;
        change(config);
    })
}

/// Returns a URL of the shared server for sessions named `name`.
fn named(name: &str) -> String {
    format!("{}?application_name={name}", SERVER.socket_url())
}

fn value(bytes: &[u8]) -> CachedValue {
    let metadata = Metadata::new(CreationTime::from_seconds(1_700_000_000.0));
    CachedValue { payload: Payload::Bytes(Bytes::from(bytes)), metadata }
}

fn set(backend: &OnTokio<Postgres>, key: &str) -> Result<(), BackendError> {
    backend.set(key, value(b"x"), &StoreOptions::new())
}

fn kept_for(milliseconds: u64) -> StoreOptions {
    StoreOptions::new().with_keep_for(Duration::from_millis(milliseconds))
}

/// A call of a backend.
type Call = fn(&OnTokio<Postgres>) -> Result<(), BackendError>;

/// Each kind of call.
const CALLS: [(&str, Call); 9] = [
    ("get", |backend| backend.get("tea").map(drop)),
    ("set", |backend| set(backend, "tea")),
    ("delete", |backend| backend.delete("tea")),
    ("get_multi", |backend| backend.get_multi(&["tea", "milk"]).map(drop)),
    ("set_multi", |backend| backend.set_multi(vec![Entry::new("tea", value(b"x"))])),
    ("delete_multi", |backend| backend.delete_multi(&["tea", "milk"])),
    ("health", |backend| backend.health()),
    ("try_acquire", |backend| backend.get_mutex("tea").unwrap().try_acquire().map(drop)),
    ("locked", |backend| backend.get_mutex("tea").unwrap().locked().map(drop)),
];
