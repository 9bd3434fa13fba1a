//! Plugin libraries and the manifests beside them.

use std::path::{Path, PathBuf};

use dogpile::registry::{Manifest, ManifestEntry};

use crate::error::CommandError;

/// How the file of a manifest ends.
pub(crate) const MANIFEST_SUFFIX: &str = ".dogpile.toml";

/// A manifest and where it lies.
pub(crate) type Placed = (PathBuf, Manifest);

/// The library that `file` is, or is the manifest of, and the manifest, if there is one.
pub(crate) fn library_of(file: &Path) -> Result<(PathBuf, Option<Placed>), CommandError> {
    if is_manifest(file) {
        let manifest = Manifest::read(file)?;
        let library = file.parent().unwrap_or(Path::new("")).join(&manifest.library);
        return Ok((library, Some((file.to_owned(), manifest))));
    }
    let library = file.canonicalize().map_err(CommandError::file("found", file))?;
    let manifest = manifest_of(&library);
    Ok((library, manifest))
}

/// The manifest beside `library` that names it. One that cannot be read is none.
pub(crate) fn manifest_of(library: &Path) -> Option<Placed> {
    let manifests = files_in(library.parent()?).into_iter().filter(|path| is_manifest(path));
    let read = manifests.filter_map(|path| Manifest::read(&path).ok().map(|manifest| (path, manifest)));
    let names_it = |(_, manifest): &Placed| Some(manifest.library.as_os_str()) == library.file_name();
    read.into_iter().find(names_it)
}

/// Whether all that the manifest at `path` announces is `inside` the library.
pub(crate) fn agree(path: &Path, manifest: &Manifest, inside: &[ManifestEntry]) -> Result<(), CommandError> {
    match manifest.entry_points.iter().find(|entry| !inside.contains(entry)) {
        None => Ok(()),
        Some(ManifestEntry { name, kind, .. }) => Err(CommandError::other(format!(
            "{} announces the {kind} {name:?}, which is not in the library; correct the manifest, or build the \
             library anew",
            path.display()
        ))),
    }
}

/// Whether the name of `path` is that of a manifest.
pub(crate) fn is_manifest(path: &Path) -> bool {
    path.to_string_lossy().ends_with(MANIFEST_SUFFIX)
}

/// Whether the name of `path` is that of a library of this system.
pub(crate) fn is_library(path: &Path) -> bool {
    path.to_string_lossy().ends_with(std::env::consts::DLL_SUFFIX)
}

/// The files in `folder`, by name; none if it cannot be read.
pub(crate) fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    files
}
