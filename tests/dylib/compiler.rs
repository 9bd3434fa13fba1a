//! The compiler that built a library, and the warning about one with a known miscompilation.

use std::fs;
use std::path::PathBuf;

use dogpile::Registry;
use dogpile::registry::LibraryDescription;
use dogpile_tests::libraries::library;
use tempfile::{TempDir, tempdir};

use super::logging::Lines;

/// Returns a copy of the shelf's library that claims to be built with the release `claimed` of the compiler.
///
/// The text of the compiler is replaced in place, so that `claimed` must be as long as the real release.
fn claiming(claimed: &str) -> (TempDir, PathBuf) {
    let original = library("acme-dogpile-dylib");
    let compiler = LibraryDescription::read(&original, None).unwrap().compiler;
    let release = compiler.split(' ').nth(1).unwrap();
    let lie = compiler.replacen(release, claimed, 1);
    assert_eq!(lie.len(), compiler.len(), "{compiler}");
    let mut bytes = fs::read(original).unwrap();
    let places: Vec<usize> = bytes
        .windows(compiler.len())
        .enumerate()
        .filter_map(|(at, window)| (window == compiler.as_bytes()).then_some(at))
        .collect();
    assert!(!places.is_empty(), "the library does not contain {compiler:?}");
    places.into_iter().for_each(|at| bytes[at..at + lie.len()].copy_from_slice(lie.as_bytes()));
    let folder = tempdir().unwrap();
    let path = folder.path().join(format!("libclaiming_{}.so", claimed.replace('.', "_")));
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

#[test]
fn compiler_of_a_library_is_described() {
    let description = LibraryDescription::read(library("acme-dogpile-dylib"), None).unwrap();
    assert!(description.compiler.starts_with("rustc 1."), "{}", description.compiler);
}

#[test]
fn compiler_with_a_known_miscompilation_causes_a_warning() {
    let (_folder, path) = claiming("1.98.0");
    let miscompilation = LibraryDescription::read(&path, None).unwrap().miscompilation.unwrap();
    assert!(miscompilation.contains("rebuild the library with rustc 1.98.1 or later"), "{miscompilation}");
    let (lines, _kept) = Lines::record();
    Registry::empty().add_library(&path).unwrap();
    let logged = lines.take();
    let warning = logged.lines().find(|line| line.contains("WARN")).unwrap_or_default();
    assert!(warning.contains("libclaiming_1_98_0.so") && warning.contains(&miscompilation), "{logged}");
}

#[test]
fn repaired_compiler_causes_no_warning() {
    let (_folder, path) = claiming("1.98.1");
    assert_eq!(LibraryDescription::read(&path, None).unwrap().miscompilation, None);
    let (lines, _kept) = Lines::record();
    Registry::empty().add_library(&path).unwrap();
    let logged = lines.take();
    assert!(!logged.contains("WARN"), "{logged}");
}
