//! The file backends.
//!
//! Each backend that is built has its own file. The linked and the loaded copy of the library would release each
//! other's locks on a common file.

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

/// Creates a subject whose `arguments` are TOML.
fn file(name: &'static str, backend: &'static str, arguments: &'static str) -> Subject {
    // Create the folder when first needed, and keep it as long as the subject.
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
