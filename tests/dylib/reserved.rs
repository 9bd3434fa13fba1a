//! Names of dogpile's own: a linked one comes first, and a library needs a permission for the others.

use std::fs;

use dogpile::registry::{LibraryDescription, Manifest, Origin, RegistryError, Trust};
use dogpile::sdk::Arguments;
use dogpile::{Configuration, Registry};
use dogpile_tests::libraries::{install, library};
use tempfile::{TempDir, tempdir};

use super::logging::Lines;
use super::{MEMORY, loaded, told};

/// Returns a plugin folder with our memory plugin, whose names the test binary links, too.
fn folder_with_memory() -> TempDir {
    let folder = tempdir().unwrap();
    install(&library("dogpile-memory-dylib"), folder.path());
    folder
}

#[test]
fn linked_name_comes_before_a_loaded_one_with_a_warning() {
    let folder = folder_with_memory();
    let (lines, _kept) = Lines::record();
    let registry = Registry::new();
    registry.restrict(Trust::default().reserved("dogpile.*").unwrap());
    for _ in 0..2 {
        registry.add_folder(folder.path()).unwrap();
        registry.build_backend(MEMORY, Arguments::default()).unwrap();
    }
    let logged = lines.take();
    let warnings: Vec<&str> =
        logged.lines().filter(|line| line.contains("\"dogpile.cache.memory\"")).collect();
    assert_eq!(warnings.len(), 1, "{logged}");
    let library = folder.path().canonicalize().unwrap().join("libdogpile_memory_dylib.so");
    for part in ["WARN", library.to_str().unwrap(), "the linked crate dogpile-memory 0.1.0 provides it, too"]
    {
        assert!(warnings[0].contains(part), "{part:?} is missing: {logged}");
    }
    let shadowed = registry.problems();
    let of_memory =
        |problem: &RegistryError| matches!(problem, RegistryError::Shadowed { name, .. } if name == MEMORY);
    assert_eq!(shadowed.iter().filter(|problem| of_memory(problem)).count(), 1);
    let listed = registry.entry_points();
    let memory: Vec<_> = listed.iter().filter(|entry| entry.name == MEMORY).collect();
    assert!(matches!(memory[..], [entry] if matches!(entry.origin, Origin::Linked { .. })), "{memory:?}");
}

#[test]
fn name_registered_in_code_comes_before_a_loaded_one() {
    let folder = tempdir().unwrap();
    install(&library("acme-dogpile-dylib"), folder.path());
    let register = |registry: &Registry| {
        registry.register_backend("acme.shelf", |_| Ok(loaded("dogpile-memory-dylib", MEMORY))).unwrap();
    };
    let (before, after) = (Registry::empty(), Registry::empty());
    register(&before);
    before.add_folder(folder.path()).unwrap();
    after.add_folder(folder.path()).unwrap();
    register(&after);
    for registry in [before, after] {
        registry.build_backend("acme.shelf", Arguments::default()).unwrap();
        let listed = registry.entry_points();
        let shelf: Vec<_> = listed.iter().filter(|entry| entry.name == "acme.shelf").collect();
        assert!(matches!(shelf[..], [entry] if entry.origin == Origin::Code), "{shelf:?}");
        let problems = registry.problems();
        let [problem] = &problems[..] else { panic!("{problems:?}") };
        assert!(
            told(&**problem).contains("is ignored: the application's code provides it, too"),
            "{problem}"
        );
    }
}

#[test]
fn reserved_name_of_a_library_is_refused_without_permission() {
    let folder = folder_with_memory();
    let registry = Registry::empty();
    registry.add_folder(folder.path()).unwrap();
    let error = registry.build_backend(MEMORY, Arguments::default()).unwrap_err();
    assert!(matches!(error, RegistryError::Reserved { .. }));
    let text = told(&error);
    for part in ["dogpile-memory-dylib", ".so", "pin it or list the name in [plugins] reserved"] {
        assert!(text.contains(part), "{part:?} is missing: {text}");
    }
    assert!(registry.problems().iter().any(|problem| told(&**problem) == text), "doctor lists it");

    registry.restrict(Trust::default().reserved("dogpile.cache.memory").unwrap());
    registry.build_backend(MEMORY, Arguments::default()).unwrap();
    let null = registry.build_backend("dogpile.cache.null", Arguments::default()).unwrap_err();
    assert!(matches!(null, RegistryError::Reserved { .. }), "only the listed name is permitted");
}

#[test]
fn library_named_in_code_needs_the_permission_too() {
    let registry = Registry::empty();
    registry.add_library(library("dogpile-memory-dylib")).unwrap();
    let error = registry.build_backend(MEMORY, Arguments::default()).unwrap_err();
    assert!(matches!(error, RegistryError::Reserved { .. }));
}

#[test]
fn pinned_library_may_provide_reserved_names() {
    let folder = folder_with_memory();
    let manifest = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let manifest = manifest.into_iter().find(|path| path.to_string_lossy().ends_with(".toml")).unwrap();
    let Manifest { sha256, library, .. } = Manifest::read(&manifest).unwrap();
    let path = folder.path().canonicalize().unwrap().join(&library);
    for file in [library.to_str().unwrap(), path.to_str().unwrap()] {
        let registry = Registry::empty();
        registry.restrict(Trust::default().pin(file, sha256.as_deref().unwrap()).unwrap());
        registry.add_folder(folder.path()).unwrap();
        registry.build_backend(MEMORY, Arguments::default()).unwrap();
    }
}

/// A pin may name a link to the library.
#[test]
fn pin_of_a_link_permits_reserved_names() {
    let folder = tempdir().unwrap();
    let link = folder.path().join("libacme.so");
    std::os::unix::fs::symlink(library("dogpile-memory-dylib"), &link).unwrap();
    let sha256 = LibraryDescription::read(&link, None).unwrap().sha256;
    for file in ["libacme.so", link.to_str().unwrap()] {
        let registry = Registry::empty();
        registry.restrict(Trust::default().pin(file, &sha256).unwrap());
        registry.add_library(&link).unwrap();
        registry.build_backend(MEMORY, Arguments::default()).unwrap();
    }
}

#[test]
fn configuration_permits_reserved_names() {
    let folder = folder_with_memory();
    let configured = |more: &str| {
        let path = folder.path().display();
        let document =
            format!("[plugins]\npath = ['{path}']\n{more}\n[regions.tested]\nbackend = '{MEMORY}'");
        Configuration::from_toml_with(&document, Registry::empty()).unwrap().regions().map(drop)
    };
    configured("reserved = ['dogpile.cache.memory']").unwrap();
    configured("reserved = ['dogpile.*']").unwrap();
    assert!(told(&configured("reserved = ['dogpile.proxy.*']").unwrap_err()).contains("[plugins] reserved"));
    assert!(told(&configured("").unwrap_err()).contains("[plugins] reserved"));
    let error = Configuration::from_toml("[plugins]\nreserved = ['acme.*']").unwrap_err();
    let text = told(&error);
    assert!(text.contains("line 2") && text.contains("invalid reserved name \"acme.*\""), "{text}");
}
