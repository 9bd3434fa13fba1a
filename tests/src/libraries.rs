//! Plugin libraries for the tests to load.
//!
//! Libraries that the tests depend on are built beside the test binary. Variants with other flags are built when a test
//! first requests them.

use std::fs::{DirEntry, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::{env, fs};

use dogpile::Registry;
use dogpile::registry::{Manifest, Trust};

/// Returns the folder of this test's binary.
fn binaries() -> PathBuf {
    let binary = env::current_exe().expect("a test knows its binary");
    binary.parent().expect("a binary is in a folder").to_owned()
}

fn file_name(package: &str) -> String {
    format!("{}{}{}", env::consts::DLL_PREFIX, package.replace('-', "_"), env::consts::DLL_SUFFIX)
}

/// Returns the library of `package`, on which the tests depend.
pub fn library(package: &str) -> PathBuf {
    let path = binaries().join(file_name(package));
    assert!(path.exists(), "{} is not built; is its package a dependency of the tests?", path.display());
    path
}

/// Returns an empty registry in which plugin libraries may provide reserved names.
pub fn permissive_registry() -> Registry {
    let registry = Registry::empty();
    registry.restrict(Trust::default().reserved("dogpile.*").expect("the names are reserved"));
    registry
}

/// Another way to build a library or a program.
#[derive(Clone, Copy, Debug)]
pub enum Variant {
    /// With the binary interface of a later version, which has one more method.
    Next,
    /// With an incompatible binary interface, neither a later nor an earlier version of ours.
    Mismatched,
    /// With `panic = "abort"`.
    Abort,
}

impl Variant {
    /// Returns the name, and the option of the compiler.
    fn recipe(self) -> (&'static str, &'static str) {
        match self {
            Variant::Next => ("next", "--cfg=dogpile_abi_next"),
            Variant::Mismatched => ("mismatched", "--cfg=dogpile_abi_mismatched"),
            Variant::Abort => ("abort", "-Cpanic=abort"),
        }
    }

    /// Returns the library of `package` in this variant. Blocks while cargo builds it.
    pub fn library(self, package: &str) -> PathBuf {
        self.build(package, &["--lib"], &file_name(package))
    }

    /// Returns the program `name` of this package in this variant.
    ///
    /// It has no backends of servers and files. Blocks while cargo builds it.
    pub fn program(self, name: &str) -> PathBuf {
        self.build("dogpile-tests", &["--no-default-features", "--bin", name], name)
    }

    /// Returns the path of `file`, which cargo builds of `package`.
    ///
    /// All variants share a target folder, so that crates of others are compiled once. They are built without the option.
    fn build(self, package: &str, what: &[&str], file: &str) -> PathBuf {
        // Build one at a time: tests run concurrently, and all variants have libraries of one name.
        static BUILT: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
        let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);

        let (name, option) = self.recipe();
        let target = target_folder().join("variants");
        let path = target.join(name).join(file);
        if !built.contains(&path) {
            fs::create_dir_all(target.join(name)).expect("the folder can be created");
            // Another process may run tests, too. The lock ends with its file.
            let lock = File::create(target.join("lock")).expect("the lock file can be created");
            lock.lock().expect("the file can be locked");
            let wrapper = target.join(name).join("rustc");
            write_wrapper(&wrapper, option);
            if file.ends_with(env::consts::DLL_SUFFIX) {
                forget_library(&target, package);
            }
            run_cargo(&target, &wrapper, &[&["--package", package], what].concat());
            fs::copy(target.join("debug").join(file), &path).expect("what was built can be copied");
            built.push(path.clone());
        }
        path
    }
}

/// Writes a program that calls the compiler with one more option. It keeps its time if it is there already.
fn write_wrapper(path: &Path, option: &str) {
    let text = format!("#!/bin/sh\nexec \"$@\" {option}\n");
    if fs::read_to_string(path).ok().as_ref() != Some(&text) {
        let draft = path.with_extension("draft");
        fs::write(&draft, text).expect("the program can be written");
        copy_program(&draft, path);
    }
}

/// Copies the program `from` to the path `to`, where all users can run it.
///
/// # Panics
/// Panics if the program cannot be copied.
pub fn copy_program(from: &Path, to: &Path) {
    // Another process writes the copy. The system runs no file that is open for writing, and a program that another test
    // starts would have it open until it begins.
    let copied = Command::new("cp").args([from, to]).status().expect("every system has it");
    assert!(copied.success(), "{} can be copied", from.display());
    fs::set_permissions(to, Permissions::from_mode(0o755)).expect("the program can be made executable");
}

/// Lets cargo link the library of `package` again.
///
/// Its name does not depend on the variant, so that cargo would take another variant's for this one.
fn forget_library(target: &Path, package: &str) {
    let known = fs::read_dir(target.join("debug/.fingerprint")).into_iter().flatten().flatten();
    let is_of_package = |entry: &DirEntry| {
        entry
            .file_name()
            .to_str()
            .and_then(|name| name.rsplit_once('-'))
            .is_some_and(|(name, _)| name == package)
    };
    for entry in known.filter(is_of_package) {
        fs::remove_dir_all(entry.path()).expect("the record of a build can be removed");
    }
}

/// Builds in the folder `target`. `wrapper` compiles the packages of the workspace.
fn run_cargo(target: &Path, wrapper: &Path, arguments: &[&str]) {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        .args(arguments)
        .env("RUSTC_WORKSPACE_WRAPPER", wrapper)
        .env("RUSTFLAGS", "")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_PROFILE_DEV_DEBUG", "none")
        .output()
        .expect("cargo runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

/// Returns cargo's target folder, which is two levels above the binaries of tests.
fn target_folder() -> PathBuf {
    binaries().ancestors().nth(2).expect("cargo keeps tests in target/PROFILE/deps").to_owned()
}

/// Installs `library` in `folder` as a user would, with a manifest, and returns the copy.
///
/// The copy has not been opened yet.
pub fn install(library: &Path, folder: &Path) -> PathBuf {
    let manifest = Manifest::describe(library).expect("the library opens");
    let copy = folder.join(&manifest.library);
    fs::copy(library, &copy).expect("a library can be copied");
    write_manifest(&manifest, folder);
    copy
}

/// Writes `manifest` to `folder`, in a file with the plugin's name, and returns its path.
pub fn write_manifest(manifest: &Manifest, folder: &Path) -> PathBuf {
    let path = folder.join(format!("{}.dogpile.toml", manifest.name));
    fs::write(&path, manifest.to_toml()).expect("a manifest can be written");
    path
}
