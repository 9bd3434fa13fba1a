//! The manifests in a plugin folder.

use std::io;
use std::path::{Path, PathBuf};

use super::permission;
use crate::registry::RegistryError;

/// The end of a manifest's file name.
const MANIFEST_SUFFIX: &str = ".dogpile.toml";

/// Returns the canonical path of `folder`.
///
/// # Errors
/// If the folder does not exist, or users other than its owner can write to it or to a folder on the way to it.
pub(super) fn canonical(folder: &Path) -> Result<PathBuf, RegistryError> {
    let checked = permission::resolve(folder).and_then(|canonical| {
        permission::check_folder(&canonical)?;
        Ok(canonical)
    });
    checked.map_err(|refusal| RegistryError::Folder { path: folder.to_owned(), problem: refusal.to_string() })
}

/// Returns the manifests in `folder`, sorted by name.
pub(super) fn manifests(folder: &Path) -> Result<Vec<PathBuf>, RegistryError> {
    let refused =
        |error: io::Error| RegistryError::Folder { path: folder.to_owned(), problem: error.to_string() };
    let entries = std::fs::read_dir(folder).map_err(refused)?;
    let files = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>();
    let mut manifests = files.map_err(refused)?;
    manifests.retain(|path| path.to_string_lossy().ends_with(MANIFEST_SUFFIX));
    manifests.sort();
    Ok(manifests)
}
