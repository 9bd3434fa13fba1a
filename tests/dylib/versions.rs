//! Plugins that are older or newer than their host.

use std::path::Path;
use std::process::Command;

use dogpile_tests::libraries::{Variant, library};

use super::MEMORY;

const ASYNC: &str = "fixture.async";

/// Returns the output of the program `probe`, which is a host.
fn probe(program: impl AsRef<Path>, command: &str, library: &Path, backend: &str) -> String {
    let arguments = [command, library.to_str().unwrap(), backend];
    let output = Command::new(program.as_ref()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn newer_plugin_works_in_older_host() {
    let newer = Variant::Next.library("dogpile-memory-dylib");
    let printed = probe(env!("CARGO_BIN_EXE_probe"), "use", &newer, MEMORY);
    assert_eq!(printed, "made Some(\"made\")\n");
}

#[test]
fn older_plugin_works_in_newer_host() {
    let (newer_host, older) = (Variant::Next.program("probe"), library("dogpile-memory-dylib"));
    assert_eq!(probe(newer_host, "use", &older, MEMORY), "made Some(\"made\")\n");
}

#[test]
fn two_builds_of_one_plugin_work_side_by_side() {
    let (newer_host, older) = (Variant::Next.program("probe"), library("dogpile-memory-dylib"));
    let newer = Variant::Next.library("dogpile-memory-dylib");
    for plugin in [&older, &newer] {
        assert_eq!(probe(&newer_host, "use", plugin, MEMORY), "made Some(\"made\")\n");
    }
}

/// A table of an older plugin lacks the trial methods. The host falls back for them.
#[test]
fn missing_method_of_older_plugin_has_its_fallback() {
    let newer_host = Variant::Next.program("probe");
    let (older, newer) = (library("fixture-asynchronous"), Variant::Next.library("fixture-asynchronous"));
    assert_eq!(probe(&newer_host, "generation", &older, ASYNC), "generation 1\noperations 1\n");
    assert_eq!(probe(&newer_host, "generation", &newer, ASYNC), "generation 2\noperations 2\n");
}

/// Store options are a table of the host. A plugin reads those that both know, and the default of all others.
#[test]
fn store_options_and_asynchronous_calls_work_across_versions() {
    let (host, newer_host) = (Path::new(env!("CARGO_BIN_EXE_probe")), Variant::Next.program("probe"));
    let (older, newer) = (library("fixture-asynchronous"), Variant::Next.library("fixture-asynchronous"));
    for (host, plugin, received) in [
        (host, &older, "keep_for: Some(5s), fence: None"),
        (host, &newer, "keep_for: Some(5s), fence: None, trial: None"),
        (&newer_host, &older, "keep_for: Some(5s), fence: None"),
        (&newer_host, &newer, "keep_for: Some(5s), fence: None, trial: Some(7)"),
    ] {
        let printed = probe(host, "async", plugin, ASYNC);
        assert_eq!(printed, format!("made\nStoreOptions {{ {received} }}\n"));
    }
}
