//! Finds out whether the tests have a PostgreSQL server on this machine.
//!
//! Without one, they are shown as ignored. With `DOGPILE_TESTS_NEED_SERVERS`, as in CI, they fail instead.

use std::env;
use std::path::Path;

#[path = "tests/support/installed.rs"]
mod installed;

const NEED_SERVERS: &str = "DOGPILE_TESTS_NEED_SERVERS";

fn main() {
    println!("cargo::rustc-check-cfg=cfg(missing_postgres)");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=tests/support/installed.rs");
    for variable in [NEED_SERVERS, "PATH"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    // Cargo does not notice programs that appear elsewhere.
    for folder in ["/usr/bin", "/usr/lib/postgresql"].iter().filter(|folder| Path::new(folder).is_dir()) {
        println!("cargo::rerun-if-changed={folder}");
    }
    if installed::programs().is_none() && env::var_os(NEED_SERVERS).is_none() {
        println!("cargo::rustc-cfg=missing_postgres");
    }
}
