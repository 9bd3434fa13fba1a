//! A program with more privileges than its caller ignores `DOGPILE_PLUGIN_PATH`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use dogpile_tests::libraries::{copy_program, install, library};
use tempfile::tempdir;

/// A user that owns nothing, and whose group has no rights.
const NOBODY: u32 = 65534;

/// Returns what `probe names` prints if the user `NOBODY` runs the copy of it at `program`.
fn names(program: &Path, folder: &Path) -> String {
    let mut command = Command::new(program);
    command.arg("names").env("DOGPILE_PLUGIN_PATH", folder).uid(NOBODY).gid(NOBODY);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Only root can run a program as another user. Other users cannot test this.
#[test]
fn environment_is_ignored_in_a_setuid_or_setgid_program() {
    let place = tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (program, plugins) = (place.path().join("probe"), place.path().join("plugins"));
    copy_program(Path::new(env!("CARGO_BIN_EXE_probe")), &program);
    if chown(&program, Some(0), Some(0)).is_err() {
        return;
    }
    fs::create_dir(&plugins).unwrap();
    fs::set_permissions(&plugins, fs::Permissions::from_mode(0o755)).unwrap();
    install(&library("acme-dogpile-dylib"), &plugins);

    for (mode, is_ignored) in [(0o755, false), (0o2755, true), (0o4755, true), (0o6755, true)] {
        fs::set_permissions(&program, fs::Permissions::from_mode(mode)).unwrap();
        let names = names(&program, &plugins);
        let says =
            "problem: DOGPILE_PLUGIN_PATH is ignored: this program runs with the privileges of another";
        assert_eq!(names.contains(says), is_ignored, "mode {mode:o}: {names}");
        assert_eq!(names.contains("backend acme.shelf"), !is_ignored, "mode {mode:o}: {names}");
    }
}
