//! Pins of libraries, and lists of names that are allowed or denied.

use std::fs;
use std::path::Path;

use dogpile::registry::{Manifest, RegistryError, Trust};
use dogpile::sdk::Arguments;
use dogpile::{Configuration, ConfigurationError, Registry};
use dogpile_tests::libraries::{install, library, write_manifest};
use tempfile::{TempDir, tempdir};

use super::{MEMORY, told};

const SHELF: &str = "acme.shelf";
const COUNTER: &str = "acme.hit_counter";

/// Returns a plugin folder with a copy of the shelf's library, and the copy's SHA-256. The copy has a name of its
/// own, so that no other test opens it.
fn installed(file: &str) -> (TempDir, String) {
    let folder = tempdir().unwrap();
    fs::copy(library("acme-dogpile-dylib"), folder.path().join(file)).unwrap();
    let mut manifest = Manifest::describe(&library("acme-dogpile-dylib")).unwrap();
    let sha256 = manifest.sha256.clone().unwrap();
    manifest.library = file.into();
    write_manifest(&manifest, folder.path());
    (folder, sha256)
}

/// Returns a registry with the restrictions `trust` and the plugins in `folder`.
fn trusting(trust: Trust, folder: &Path) -> Registry {
    let registry = Registry::empty();
    registry.restrict(trust);
    registry.add_folder(folder).unwrap();
    registry
}

fn refusal(registry: &Registry, name: &str) -> String {
    told(&registry.build_backend(name, Arguments::default()).unwrap_err())
}

#[cfg(target_os = "linux")]
fn is_open(file: &str) -> bool {
    fs::read_to_string("/proc/self/maps").unwrap().contains(file)
}

