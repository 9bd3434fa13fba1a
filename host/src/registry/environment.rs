//! The plugin folders that the environment lists.

use std::env;
use std::path::PathBuf;

/// The environment variable that lists plugin folders, separated as in `PATH`.
///
/// A program that runs with more privileges than its caller ignores it: one with a set-user-ID or set-group-ID bit or
/// with capabilities. Otherwise the caller could run code with these privileges.
pub const PLUGIN_PATH: &str = "DOGPILE_PLUGIN_PATH";

/// Returns the folders in [`PLUGIN_PATH`].
///
/// # Errors
/// The folders, if there are any and this program runs with the privileges of another user or group.
pub(super) fn plugin_folders() -> Result<Vec<PathBuf>, Vec<PathBuf>> {
    let folders = env::var_os(PLUGIN_PATH).unwrap_or_default();
    let folders: Vec<_> =
        env::split_paths(&folders).filter(|folder| !folder.as_os_str().is_empty()).collect();
    if folders.is_empty() || !is_privileged() { Ok(folders) } else { Err(folders) }
}

/// Returns whether this program runs with privileges that its caller may not have.
fn is_privileged() -> bool {
    dogpile_abi::is_secure_execution() || ids_differ()
}

/// Returns whether the effective user or group of this process is another one than the real one.
#[cfg(unix)]
fn ids_differ() -> bool {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    getuid() != geteuid() || getgid() != getegid()
}

#[cfg(not(unix))]
fn ids_differ() -> bool {
    false
}
