//! Plugin libraries and the manifests beside them.

use std::path::{Path, PathBuf};

use dogpile::registry::{Manifest, ManifestEntry};

use crate::error::CommandError;

/// The end of a manifest's file name.
pub(crate) const MANIFEST_SUFFIX: &str = ".dogpile.toml";

/// A manifest and its path.
pub(crate) type Placed = (PathBuf, Manifest);

/// Returns the manifest beside `library` that names it. One that cannot be read does not count.
pub(crate) fn manifest_of(library: &Path) -> Option<Placed> {
    let manifests = files_in(library.parent()?).into_iter().filter(|path| is_manifest(path));
    let read = manifests.filter_map(|path| Manifest::read(&path).ok().map(|manifest| (path, manifest)));
    let names_it = |(_, manifest): &Placed| Some(manifest.library.as_os_str()) == library.file_name();
    read.into_iter().find(names_it)
}

/// Returns an error unless everything that the manifest at `path` lists is `inside` the library.
pub(crate) fn agree(path: &Path, manifest: &Manifest, inside: &[ManifestEntry]) -> Result<(), CommandError> {
    match manifest.entry_points.iter().find(|entry| !inside.contains(entry)) {
        None => Ok(()),
        Some(ManifestEntry { name, kind, .. }) => Err(CommandError::other(format!(
            "{} lists the {kind} {name:?}, which the library does not provide; correct the manifest, or rebuild the \
             library",
            path.display()
        ))),
    }
}

/// Returns whether `path` has the name of a manifest.
pub(crate) fn is_manifest(path: &Path) -> bool {
    path.to_string_lossy().ends_with(MANIFEST_SUFFIX)
}

/// Returns whether `path` has the name of a library of this system.
pub(crate) fn is_library(path: &Path) -> bool {
    path.to_string_lossy().ends_with(std::env::consts::DLL_SUFFIX)
}

/// Returns the files in `folder`, sorted by name, and none if it cannot be read.
pub(crate) fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    files
}
