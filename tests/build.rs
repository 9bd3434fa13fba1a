//! Finds out which servers and tools the tests have on this machine.
//!
//! A test that needs one has an attribute such as `#[cfg_attr(missing_redis, ignore = "..")]`, so that it is shown as
//! ignored where the server is missing. With `DOGPILE_TESTS_NEED_SERVERS`, as in CI, no test is ignored, and those
//! whose server is missing fail.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const NEED_SERVERS: &str = "DOGPILE_TESTS_NEED_SERVERS";

/// What is looked for.
const PROGRAMS: [(&str, &str); 3] =
    [("redis", "redis-server"), ("valkey", "valkey-server"), ("memcached", "memcached")];

/// Folders whose changes may mean that a program was installed. Cargo does not notice what appears elsewhere.
const WATCHED: [&str; 3] = ["/usr/bin", "/usr/local/bin", "/usr/sbin"];

fn main() {
    for variable in [NEED_SERVERS, "PATH"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    // `tests/setup/python` touches this file when it has installed the Python packages.
    println!("cargo::rerun-if-changed=build.rs");
    for folder in WATCHED.iter().filter(|folder| Path::new(folder).is_dir()) {
        println!("cargo::rerun-if-changed={folder}");
    }
    for (name, program) in PROGRAMS {
        report(name, is_installed(program));
    }
    report("python", has_python());
    report("mount", can_mount());
}

/// Sets a `cfg` for the tests if `name` is missing.
fn report(name: &str, found: bool) {
    println!("cargo::rustc-check-cfg=cfg(missing_{name})");
    if !found && env::var_os(NEED_SERVERS).is_none() {
        println!("cargo::rustc-cfg=missing_{name}");
    }
}

/// The same folders as in `src/servers.rs`.
fn is_installed(program: &str) -> bool {
    let paths = env::var_os("PATH").unwrap_or_default();
    let sbin = Path::new("/usr/sbin").to_owned();
    env::split_paths(&paths).chain([sbin]).any(|folder| folder.join(program).is_file())
}

/// Whether `tests/setup/python` has installed Python with its packages, in the folder that cargo builds into.
fn has_python() -> bool {
    output().ancestors().any(|folder| folder.join("python/bin/python").is_file())
}

/// Whether this process may mount a disk, which the tests of full disks do.
fn can_mount() -> bool {
    let place = output().join("disk");
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).arg(&place).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    std::fs::create_dir_all(&place).is_ok()
        && run("mount", &["-t", "tmpfs", "-o", "size=4k", "tmpfs"])
        && run("umount", &["--lazy"])
}

fn output() -> PathBuf {
    PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"))
}
