//! The conformance suite on the file backend.
//!
//! Behaviour: `dbm-default-file-locks`, `dbm-both-locks-disabled`, `dbm-mutex-on-lock-file`

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dogpile_conformance::Setup;
use dogpile_dbm::{DbmBackend, DbmConfig, Lockfile};
use dogpile_sdk::Enveloped;

fn main() -> ExitCode {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let setup = |name: &str, change: fn(&mut DbmConfig)| {
        let (folder, name, built) = (folder.path().to_owned(), name.to_owned(), AtomicU64::new(0));
        Setup::new(name.clone(), move || {
            // Tests run side by side, and would find each other's locks on one file.
            let number = built.fetch_add(1, Ordering::Relaxed);
            let mut config = DbmConfig::new(folder.join(format!("{name} {number}.db")));
            change(&mut config);
            Ok(Arc::new(Enveloped::new(DbmBackend::new(config)?)))
        })
    };
    dogpile_conformance::run([
        setup("dbm", |_| ()),
        setup("dbm_with_one_stripe", |config| config.lock_stripes = 1),
        setup("dbm_without_locks", |config| {
            config.rw_lockfile = Some(Lockfile::Switch(false));
            config.dogpile_lockfile = Some(Lockfile::Switch(false));
        }),
    ])
}
