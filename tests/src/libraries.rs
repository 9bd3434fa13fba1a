//! Plugin libraries for the tests to load.
//!
//! Libraries that the tests depend on are built beside the test binary. Variants with other flags are built when a test
//! first requests them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
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
    /// Returns the name, the compiler's flags, and cargo's arguments.
    fn recipe(self) -> (&'static str, &'static str, &'static [&'static str]) {
        match self {
            Variant::Next => ("next", "--cfg dogpile_abi_next", &[]),
            Variant::Mismatched => ("mismatched", "--cfg dogpile_abi_mismatched", &[]),
            Variant::Abort => ("abort", "", &["--profile", "abort"]),
        }
    }

    /// Returns the library of `package` in this variant. Blocks while cargo builds it.
    pub fn library(self, package: &str) -> PathBuf {
        self.build(&["--package", package, "--lib"]).join(file_name(package))
    }

    /// Returns the program `name` of this package in this variant.
    ///
    /// It has no backends of servers and files. Blocks while cargo builds it.
    pub fn program(self, name: &str) -> PathBuf {
        self.build(&["--package", "dogpile-tests", "--no-default-features", "--bin", name]).join(name)
    }

    fn build(self, what: &[&str]) -> PathBuf {
        // Build one at a time: tests run concurrently, and each build uses the whole machine.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _one_at_a_time = ONE_AT_A_TIME.lock();

        let (name, flags, arguments) = self.recipe();
        let target = target_folder().join("variants").join(name);
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--manifest-path"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&target)
            .args(what)
            .args(arguments)
            .env("RUSTFLAGS", flags)
            .env("CARGO_INCREMENTAL", "0")
            .env("CARGO_PROFILE_DEV_DEBUG", "none")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .output()
            .expect("cargo runs");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        target.join(if matches!(self, Variant::Abort) { "abort" } else { "debug" })
    }
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
