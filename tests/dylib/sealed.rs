//! Pinned libraries are loaded from sealed memory, which holds the bytes that were compared with the pin.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use dogpile::Registry;
use dogpile::registry::Trust;
use dogpile::sdk::Arguments;
use dogpile_tests::libraries::library;
use sha2::{Digest, Sha256};
use tempfile::{TempDir, tempdir};

const SHELF: &str = "acme.shelf";

/// Returns a copy of the shelf's library with `ending` at its end, which the dynamic linker ignores, and its SHA-256.
fn copied(file: &str, ending: &str) -> (TempDir, PathBuf, String) {
    let folder = tempdir().unwrap();
    let path = folder.path().join(file);
    let mut bytes = fs::read(library("acme-dogpile-dylib")).unwrap();
    bytes.extend_from_slice(ending.as_bytes());
    fs::write(&path, &bytes).unwrap();
    let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    (folder, path, sha256)
}

fn pinning(file: &str, sha256: &str) -> Registry {
    let registry = Registry::empty();
    registry.restrict(Trust::default().pin(file, sha256).unwrap());
    registry
}

/// Returns the inodes and paths of the mappings whose path contains `text`.
fn mapped(text: &str) -> BTreeSet<(String, String)> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let fields = maps.lines().map(|line| line.splitn(6, ' ').collect::<Vec<_>>());
    let named = fields.filter(|fields| fields.len() == 6 && fields[5].contains(text));
    named.map(|fields| (fields[4].to_owned(), fields[5].trim().to_owned())).collect()
}

fn works(registry: &Registry) {
    let shelf = registry.build_backend(SHELF, Arguments::default()).unwrap();
    assert!(shelf.get("key").unwrap().is_none());
}

#[test]
fn pinned_library_is_mapped_from_memory_and_not_from_its_file() {
    let (folder, path, sha256) = copied("libsealed.so", "pinned");
    let registry = pinning("libsealed.so", &sha256);
    registry.add_library(&path).unwrap();
    works(&registry);
    let mapped = mapped("libsealed.so");
    assert_eq!(mapped.len(), 1, "{mapped:?}");
    assert_eq!(mapped.first().unwrap().1, "/memfd:libsealed.so (deleted)");

    // What happens to the file no longer matters.
    fs::write(&path, "exchanged").unwrap();
    drop(folder);
    works(&registry);
}

#[test]
fn libraries_with_the_same_contents_are_loaded_once() {
    let (_folder, path, sha256) = copied("libonce.so", "once");
    let second = tempdir().unwrap();
    let other = second.path().join("libonce_again.so");
    fs::copy(&path, &other).unwrap();
    for (file, path) in [("libonce.so", &path), ("libonce.so", &path), ("libonce_again.so", &other)] {
        let registry = pinning(file, &sha256);
        registry.add_library(path).unwrap();
        works(&registry);
    }
    let mapped = mapped("libonce");
    assert_eq!(mapped.len(), 1, "{mapped:?}");
}

#[test]
fn libraries_with_other_contents_are_loaded_side_by_side() {
    for ending in ["one", "two", "three"] {
        let (_folder, path, sha256) = copied("libbeside.so", ending);
        let registry = pinning("libbeside.so", &sha256);
        registry.add_library(&path).unwrap();
        works(&registry);
    }
    let mapped = mapped("libbeside.so");
    assert_eq!(mapped.len(), 3, "{mapped:?}");
}

#[test]
fn library_without_a_pin_is_mapped_from_its_file() {
    let (_folder, path, _) = copied("libunsealed.so", "free");
    let registry = Registry::empty();
    registry.add_library(&path).unwrap();
    works(&registry);
    let expected = path.canonicalize().unwrap();
    assert!(mapped("libunsealed.so").iter().all(|(_, path)| Path::new(path) == expected));
    assert!(!mapped("libunsealed.so").is_empty());
}
