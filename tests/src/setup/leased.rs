//! Backends whose mutexes outlive a killed holder by at most one lease. The program `probe` is the holder.

use std::env;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use dogpile::Registry;
use dogpile::sdk::Arguments;
use dogpile_conformance::Setup;
use tempfile::TempDir;

use super::subject::as_backend_error;
use super::{memcached, redis};

/// Returns a setup for each kind of lease. They are linked only, because the holder is another process in any case.
pub(super) fn setups() -> Vec<Setup> {
    let seconds = Duration::from_secs;
    vec![
        leased("redis_lease", "dogpile.cache.redis", seconds(2), redis::missing(), || {
            redis::on_open_server("distributed_lock = true\nlock_timeout = 2\nlock_prefix = '_lease'")
        }),
        // memcached counts whole seconds, and the first one may be short.
        leased("memcached_lease", "dogpile.cache.memcached", seconds(4), memcached::missing(), || {
            memcached::three("distributed_lock = true\nlock_timeout = 4")
        }),
        leased("dbm_lease", "dogpile.cache.dbm", Duration::from_millis(100), None, || {
            static FOLDER: OnceLock<TempDir> = OnceLock::new();
            let folder = FOLDER.get_or_init(|| tempfile::tempdir().expect("a folder can be made"));
            // Use one file per test: two keys of one stripe exclude each other, so concurrent tests would, too.
            let file = format!("{:?}.db", thread::current().id());
            format!("filename = '{}'", folder.path().join(file).display())
        }),
    ]
}

/// Creates a setup whose `arguments` are TOML.
fn leased(
    name: &'static str,
    backend: &'static str,
    lease: Duration,
    missing: Option<String>,
    arguments: fn() -> String,
) -> Setup {
    let arguments = move || toml::from_str::<Arguments>(&arguments()).expect("the arguments are TOML");
    let build = move || Registry::global().build_backend(backend, arguments()).map_err(as_backend_error);
    let setup = Setup::new(name, build).leased_by(lease, move |key| {
        let mut holder = Command::new(probe());
        holder.args(["hold", backend, &arguments().to_json(), key]);
        holder
    });
    match missing {
        Some(why) => setup.ignored(why),
        None => setup,
    }
}

/// Returns the path of the program `probe`.
fn probe() -> std::path::PathBuf {
    let test = env::current_exe().expect("a test knows its binary");
    // Cargo keeps tests one folder below the programs of their package.
    let folder = test.parent().and_then(Path::parent).expect("cargo keeps tests in target/PROFILE/deps");
    folder.join("probe")
}
