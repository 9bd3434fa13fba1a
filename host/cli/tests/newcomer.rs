//! Follows `docs/plugins.md` from an empty folder, against the crates as they would be published.
//!
//! The commands, files, and names are those of the page, so that a mistake on the page fails a test. Crates of others
//! come from cargo's cache, without the network.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "newcomer/guide.rs"]
mod guide;
#[path = "newcomer/packages.rs"]
mod packages;
#[path = "newcomer/place.rs"]
mod place;

use std::fs;

use crate::guide::Guide;
use crate::place::{Place, target};

/// The commands under "In a minute". Only their profile differs, because the dependencies are compiled in the profile of
/// tests, and with it the folder of the library.
#[test]
fn commands_of_the_guide_lead_to_a_verified_library() {
    let place = Place::new();
    let commands = Guide::read().block("In a minute", "sh");
    let debug = target().join("debug").display().to_string();
    let commands = commands
        .replace(" --checkout PATH/TO/dogpile", "")
        .replace("cd acme-shelf\n", &format!("cd acme-shelf\n{}\n", place.lock()))
        .replace(" --release", "")
        .replace("target/release", &debug);
    assert!(commands.contains("cargo test") && commands.contains("plugins pack"), "{commands}");
    let printed = place.run(&commands);
    assert!(printed.contains("conforms") && printed.contains("acme_shelf.folder"), "{printed}");
    let manifest = fs::read_to_string(place.path("acme-shelf/Cargo.toml")).unwrap();
    assert!(!manifest.contains("dogpile-sdk = { path"), "the crate uses a checkout:\n{manifest}");
}

/// The crate, its tests, its library, and its manifest are those of the sections from "The crate" on. An application
/// loads the library by a configuration file.
#[test]
fn crate_of_the_guide_is_loaded_by_an_application() {
    let place = Place::new();
    let guide = Guide::read().of_vendor("acme", "newcomer");
    write_crate(&place, &guide);
    write_library(&place, &guide);
    let tested = place.run(&format!("cd newcomer-dogpile\n{}\ncargo test", place.lock()));
    assert!(tested.contains("shelf::store::stored_value_is_read_back"), "{tested}");

    assert!(
        guide.section("The library").contains("`cargo build --release`"),
        "the page does not build the library"
    );
    place.run(&format!("cd newcomer-dogpile/dylib\n{}\ncargo build", place.lock()));
    let shipped: toml::Table = guide.block("Shipping it", "toml").parse().unwrap();
    write_application(&place, shipped["entry_points"][0]["name"].as_str().unwrap());
    let library = target().join("debug").join(shipped["library"].as_str().unwrap());
    place.run(&format!("dogpile plugins pack '{}' --out application/plugins", library.display()));
    check_manifest(&place, &shipped);
    place.run("dogpile plugins verify application/plugins/newcomer-dogpile-dylib.dogpile.toml");

    let printed = place.run(&format!("cd application\n{}\ncargo run --quiet", place.lock()));
    assert_eq!(printed, "created 350, read 350\n");
}

/// The files of the sections "The crate" and "The backend".
fn write_crate(place: &Place, guide: &Guide) {
    place.run("cargo new --quiet --vcs none --lib newcomer-dogpile");
    place.extend_manifest("newcomer-dogpile", &guide.block("The crate", "toml"));
    let (library, tests) = guide.program("The backend", "tests/conformance.rs");
    place.write("newcomer-dogpile/src/lib.rs", &library);
    place.write("newcomer-dogpile/tests/conformance.rs", &tests);
}

/// The files of the section "The library".
fn write_library(place: &Place, guide: &Guide) {
    let (package, line) = ("newcomer-dogpile-dylib", "dogpile_sdk::export_plugin!(newcomer_dogpile);");
    let section = guide.section("The library");
    for part in [package, line] {
        assert!(section.contains(&format!("`{part}`")), "the page does not name {part}:\n{section}");
    }
    place.run(&format!("cargo new --quiet --vcs none --lib newcomer-dogpile/dylib --name {package}"));
    place.extend_manifest("newcomer-dogpile/dylib", &guide.block("The library", "toml"));
    place.write("newcomer-dogpile/dylib/src/lib.rs", &format!("{line}\n"));
}

/// The packed manifest says what the page shows. Only the hash is that of another library.
fn check_manifest(place: &Place, shown: &toml::Table) {
    let packed =
        fs::read_to_string(place.path("application/plugins/newcomer-dogpile-dylib.dogpile.toml")).unwrap();
    let packed: toml::Table = packed.parse().unwrap();
    for (name, value) in shown.iter().filter(|(name, _)| *name != "sha256") {
        assert_eq!(packed.get(name), Some(value), "{name} of the manifest");
    }
    let length = |manifest: &toml::Table| manifest["sha256"].as_str().map(str::len);
    assert_eq!(length(&packed), length(shown));
}

/// An application with the published `dogpile`, which knows the backend by its name alone.
fn write_application(place: &Place, backend: &str) {
    place.run("cargo new --quiet --vcs none --bin application");
    place.extend_manifest("application", "[dependencies]\ndogpile = \"0.1\"\n");
    let regions = format!(
        "[plugins]\npath = ['plugins']\n\n[regions.prices]\nbackend = '{backend}'\narguments = {{ longest_key = 40 }}\n"
    );
    place.write("application/regions.toml", &regions);
    place.write("application/src/main.rs", include_str!("newcomer/application.rs.in"));
}
