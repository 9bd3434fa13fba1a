//! Opens what a subcommand works on: a region of a configuration, or the plugins of a registry.

use std::path::Path;

use dogpile::{CacheRegion, Configuration, RegionConfig, Registry};

use crate::arguments::{Folders, Region};
use crate::error::CommandError;

/// Opens the region given on the command line.
pub(crate) fn open(asked: &Region) -> Result<CacheRegion, CommandError> {
    let configuration = Configuration::from_file(&asked.config)?;
    let region = CacheRegion::with_defaults(&asked.region, RegionConfig::default());
    configuration.configure(&region)?;
    Ok(region)
}

/// Returns a registry with the linked crates and the plugin folders of the command line and the environment.
///
/// The returned errors are those of folders that cannot be used.
pub(crate) fn registry(asked: &Folders) -> Result<(Registry, Vec<CommandError>), CommandError> {
    let registry = Registry::new();
    let mut refused = Vec::new();
    for folder in &asked.folders {
        if let Err(error) = registry.add_folder(folder) {
            refused.push(error.into());
        }
    }
    if let Some(config) = &asked.config
        && let Err(error) = Configuration::from_file_with(config, registry.clone())
    {
        refused.push(error.into());
    }
    Ok((registry, refused))
}

/// Returns the text of the file at `path`.
pub(crate) fn read(path: &Path) -> Result<String, CommandError> {
    std::fs::read_to_string(path).map_err(CommandError::file("read", path))
}

/// Writes `text` to the file at `path`.
pub(crate) fn write(path: &Path, text: impl AsRef<[u8]>) -> Result<(), CommandError> {
    std::fs::write(path, text).map_err(CommandError::file("written", path))
}
