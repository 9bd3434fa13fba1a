//! An empty folder in which a newcomer works.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use tempfile::TempDir;

use crate::packages::{packages, workspace};

/// The workspace's target folder, which has most dependencies already.
pub(crate) fn target() -> PathBuf {
    let binary = env::current_exe().unwrap();
    binary.ancestors().nth(3).expect("cargo keeps tests in target/PROFILE/deps").to_owned()
}

/// A temporary folder, in which crates.io has the packages of the workspace.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        let place = Place(tempfile::tempdir().unwrap());
        let mut settings =
            "[net]\noffline = true\n\n[profile.dev]\ndebug = \"line-tables-only\"\n".to_owned();
        settings.push_str("\n[patch.crates-io]\n");
        for (name, folder) in packages() {
            writeln!(settings, "{name} = {{ path = '{}' }}", folder.display()).unwrap();
        }
        place.write(".cargo/config.toml", &settings);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Appends to the manifest that `cargo new` wrote in `folder`, whose table of dependencies is empty.
    pub(crate) fn extend_manifest(&self, folder: &str, more: &str) {
        let path = self.path(folder).join("Cargo.toml");
        let manifest = fs::read_to_string(&path).unwrap();
        fs::write(path, manifest.replace("[dependencies]\n", "") + more).unwrap();
    }

    /// Returns the command that copies the workspace's lock file, so that the versions in cargo's cache are used.
    pub(crate) fn lock(&self) -> String {
        format!("cp '{}' .", workspace().join("Cargo.lock").display())
    }

    /// Runs shell commands, of which all must succeed, and returns what they print.
    pub(crate) fn run(&self, commands: &str) -> String {
        let command = Path::new(env!("CARGO_BIN_EXE_dogpile")).parent().unwrap();
        let cargo = Path::new(env!("CARGO")).parent().unwrap();
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = [command.to_owned(), cargo.to_owned()].into_iter().chain(env::split_paths(&path));
        let mut shell = Command::new("sh");
        shell.args(["-eu", "-c", commands]).current_dir(self.0.path());
        shell.env("PATH", env::join_paths(folders).unwrap()).env("CARGO_TARGET_DIR", target());
        // The folder is new each time, so that nothing of a build is used again.
        shell.env("CARGO_INCREMENTAL", "0");
        for name in ["DOGPILE_PLUGIN_PATH", "DOGPILE_CONFIG"] {
            shell.env_remove(name);
        }
        let output = shell.output().unwrap();
        let [printed, errors] =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(output.status.success(), "{commands}\nprinted:\n{printed}{errors}");
        printed
    }
}
