//! The plugin folders that the environment lists.

use std::env;
use std::path::PathBuf;

/// The environment variable that lists plugin folders, separated as in `PATH`.
pub const PLUGIN_PATH: &str = "DOGPILE_PLUGIN_PATH";

/// Returns the folders in [`PLUGIN_PATH`].
pub(super) fn plugin_folders() -> Vec<PathBuf> {
    let folders = env::var_os(PLUGIN_PATH).unwrap_or_default();
    env::split_paths(&folders).filter(|folder| !folder.as_os_str().is_empty()).collect()
}
