//! Records the compiler's version, which a plugin library reports to its host.

use std::env;
use std::process::Command;

fn main() {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().ok();
    let version = version.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    let version = if version.trim().is_empty() { "an unknown compiler" } else { version.trim() };
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=DOGPILE_COMPILER={version}");
}