#[test]
fn pinned_library_is_opened() {
    let (folder, sha256) = installed("libpinned.so");
    let trust = Trust::default().pin("libpinned.so", &sha256.to_uppercase()).unwrap();
    trusting(trust, folder.path()).build_backend(SHELF, Arguments::default()).unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn library_with_another_pin_is_refused_unopened() {
    let (folder, sha256) = installed("libexchanged.so");
    let pinned = "0".repeat(64);
    let trust = Trust::default().pin("libexchanged.so", &pinned).unwrap();
    let told = refusal(&trusting(trust, folder.path()), SHELF);
    assert!(told.contains("libexchanged.so"), "{told}");
    assert!(
        told.contains(&format!("the SHA-256 is {sha256}, but [plugins.pins] requires {pinned}")),
        "{told}"
    );
    assert!(!is_open("libexchanged.so"), "it was opened");
}

#[test]
#[cfg(target_os = "linux")]
fn rewritten_manifest_does_not_override_a_pin() {
    let (folder, sha256) = installed("librewritten.so");
    let path = folder.path().join("librewritten.so");
    let mut bytes = fs::read(&path).unwrap();
    bytes.push(0);
    fs::write(&path, bytes).unwrap();
    let mut manifest = Manifest::read(&folder.path().join("acme-dogpile-dylib.dogpile.toml")).unwrap();
    manifest.sha256 = None;
    write_manifest(&manifest, folder.path());
    let trust = Trust::default().pin("librewritten.so", &sha256).unwrap();
    assert!(refusal(&trusting(trust, folder.path()), SHELF).contains("but [plugins.pins] requires"));
    assert!(!is_open("librewritten.so"), "it was opened");
}

#[test]
fn unpinned_library_is_refused_if_others_are_pinned() {
    let (folder, sha256) = installed("libunpinned.so");
    let trust = Trust::default().pin("libother.so", &sha256).unwrap();
    let registry = trusting(trust.clone(), folder.path());
    let says = "other libraries are pinned, but this one is not; add its SHA-256 to [plugins.pins]";
    assert!(refusal(&registry, SHELF).contains(says));
    let error = registry.add_library(library("dogpile-memory-dylib")).unwrap_err();
    assert!(told(&error).contains(says), "a library named in code too");

    let path = folder.path().join("libunpinned.so").canonicalize().unwrap();
    let trust = trust.pin(path.to_str().unwrap(), &sha256).unwrap();
    trusting(trust, folder.path()).build_backend(SHELF, Arguments::default()).unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn denied_name_is_refused_and_its_library_not_opened() {
    let (folder, _) = installed("libdenied.so");
    let registry = trusting(Trust::default().deny("acme.*").unwrap(), folder.path());
    let told = refusal(&registry, SHELF);
    assert!(told.starts_with("entry point \"acme.shelf\" of plugin acme-dogpile-dylib"), "{told}");
    assert!(told.ends_with("is forbidden: `deny` contains \"acme.*\"; see [plugins]"), "{told}");
    assert!(!is_open("libdenied.so"), "it was opened");
    assert!(registry.entry_points().iter().any(|entry| entry.name == SHELF), "it is listed still");
}

#[test]
fn name_that_is_not_allowed_is_refused_linked_or_loaded() {
    let (folder, _) = installed("liballowed.so");
    let trust = Trust::default().allow(SHELF).unwrap();
    let registry = Registry::new();
    registry.restrict(trust);
    registry.add_folder(folder.path()).unwrap();
    let shelf = registry.build_backend(SHELF, Arguments::default()).unwrap();
    let proxy = registry.build_proxy(COUNTER, Arguments::default(), shelf).unwrap_err();
    assert!(
        told(&proxy).contains("\"acme.hit_counter\"") && told(&proxy).contains("`allow` does not contain it")
    );
    assert!(refusal(&registry, MEMORY).contains("of the linked crate dogpile-memory"));
}

#[test]
fn later_restrictions_never_loosen_earlier_ones() {
    let registry = Registry::new();
    registry.restrict(Trust::default().allow("dogpile.cache.*").unwrap());
    registry.restrict(Trust::default().allow("*").unwrap().deny("dogpile.cache.null").unwrap());
    registry.build_backend(MEMORY, Arguments::default()).unwrap();
    assert!(refusal(&registry, "dogpile.cache.null").contains("`deny` contains \"dogpile.cache.null\""));
    registry.register_backend("tests.coded", |_| unreachable!("it is forbidden")).unwrap();
    assert!(refusal(&registry, "tests.coded").contains("of the application's code is forbidden"));
}

#[test]
fn configuration_pins_allows_and_denies() {
    let (folder, sha256) = installed("libconfigured.so");
    let document = |more: &str| {
        let path = folder.path().display();
        format!("[plugins]\npath = ['{path}']\n{more}\n[regions.shelf]\nbackend = 'acme.shelf'")
    };
    let configured = |more: &str| {
        let registry = Registry::empty();
        Configuration::from_toml_with(&document(more), registry).unwrap().regions().map(drop)
    };
    let refused = |more: &str| told(&configured(more).unwrap_err());
    let pin = |sha256: &str| format!("[plugins.pins]\n'libconfigured.so' = '{sha256}'");

    configured(&format!("allow = ['acme.*']\n{}", pin(&sha256))).unwrap();
    assert!(refused(&pin(&"0".repeat(64))).contains("but [plugins.pins] requires 0000"));
    assert!(refused("deny = ['acme.shelf']").contains("`deny` contains \"acme.shelf\""));
    assert!(refused("allow = ['dogpile.*']").contains("`allow` does not contain it"));
    assert!(refused("allow = []").contains("`allow` does not contain it"));
}

#[test]
fn invalid_trust_setting_is_reported_with_its_place() {
    let mistakes = [
        ("[plugins]\nallow = ['a b']", "line 2, column 9: invalid entry-point name \"a b\""),
        ("[plugins]\ndeny = 'acme.*'", "line 2, column 8: "),
        ("[plugins.pins]\n'libacme.so' = 'abc'", "invalid SHA-256 \"abc\""),
        ("[plugins]\npin = []", "did you mean \"pins\"?"),
    ];
    for (document, says) in mistakes {
        let error = Configuration::from_toml(document).unwrap_err();
        assert!(matches!(error, ConfigurationError::Document { .. }));
        assert!(told(&error).contains(says), "{}", told(&error));
    }
    let error = Trust::default().pin("libacme.so", "abc").unwrap_err();
    assert!(matches!(error, RegistryError::Pin { .. }));
    assert!(told(&error).starts_with("invalid pin of \"libacme.so\": invalid SHA-256 \"abc\""));
}

#[test]
#[cfg(unix)]
fn pinned_library_writable_by_others_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempdir().unwrap();
    let copy = install(&library("acme-dogpile-dylib"), folder.path());
    let sha256 = Manifest::describe(&copy).unwrap().sha256.unwrap();
    let file = copy.file_name().unwrap().to_str().unwrap();
    let registry = trusting(Trust::default().pin(file, &sha256).unwrap(), folder.path());
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(refusal(&registry, SHELF).contains("users other than its owner can write"));
}
