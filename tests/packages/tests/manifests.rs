//! The manifests of published crates: descriptions, licenses, versions, and the Rust that they need.

use std::path::{Path, PathBuf};

use dogpile_packages::metadata::{Metadata, cargo, text_of, workspace};
use serde_json::Value;

fn folder(package: &Value) -> PathBuf {
    let manifest = PathBuf::from(text_of(&package["manifest_path"]));
    manifest.parent().map(Path::to_owned).expect("a manifest is in a folder")
}

/// Returns a version of Rust as numbers, or an early one if the package states none.
fn rust_version(package: &Value) -> (u32, u32) {
    let text = text_of(&package["rust_version"]);
    let mut numbers = text.split('.').filter_map(|number| number.parse().ok());
    (numbers.next().unwrap_or(1), numbers.next().unwrap_or(0))
}

/// The normal dependencies of `package` that need a later Rust than it states.
fn too_new(metadata: &Metadata, package: &Value) -> Vec<String> {
    let needs = metadata.needs(package);
    let newer = needs.into_iter().filter(|needed| rust_version(needed) > rust_version(package));
    newer.map(|needed| format!("{} {}", text_of(&needed["name"]), text_of(&needed["version"]))).collect()
}

#[test]
fn dependencies_build_with_the_stated_rust() {
    let metadata = Metadata::read();
    let mut checked = 0;
    for package in metadata.published() {
        let name = text_of(&package["name"]);
        // The feature `dbm` needs a later Rust than the rest of the crate, which CONTRIBUTING.md says.
        let allowed = ["dogpile", "dogpile-minijinja"].contains(&name.as_str());
        let dbm = ["dogpile-dbm", "libsqlite3-sys", "rusqlite"];
        let found = too_new(&metadata, package);
        let found: Vec<_> = found
            .iter()
            .filter(|needed| !(allowed && dbm.iter().any(|dbm| needed.starts_with(dbm))))
            .collect();
        assert!(
            found.is_empty(),
            "{name} states Rust {}, but these need a later one: {found:?}",
            package["rust_version"]
        );
        checked += 1;
    }
    assert!(checked > 10, "only {checked} packages are published");
}

#[test]
fn published_packages_are_described() {
    for package in Metadata::read().published() {
        let name = text_of(&package["name"]);
        assert_eq!(text_of(&package["license"]), "MIT OR Apache-2.0", "{name}");
        assert_eq!(text_of(&package["repository"]), "https://github.com/dogpile-rs/dogpile", "{name}");
        assert_eq!(text_of(&package["readme"]), "README.md", "{name}");
        assert!(text_of(&package["description"]).len() > 20, "{name} has no description");
        let count = |field: &str| package[field].as_array().map_or(0, Vec::len);
        assert!((3..=5).contains(&count("keywords")), "{name} needs three to five keywords");
        assert!((1..=5).contains(&count("categories")), "{name} needs a category");
        if package["targets"][0]["kind"][0] != "bin" {
            assert_eq!(
                package["metadata"]["docs"]["rs"]["all-features"], true,
                "{name}: docs.rs shows all features"
            );
        }
    }
}

#[test]
fn published_packages_contain_licenses_and_readme() {
    for package in Metadata::read().published() {
        let name = text_of(&package["name"]);
        let list = cargo(&["package", "--list", "--allow-dirty", "-p", &name]).stdout;
        let list = String::from_utf8_lossy(&list);
        let mut expected = vec!["Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "README.md"];
        if ["dogpile", "dogpile-abi", "dogpile-cli", "dogpile-dbm"].contains(&name.as_str()) {
            expected.push("NOTICES.md");
        }
        for file in expected {
            assert!(list.lines().any(|line| line == file), "{name} lacks {file}:\n{list}");
            let text = std::fs::read_to_string(folder(package).join(file)).expect("the file can be read");
            // A link that git has written as a file contains a path.
            assert!(text.len() > 200, "{name}: {file} is a broken link");
        }
    }
}

#[test]
fn dependencies_between_published_packages_have_versions() {
    let metadata = Metadata::read();
    let published: Vec<String> = metadata.published().map(|package| text_of(&package["name"])).collect();
    for package in metadata.published() {
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let (of, on) = (text_of(&package["name"]), text_of(&dependency["name"]));
            if dependency["path"].is_null() || dependency["kind"] == "dev" && !published.contains(&on) {
                continue;
            }
            assert!(published.contains(&on), "{of} needs {on}, which is not published");
            assert_ne!(text_of(&dependency["req"]), "*", "{of} needs any version of {on}");
        }
    }
}

/// Cargo refuses a package whose manifest is incomplete, and warns if crates.io would refuse it.
#[test]
fn published_packages_can_be_packaged() {
    let metadata = Metadata::read();
    let target = workspace().join("target/packages");
    let target = target.to_str().expect("the path is UTF-8");
    let mut arguments = vec!["package", "--no-verify", "--allow-dirty", "--target-dir", target];
    let names: Vec<String> = metadata.published().map(|package| text_of(&package["name"])).collect();
    names.iter().for_each(|name| arguments.extend(["-p", name]));
    let report = cargo(&arguments).stderr;
    let report = String::from_utf8_lossy(&report);
    assert!(!report.contains("warning"), "{report}");
}
