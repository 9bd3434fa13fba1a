//! The file backends: each backend that is built has a file of its own, since the linked and the loaded library, two
//! copies in one process, would undo each other's locks on one file.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use dogpile::sdk::Arguments;
use tempfile::TempDir;

use super::subject::Subject;

pub(super) fn subjects() -> Vec<Subject> {
    vec![
        dbm("dbm", ""),
        dbm("dbm_one_stripe", "lock_stripes = 1"),
        dbm("dbm_thread_locks", "lock_factory = 'thread'"),
        dbm("dbm_without_locks", "rw_lockfile = false\ndogpile_lockfile = false"),
        file("lmdb", "dogpile.cache.lmdb", "synchronous = 'off'"),
    ]
}

fn dbm(name: &'static str, arguments: &'static str) -> Subject {
    file(name, "dogpile.cache.dbm", arguments)
}

/// `arguments` is TOML.
fn file(name: &'static str, backend: &'static str, arguments: &'static str) -> Subject {
    // Made when first asked for, and kept as long as the subject.
    let folder: OnceLock<TempDir> = OnceLock::new();
    let built = AtomicU64::new(0);
    let arguments = Arc::new(move || -> Arguments {
        let folder = folder.get_or_init(|| tempfile::tempdir().expect("a folder can be made"));
        let filename = folder.path().join(format!("{}.db", built.fetch_add(1, Ordering::Relaxed)));
        toml::from_str(&format!("filename = '{}'\n{arguments}", filename.display()))
            .expect("the arguments are TOML")
    });
    Subject { name, package: "dogpile-dbm-dylib", backend, arguments, missing: None }
}
