//! Libraries that cannot be used. Each gives one clear error, and the host keeps working.

use std::fs;
use std::path::{Path, PathBuf};

use dogpile::registry::Manifest;
use dogpile_tests::libraries::{Variant, library};
use tempfile::{TempDir, tempdir};

use super::{MEMORY, loaded, refusal, told};

/// Returns a copy of the memory plugin's library, changed by `change`.
fn changed(change: impl FnOnce(&mut Vec<u8>)) -> (TempDir, PathBuf) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("changed.so");
    let mut bytes = fs::read(library("dogpile-memory-dylib")).unwrap();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn assert_host_works() {
    assert!(loaded("dogpile-memory-dylib", MEMORY).get("key").unwrap().is_none());
}

#[test]
fn missing_library_is_refused() {
    let reason = refusal(Path::new("/nowhere/libmissing.so"));
    assert!(reason.contains("/nowhere/libmissing.so") && reason.contains("No such file"), "{reason}");
    assert_host_works();
}

#[test]
fn truncated_library_is_refused_before_it_is_linked() {
    let whole = fs::metadata(library("dogpile-memory-dylib")).unwrap().len() as usize;
    for length in [0, 1, 16, 63, 64, 1000, 4096, whole / 4, whole / 2, whole * 3 / 4, whole - 1] {
        let (_folder, path) = changed(|bytes| bytes.truncate(length));
        let reason = refusal(&path);
        assert!(reason.contains("truncated") || reason.contains("not a library"), "at {length}: {reason}");
    }
    assert_host_works();
}

#[test]
fn text_file_is_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("libtext.so");
    fs::write(&path, "INPUT(-lc)\n").unwrap();
    assert!(refusal(&path).contains("not a library"));
}

/// A manifest is text and could not name the file.
#[test]
#[cfg(unix)]
fn library_whose_name_is_not_text_has_no_manifest() {
    use std::os::unix::ffi::OsStrExt;

    let folder = tempdir().unwrap();
    let path = folder.path().join(std::ffi::OsStr::from_bytes(b"lib\xff.so"));
    fs::copy(library("acme-dogpile-dylib"), &path).unwrap();
    let reason = told(&Manifest::describe(&path).unwrap_err());
    assert!(reason.contains("the file name is not valid UTF-8"), "{reason}");
}

#[test]
fn folder_is_refused() {
    let folder = tempdir().unwrap();
    assert!(refusal(folder.path()).contains("the path is not a file"));
}

#[test]
#[cfg(unix)]
fn fifo_is_refused_at_once() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("libfifo.so");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert!(refusal(&path).contains("the path is not a file"));
}

#[test]
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn library_for_another_processor_is_refused() {
    const MACHINE_OF_ELF: usize = 18;
    let other = if cfg!(target_arch = "x86_64") { 183 } else { 62 };
    let (_folder, path) = changed(|bytes| bytes[MACHINE_OF_ELF] = other);
    let reason = refusal(&path);
    assert!(
        reason.contains("the library was built for") && reason.contains(std::env::consts::ARCH),
        "{reason}"
    );
    assert_host_works();
}

#[test]
fn library_that_is_not_a_plugin_is_refused() {
    let reason = refusal(&library("fixture-foreign"));
    assert!(reason.contains("not a dogpile plugin") && reason.contains("export_plugin!"), "{reason}");
    assert_host_works();
}

#[test]
fn program_is_refused() {
    assert!(refusal(&std::env::current_exe().unwrap()).contains("not a dogpile plugin"));
}

#[test]
fn library_with_a_false_plugin_header_is_refused() {
    let reason = refusal(&library("fixture-impostor"));
    assert!(reason.contains("the library was built with something other than abi_stable"), "{reason}");
    assert_host_works();
}

#[test]
fn refusal_of_another_binary_interface_names_the_difference() {
    let reason = refusal(&Variant::Mismatched.library("dogpile-memory-dylib"));
    assert!(reason.contains("binary interface differs"), "{reason}");
    assert!(
        reason.contains(
            "in the root module, the number of fields that are always there is 9 here and 10 there"
        ),
        "{reason}"
    );
    assert!(reason.contains("rebuild it with the dogpile-sdk of this host"), "{reason}");
    assert_host_works();
}

#[test]
fn library_whose_panics_abort_is_refused() {
    let reason = refusal(&Variant::Abort.library("dogpile-memory-dylib"));
    assert!(reason.contains("panic = \"abort\"") && reason.contains("panic = \"unwind\""), "{reason}");
    assert_host_works();
}

#[test]
#[cfg(unix)]
fn library_that_other_users_can_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    let (folder, path) = changed(|_| ());
    for (writable, mode) in [(&*path, 0o666), (folder.path(), 0o777)] {
        let before = fs::metadata(writable).unwrap().permissions();
        fs::set_permissions(writable, fs::Permissions::from_mode(mode)).unwrap();
        let reason = refusal(&path);
        assert!(
            reason.contains("users other than its owner can write") && reason.contains("chmod go-w"),
            "{reason}"
        );
        fs::set_permissions(writable, before).unwrap();
    }
}

#[test]
#[cfg(unix)]
fn library_of_another_user_is_refused() {
    let (_folder, path) = changed(|_| ());
    let given_away = std::os::unix::fs::chown(&path, Some(12345), None);
    // Only root can give a file to another user. Other users cannot test this.
    if given_away.is_ok() {
        assert!(refusal(&path).contains("belongs to user 12345"));
    }
}
