//! The conformance suite on `postgres.table`, linked and loaded, against a server that this program starts.

use std::env;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use dogpile::Registry;
use dogpile::sdk::lease::LeaseStore;
use dogpile::sdk::{Arguments, BackendError, CacheBackend};
use dogpile_conformance::{Setup, hold, run};
use postgres_dogpile::{Postgres, PostgresConfig};
use serde_json::{Value, json};

#[path = "support/installed.rs"]
mod installed;
#[path = "support/server.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "each test needs a part of it")]
mod server;

use server::PostgresServer;

/// The lease of the setups.
const LEASE: Duration = Duration::from_secs(1);

/// The timeout of calls to a server that the suite stops.
const TIMEOUT: Duration = Duration::from_secs(2);

static SERVER: LazyLock<PostgresServer> = LazyLock::new(PostgresServer::start);

/// The server that the level `frozen` stops, while other setups use theirs.
static FROZEN: LazyLock<PostgresServer> = LazyLock::new(PostgresServer::start);

/// The registry whose backend is the linked crate.
fn linked() -> Registry {
    Registry::new()
}

/// The registry whose backend is the library, which cargo builds beside this program.
fn loaded() -> Registry {
    let program = env::current_exe().expect("a test knows its binary");
    let name = format!("{}postgres_dogpile_dylib{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
    let library: PathBuf = program.with_file_name(name);
    let registry = Registry::empty();
    registry.add_library(&library).expect("the library opens");
    registry
}

fn build(registry: &Registry, arguments: &str) -> Result<Arc<dyn CacheBackend>, BackendError> {
    let arguments: Value = serde_json::from_str(arguments).expect("the arguments are JSON");
    let built = registry.build_backend("postgres.table", Arguments::from_serialize(arguments)?);
    built.map_err(|error| BackendError::new(dogpile::sdk::ErrorKind::Other, format!("{error:#}")))
}

/// Creates a setup on the server that other setups use too.
fn setup(name: &str, registry: fn() -> Registry, arguments: fn(&PostgresServer) -> Value) -> Setup {
    setup_on(&SERVER, name, registry, arguments)
}

/// Creates a setup whose mutexes have a lease. The child process that holds one is this program, which must use the
/// server of its parent.
fn setup_on(
    server: &'static LazyLock<PostgresServer>,
    name: &str,
    registry: fn() -> Registry,
    arguments: fn(&PostgresServer) -> Value,
) -> Setup {
    let registry = LazyLock::<Registry>::new(registry);
    let arguments = move || arguments(server).to_string();
    let setup = Setup::new(name, move || build(&registry, &arguments())).leased_by(LEASE, move |key| {
        let mut holder = Command::new(env::current_exe().expect("a test knows its binary"));
        holder.args(["hold", &arguments(), key]);
        holder
    });
    match cfg!(missing_postgres) {
        true => setup.ignored("PostgreSQL is not installed; `tests/setup/postgres` installs it"),
        false => setup,
    }
}

/// Returns the lease store of a linked backend on `server`.
fn lease_store(server: &PostgresServer) -> Result<Arc<dyn LeaseStore>, BackendError> {
    let mut config = PostgresConfig::default();
    config.url = server.socket_url();
    config.timeout = TIMEOUT;
    Ok(Postgres::start(&config)?.lease_store())
}

fn main() -> ExitCode {
    let given: Vec<String> = env::args().skip(1).collect();
    if let [word, arguments, key] = &given[..]
        && word == "hold"
    {
        let held = build(&linked(), arguments).map(|backend| hold(&*backend, key));
        return held.map_or(ExitCode::FAILURE, |held| held.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS));
    }
    run([
        setup("linked", linked, |server| json!({ "url": server.socket_url(), "lease": "1s" }))
            .with_lease_store(|| lease_store(&SERVER)),
        setup("loaded", loaded, |server| json!({ "url": server.tcp_url(server::PASSWORD), "lease": "1s" })),
        setup("narrow", linked, |server| {
            json!({
                "url": server.tcp_url("wrong"),
                "password": server::PASSWORD,
                "schema": "public",
                "table": "Odd \"name\"",
                "unlogged": false,
                "connections": 1,
                "threads": 1,
                "lease": 1,
                "time_to_live": "1h",
                "purge_interval": "1ms",
                "max_value_bytes": 2 << 20,
            })
        }),
        setup_on(
            &FROZEN,
            "frozen",
            linked,
            |server| json!({ "url": server.tcp_url(server::PASSWORD), "timeout": TIMEOUT.as_secs(), "lease": "1s" }),
        )
        .with_lease_store(|| lease_store(&FROZEN))
        .freezable(TIMEOUT * 2, || FROZEN.freeze(), || FROZEN.thaw()),
    ])
}
