//! [`FoundLibrary`]: the plugin library that an argument of the command names.

use std::path::{Path, PathBuf};

use dogpile::registry::{LibraryDescription, Manifest};

use crate::error::CommandError;
use crate::plugin_archive::{Unpacked, is_archive};
use crate::plugin_files::{Placed, is_manifest, manifest_of};

/// A library that the user named by its path, its manifest, or an archive of both.
pub(crate) struct FoundLibrary {
    pub(crate) library: PathBuf,
    pub(crate) manifest: Option<Placed>,
    /// The archive, and its files, which exist as long as this value.
    unpacked: Option<(PathBuf, Unpacked)>,
}

impl FoundLibrary {
    /// Finds the library that `file` is, or that its manifest names.
    pub(crate) fn of(file: &Path) -> Result<Self, CommandError> {
        if is_archive(file) {
            let unpacked = Unpacked::of(file)?;
            let named = |error: CommandError| error.with_path(unpacked.folder(), file);
            let (library, manifest) = of_manifest(&unpacked.manifest).map_err(named)?;
            return Ok(FoundLibrary {
                library,
                manifest: Some(manifest),
                unpacked: Some((file.to_owned(), unpacked)),
            });
        }
        if is_manifest(file) {
            let (library, manifest) = of_manifest(file)?;
            return Ok(FoundLibrary { library, manifest: Some(manifest), unpacked: None });
        }
        let library = file.canonicalize().map_err(CommandError::file("found", file))?;
        let manifest = manifest_of(&library);
        Ok(FoundLibrary { library, manifest, unpacked: None })
    }

    /// Opens the library and returns its description. Its hash must be the one in the manifest.
    pub(crate) fn description(&self) -> Result<LibraryDescription, CommandError> {
        let pin = self.manifest.as_ref().and_then(|(_, manifest)| manifest.sha256.as_deref());
        let described = LibraryDescription::read(&self.library, pin);
        let mut described = described.map_err(|error| self.named(error.into()))?;
        described.path = self.shown(&described.path);
        Ok(described)
    }

    /// Returns `error` with the path of the archive instead of that of its unpacked files.
    pub(crate) fn named(&self, error: CommandError) -> CommandError {
        match &self.unpacked {
            Some((archive, unpacked)) => error.with_path(unpacked.folder(), archive),
            None => error,
        }
    }

    /// Returns `path`, or its place in the archive if it is an unpacked file.
    pub(crate) fn shown(&self, path: &Path) -> PathBuf {
        match &self.unpacked {
            Some((archive, _)) => archive.join(path.file_name().unwrap_or_default()),
            None => path.to_owned(),
        }
    }
}

/// Returns the library that the manifest at `file` names, and the manifest.
fn of_manifest(file: &Path) -> Result<(PathBuf, Placed), CommandError> {
    let manifest = Manifest::read(file)?;
    let library = file.parent().unwrap_or(Path::new("")).join(&manifest.library);
    Ok((library, (file.to_owned(), manifest)))
}
