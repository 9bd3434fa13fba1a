//! Libraries that cannot be used: each gives one clear error, and the host goes on.

use std::fs;
use std::path::{Path, PathBuf};

use dogpile_tests::libraries::{Variant, library};
use tempfile::{TempDir, tempdir};

use super::{MEMORY, loaded, refusal};

/// A copy of the memory plugin's library, changed by `change`.
fn changed(change: impl FnOnce(&mut Vec<u8>)) -> (TempDir, PathBuf) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("changed.so");
    let mut bytes = fs::read(library("dogpile-memory-dylib")).unwrap();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn the_host_goes_on() {
    assert!(loaded("dogpile-memory-dylib", MEMORY).get("key").unwrap().is_none());
}

#[test]
fn a_missing_library_is_refused() {
    let told = refusal(Path::new("/nowhere/libmissing.so"));
    assert!(told.contains("/nowhere/libmissing.so") && told.contains("No such file"), "{told}");
    the_host_goes_on();
}

#[test]
fn a_library_that_is_cut_anywhere_is_refused_before_it_is_linked() {
    let whole = fs::metadata(library("dogpile-memory-dylib")).unwrap().len() as usize;
    for length in [0, 1, 16, 63, 64, 1000, 4096, whole / 4, whole / 2, whole * 3 / 4, whole - 1] {
        let (_folder, path) = changed(|bytes| bytes.truncate(length));
        let told = refusal(&path);
        assert!(told.contains("truncated") || told.contains("not a library"), "at {length}: {told}");
    }
    the_host_goes_on();
}

#[test]
fn a_text_is_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("libtext.so");
    fs::write(&path, "INPUT(-lc)\n").unwrap();
    assert!(refusal(&path).contains("it is not a library"));
}

#[test]
fn a_folder_is_refused() {
    let folder = tempdir().unwrap();
    assert!(refusal(folder.path()).contains("it is no file"));
}

#[test]
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn a_library_for_another_processor_is_refused() {
    const MACHINE_OF_ELF: usize = 18;
    let other = if cfg!(target_arch = "x86_64") { 183 } else { 62 };
    let (_folder, path) = changed(|bytes| bytes[MACHINE_OF_ELF] = other);
    let told = refusal(&path);
    assert!(told.contains("it was built for") && told.contains(std::env::consts::ARCH), "{told}");
    the_host_goes_on();
}

#[test]
fn a_library_that_is_no_plugin_is_refused() {
    let told = refusal(&library("fixture-foreign"));
    assert!(told.contains("it is no dogpile plugin") && told.contains("export_plugin!"), "{told}");
    the_host_goes_on();
}

#[test]
fn a_program_is_refused() {
    assert!(refusal(&std::env::current_exe().unwrap()).contains("it is no dogpile plugin"));
}

#[test]
fn a_library_with_the_symbol_of_a_plugin_and_nothing_behind_it_is_refused() {
    let told = refusal(&library("fixture-impostor"));
    assert!(told.contains("it was built with something else than abi_stable"), "{told}");
    the_host_goes_on();
}

#[test]
fn a_library_with_another_binary_interface_is_refused_with_the_first_difference() {
    let told = refusal(&Variant::Mismatched.library("dogpile-memory-dylib"));
    assert!(told.contains("its binary interface differs"), "{told}");
    assert!(
        told.contains("in the root module, the number of fields that are always there is 8 here and 9 there"),
        "{told}"
    );
    assert!(told.contains("rebuild it with the dogpile-sdk of this host"), "{told}");
    the_host_goes_on();
}

#[test]
fn a_library_whose_panics_would_abort_is_refused() {
    let told = refusal(&Variant::Abort.library("dogpile-memory-dylib"));
    assert!(told.contains("panic = \"abort\"") && told.contains("panic = \"unwind\""), "{told}");
    the_host_goes_on();
}

#[test]
#[cfg(unix)]
fn a_library_that_others_may_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    let (folder, path) = changed(|_| ());
    for (writable, mode) in [(&*path, 0o666), (folder.path(), 0o777)] {
        let before = fs::metadata(writable).unwrap().permissions();
        fs::set_permissions(writable, fs::Permissions::from_mode(mode)).unwrap();
        let told = refusal(&path);
        assert!(told.contains("others than its owner may write") && told.contains("chmod go-w"), "{told}");
        fs::set_permissions(writable, before).unwrap();
    }
}

#[test]
#[cfg(unix)]
fn a_library_of_another_user_is_refused() {
    let (_folder, path) = changed(|_| ());
    let given_away = std::os::unix::fs::chown(&path, Some(12345), None);
    // Only root can give a file away; for anybody else there is nothing to see here.
    if given_away.is_ok() {
        assert!(refusal(&path).contains("belongs to user 12345"));
    }
}
