//! The conformance suite on the file backends.
//!
//! Behavior: `dbm-default-file-locks`, `dbm-custom-lock-factory`, `dbm-both-locks-disabled`, `dbm-mutex-on-lock-file`,
//! `dbm-mutex-on-custom-lock`

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dogpile_conformance::Setup;
use dogpile_dbm::{
    DbmBackend, DbmConfig, LmdbBackend, LmdbConfig, LockFactory, LockKind, Lockfile, Synchronous, ThreadLock,
};
use dogpile_sdk::{BackendError, BytesBackend, Enveloped};

fn main() -> ExitCode {
    let dbm = |change: fn(&mut DbmConfig)| {
        move |path| {
            let mut config = DbmConfig::new(path);
            change(&mut config);
            DbmBackend::new(config)
        }
    };
    dogpile_conformance::run([
        setup("dbm", dbm(|_| ())),
        setup("dbm_with_one_stripe", dbm(|config| config.lock_stripes = 1)),
        setup("dbm_with_thread_locks", dbm(|config| config.lock_factory = LockKind::Thread)),
        setup("dbm_with_locks_of_the_users", |path| {
            let factory = LockFactory::new(|path| Ok(Box::new(ThreadLock::of(path.join("own")))));
            DbmBackend::with_lock_factory(DbmConfig::new(path), factory)
        }),
        setup(
            "dbm_without_locks",
            dbm(|config| {
                config.rw_lockfile = Some(Lockfile::Switch(false));
                config.dogpile_lockfile = Some(Lockfile::Switch(false));
            }),
        ),
        setup(
            "dbm_with_limits",
            dbm(|config| {
                config.max_entries = Some(2000);
                config.max_bytes = Some(16 << 20);
            }),
        ),
        setup("lmdb", |path| {
            let mut config = LmdbConfig::new(path);
            config.synchronous = Synchronous::Off;
            LmdbBackend::new(config)
        }),
    ])
}

fn setup<B: BytesBackend>(
    name: &str,
    build: impl Fn(PathBuf) -> Result<B, BackendError> + Send + Sync + 'static,
) -> Setup {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let built = AtomicU64::new(0);
    Setup::new(name, move || {
        // Cases run concurrently, and would see each other's locks on one file.
        let path = folder.path().join(format!("{}.db", built.fetch_add(1, Ordering::Relaxed)));
        Ok(Arc::new(Enveloped::new(build(path)?)))
    })
}
