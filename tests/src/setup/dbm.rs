//! The file backend: each backend that is built has a file of its own name, all in one folder.

use std::sync::{Arc, OnceLock};

use dogpile::sdk::Arguments;
use tempfile::TempDir;

use super::Subject;

pub(super) fn subjects() -> Vec<Subject> {
    vec![
        dbm("dbm", ""),
        dbm("dbm_one_stripe", "lock_stripes = 1"),
        dbm("dbm_without_locks", "rw_lockfile = false\ndogpile_lockfile = false"),
    ]
}

/// `arguments` is TOML.
fn dbm(name: &'static str, arguments: &'static str) -> Subject {
    // Made when first asked for, and kept for the subject's setups, of which each may build its backend many times.
    let folder: OnceLock<TempDir> = OnceLock::new();
    let arguments = Arc::new(move || -> Arguments {
        let folder = folder.get_or_init(|| tempfile::tempdir().expect("a folder can be made"));
        let filename = folder.path().join("cache.db");
        toml::from_str(&format!("filename = '{}'\n{arguments}", filename.display()))
            .expect("the arguments are TOML")
    });
    Subject { name, package: "dogpile-dbm-dylib", backend: "dogpile.cache.dbm", arguments, missing: None }
}
