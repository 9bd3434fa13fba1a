//! Plugin folders and plugin libraries, if the feature `plugins` is enabled.

#[cfg(feature = "plugins")]
mod compiler;
#[cfg(feature = "plugins")]
mod description;
#[cfg(feature = "plugins")]
mod file;
#[cfg(feature = "plugins")]
mod folder;
#[cfg(feature = "plugins")]
mod host_log;
#[cfg(feature = "plugins")]
mod inspect;
#[cfg(feature = "plugins")]
mod library;
#[cfg(feature = "plugins")]
mod manifest;
#[cfg(feature = "plugins")]
mod permission;
#[cfg(all(feature = "plugins", target_os = "linux"))]
mod sealed;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::RegistryError;
use super::offers::Offer;
use super::trust::Rules;

#[cfg(feature = "plugins")]
pub use self::{
    description::LibraryDescription,
    manifest::{Manifest, ManifestEntry},
};

/// The entry points of a plugin folder.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) offers: Vec<(String, Offer)>,
    /// The manifests that cannot be used.
    pub(super) problems: Vec<RegistryError>,
}

/// Returns the canonical path of the plugin folder `path`.
#[cfg(feature = "plugins")]
pub(super) fn folder_path(path: &Path) -> Result<PathBuf, RegistryError> {
    folder::canonical(path)
}

/// Returns the entry points of the plugin folder at the canonical `path`. Opens no library.
#[cfg(feature = "plugins")]
pub(super) fn read_folder(path: PathBuf, rules: &Arc<Rules>) -> Result<Folder, RegistryError> {
    let (mut offers, mut problems) = (Vec::new(), Vec::new());
    for manifest in folder::manifests(&path)? {
        match Manifest::read(&manifest) {
            Ok(manifest) => offers.extend(library::announced(&path, &manifest, rules)),
            Err(error) => problems.push(error),
        }
    }
    Ok(Folder { path, offers, problems })
}

/// Opens the library at `path` and returns its entry points.
#[cfg(feature = "plugins")]
pub(super) fn open_library(path: &Path, rules: &Arc<Rules>) -> Result<Vec<(String, Offer)>, RegistryError> {
    Ok(library::opened(path, rules)?)
}

#[cfg(not(feature = "plugins"))]
pub(super) fn folder_path(path: &Path) -> Result<PathBuf, RegistryError> {
    Err(RegistryError::PluginsDisabled { path: path.to_owned() })
}

#[cfg(not(feature = "plugins"))]
pub(super) fn read_folder(path: PathBuf, _rules: &Arc<Rules>) -> Result<Folder, RegistryError> {
    Err(RegistryError::PluginsDisabled { path })
}

#[cfg(not(feature = "plugins"))]
pub(super) fn open_library(path: &Path, _rules: &Arc<Rules>) -> Result<Vec<(String, Offer)>, RegistryError> {
    Err(RegistryError::PluginsDisabled { path: path.to_owned() })
}
