//! The published crates, packaged and unpacked.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use flate2::read::GzDecoder;
use serde_json::Value;

use crate::place::target;

pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}

/// Returns the names of the published crates, and the folders with their unpacked packages.
///
/// The packages contain the files that crates.io would have, and their manifests name versions instead of paths.
pub(crate) fn packages() -> &'static [(String, PathBuf)] {
    static PACKAGES: OnceLock<Vec<(String, PathBuf)>> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        let folder = target().join("newcomer");
        // A package of an earlier run may have another version.
        let _ = fs::remove_dir_all(folder.join("package"));
        // A build downloads only what it needs. If this fails, so does the command below, with a better message.
        let _ = cargo(&["fetch", "--locked"]);
        let names = published();
        let built = folder.to_str().unwrap();
        let mut arguments =
            vec!["package", "--no-verify", "--allow-dirty", "--offline", "--target-dir", built];
        names.iter().for_each(|name| arguments.extend(["-p", name]));
        cargo(&arguments).unwrap();
        unpack(&folder)
    })
}

/// The published packages that an application or a plugin may need, and not the command.
fn published() -> Vec<String> {
    let printed = cargo(&["metadata", "--format-version", "1", "--no-deps", "--offline"]).unwrap();
    let metadata: Value = serde_json::from_str(&printed).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let published = packages.filter(|package| package["publish"].is_null());
    let names = published.map(|package| package["name"].as_str().unwrap().to_owned());
    names.filter(|name| !["dogpile-cli", "dogpile-minijinja"].contains(&name.as_str())).collect()
}

/// Runs cargo in the workspace, and returns its output, or its errors if it fails.
fn cargo(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(workspace()).output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Unpacks the packages in `folder` into a folder that is named after their contents.
///
/// Cargo compares the times of files. In a new folder, it cannot take a changed crate for the one that it compiled.
fn unpack(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(folder.join("package")).unwrap().map(|entry| entry.unwrap().path());
    let mut archives: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "crate")).collect();
    archives.sort();
    assert!(archives.len() > 8, "only {} crates were packaged", archives.len());
    let mut hasher = DefaultHasher::new();
    archives.iter().for_each(|archive| fs::read(archive).unwrap().hash(&mut hasher));
    let sources = folder.join("sources");
    let unpacked = sources.join(format!("{:016x}", hasher.finish()));
    if !unpacked.exists() {
        let _ = fs::remove_dir_all(&sources);
        fs::create_dir_all(&unpacked).unwrap();
        for archive in &archives {
            tar::Archive::new(GzDecoder::new(File::open(archive).unwrap())).unpack(&unpacked).unwrap();
        }
    }
    let folders = archives.iter().map(|archive| unpacked.join(archive.file_stem().unwrap()));
    folders.map(|folder| (name_of(&folder), folder)).collect()
}

fn name_of(folder: &Path) -> String {
    let manifest: toml::Table = fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap();
    manifest["package"]["name"].as_str().unwrap().to_owned()
}
