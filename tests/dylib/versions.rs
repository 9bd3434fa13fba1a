//! Plugins older and newer than their host.

use std::path::Path;
use std::process::Command;

use dogpile_tests::libraries::{Variant, library};

use super::MEMORY;

/// What the program `probe` prints, given `arguments`.
fn probe(program: impl AsRef<Path>, arguments: &[&str]) -> String {
    let output = Command::new(program.as_ref()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_newer_plugin_works_in_an_older_host() {
    let newer = Variant::Next.library("dogpile-memory-dylib");
    let said = probe(env!("CARGO_BIN_EXE_probe"), &["use", newer.to_str().unwrap(), MEMORY]);
    assert_eq!(said, "made Some(\"made\")\n");
}

#[test]
fn an_older_plugin_works_in_a_newer_host_which_falls_back_for_what_is_not_there() {
    let (newer_host, older) = (Variant::Next.program("probe"), library("dogpile-memory-dylib"));
    let older = older.to_str().unwrap();
    assert_eq!(probe(&newer_host, &["use", older, MEMORY]), "made Some(\"made\")\n");
    assert_eq!(probe(&newer_host, &["generation", older, MEMORY]), "generation 1\n");
}

#[test]
fn two_builds_of_one_plugin_work_side_by_side() {
    let (newer_host, older) = (Variant::Next.program("probe"), library("dogpile-memory-dylib"));
    let newer = Variant::Next.library("dogpile-memory-dylib");
    for plugin in [&older, &newer] {
        let said = probe(&newer_host, &["use", plugin.to_str().unwrap(), MEMORY]);
        assert_eq!(said, "made Some(\"made\")\n");
    }
}
