//! `dogpile plugins new`: the crate that it writes is built, tested, packed, verified, and used.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::{Answer, Place, fits_a_terminal};

const NAME: &str = "acme-shelf";

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}

/// The workspace's target folder, which has most of the crate's dependencies already.
fn target() -> PathBuf {
    let binary = std::env::current_exe().unwrap();
    binary.ancestors().nth(3).expect("cargo keeps tests in target/PROFILE/deps").to_owned()
}

/// Runs cargo in the crate `folder`, offline and with the workspace's settings.
fn cargo(folder: &Path, arguments: &[&str]) -> Answer {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).current_dir(folder);
    command.env("CARGO_TARGET_DIR", target()).env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
    // The folder is new each time, so that nothing of a build is used again.
    command.env("CARGO_INCREMENTAL", "0");
    Answer::of(&command.output().unwrap())
}

/// Writes the crate into `place`, with the versions of dependencies that this workspace uses.
fn written(place: &Place) -> PathBuf {
    let checkout = workspace().to_str().unwrap();
    let told = place.run(&["plugins", "new", NAME, "--checkout", checkout]).good();
    fits_a_terminal(&told);
    fs::copy(workspace().join("Cargo.lock"), place.path("acme-shelf/Cargo.lock")).unwrap();
    place.path(NAME)
}

#[test]
fn new_crate_builds_passes_its_tests_and_is_configurable() {
    let place = Place::new();
    let folder = written(&place);
    cargo(&folder, &["fmt", "--all", "--check"]).good();
    let tested = cargo(&folder, &["test", "--offline", "--test", "conformance"]).good();
    assert!(tested.contains("test folder::store::stored_value_is_read_back"), "{tested}");
    for proxy in ["checksum", "slow_log"] {
        assert!(tested.contains(&format!("test {proxy}::store::stored_value_is_read_back")), "{tested}");
    }
    assert!(tested.contains(" 0 failed"), "{tested}");
    cargo(&folder, &["build", "--offline", "--workspace"]).good();
    pack(&place);
    verify(&place);
    stack(&place);
}

fn pack(place: &Place) {
    let library = target().join("debug/libacme_shelf_dylib.so");
    let library = library.to_str().unwrap();
    let manifest = "acme-shelf/acme-shelf.dogpile.toml";
    place.run(&["plugins", "pack", library, "--manifest", manifest, "--out", "plugins"]).good();
    let (code, listed) = place.json(&["plugins", "list", "--folder", "plugins"]);
    let entries = listed["entry_points"].as_array().unwrap();
    let ours: Vec<_> = entries.iter().filter(|entry| entry["package"] == NAME).collect();
    assert_eq!((code, ours.len()), (0, 3), "{listed:#}");
    assert!(ours.iter().all(|entry| entry["state"] == "ok"), "{ours:#?}");
}

fn verify(place: &Place) {
    let manifest = "plugins/acme-shelf.dogpile.toml";
    let (code, report) =
        place.json(&["plugins", "verify", manifest, "--arguments", "acme-shelf/verify.toml"]);
    let failed: Vec<_> = report["setups"].as_array().unwrap().iter().map(|it| it["failed"].clone()).collect();
    assert_eq!((code, failed), (0, vec![json!(0); 3]), "{report:#}");
}

/// The proxy around the backend, from a file. One process stores a value, and another reads it.
fn stack(place: &Place) {
    place.write(
        "regions.toml",
        "[plugins]\npath = ['plugins']\n\n[regions.pages]\nbackend = 'acme_shelf.folder'\nkey_mangler = 'sha1'\n\
         wrap = [{ name = 'acme_shelf.slow_log', arguments = { slower_than = '50ms' } }, 'acme_shelf.checksum']\n\
         arguments = { folder = 'kept' }\n",
    );
    place.run(&["check"]).good();
    place.run(&["set", "pages", "some_key", r#"{"title": "tea"}"#]).good();
    let (code, found) = place.json(&["get", "pages", "some_key"]);
    assert_eq!((code, &found["value"]), (0, &json!({ "title": "tea" })));
    let (_, stored) = place.json(&["inspect", "pages", "some_key"]);
    assert_eq!(stored["mangled_key"], "53def077a4264bd3183d4eb21b1f56f883e1b572");
    let value = &stored["value"];
    assert_eq!((&value["preview"], &value["size"]), (&json!(r#"{"title":"tea"}"#), &json!(15)));
    assert!(value["age_seconds"].as_f64().unwrap() >= 0.0 && value["fresh"] == true, "{stored}");
    fits_a_terminal(&place.run(&["inspect", "pages", "some_key"]).good());
    place.run(&["set", "pages", "number", "17", "--text"]).good();
    assert_eq!(place.json(&["get", "pages", "number"]).1["value"], "17");
    assert_eq!(place.run(&["get", "pages", "number"]).good(), "17\n");
    place.run(&["delete", "pages", "some_key"]).good();
    assert_eq!(place.json(&["get", "pages", "some_key"]), (1, missing("some_key")));
}

fn missing(key: &str) -> Value {
    json!({ "key": key, "found": false, "reason": "nothing is stored under this key", "value": null, "age_seconds": null })
}

#[test]
fn new_crate_uses_published_versions_and_an_empty_folder() {
    let place = Place::new();
    place.run(&["plugins", "new", "acme", "--into", "here"]).good();
    let manifest = fs::read_to_string(place.path("here/Cargo.toml")).unwrap();
    assert!(manifest.contains("\ndogpile-sdk = \"0.1.0\"\n"), "{manifest}");
    let refused = place.run(&["plugins", "new", "other", "--into", "here"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("here is not empty; name another folder"), "{}", refused.err);
    assert_eq!(manifest, fs::read_to_string(place.path("here/Cargo.toml")).unwrap());
}

#[test]
fn name_of_a_dependency_is_refused_and_nothing_is_written() {
    let place = Place::new();
    for name in ["serde", "dogpile-sdk", "core", "type", "acme--shelf"] {
        let (code, refused) = place.json(&["plugins", "new", name]);
        let expected = format!("{name:?} cannot be the name of the crate: ");
        assert!(code == 1 && refused["error"].as_str().unwrap().starts_with(&expected), "{refused}");
        assert!(!place.path(name).exists());
    }
    place.write("file", "precious");
    let (code, refused) = place.json(&["plugins", "new", "acme", "--into", "file"]);
    assert_eq!((code, &refused["error"]), (1, &"file is not a folder; name another one with --into".into()));
}
