//! [`Staged`]: a library and its manifest in a temporary folder, before they are placed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dogpile::registry::Manifest;
use tempfile::TempDir;

use super::accepted;
use crate::arguments::Pack;
use crate::error::CommandError;
use crate::plugin_files::{self, MANIFEST_SUFFIX};
use crate::workplace;

/// A library and its manifest in a temporary folder.
pub(super) struct Staged {
    pub(super) library: PathBuf,
    pub(super) manifest_path: PathBuf,
    pub(super) manifest: Manifest,
    /// The size of the library that cargo built, in bytes.
    pub(super) size_before: u64,
    _folder: TempDir,
}

impl Staged {
    /// Copies and describes the requested library. Errors have its path, and not that of the copy.
    pub(super) fn of(asked: &Pack) -> Result<Self, CommandError> {
        let metadata = fs::metadata(&asked.library).map_err(CommandError::file("read", &asked.library))?;
        if !metadata.is_file() {
            let path = asked.library.display();
            return Err(CommandError::other(format!(
                "{path} is not a file; name the library that cargo built"
            )));
        }
        let folder = workplace::temporary_folder()?;
        let library = folder.path().join(asked.library.file_name().unwrap_or_default());
        let size_before = metadata.len();
        let manifest =
            described(asked, &library).map_err(|error| error.with_path(&library, &asked.library))?;
        accepted::check_entry_points(&manifest.entry_points, asked.reserved)?;
        let manifest_path = folder.path().join(manifest_file(&manifest)?);
        workplace::write(&manifest_path, manifest.to_toml())?;
        make_private(&manifest_path, 0o644)?;
        accepted::check_manifest(&manifest_path)?;
        Ok(Staged { library, manifest_path, manifest, size_before, _folder: folder })
    }
}

/// Copies the requested library to `copy`, strips it if wanted, and returns its manifest.
fn described(asked: &Pack, copy: &Path) -> Result<Manifest, CommandError> {
    fs::copy(&asked.library, copy).map_err(CommandError::file("copied", &asked.library))?;
    make_private(copy, 0o755)?;
    if !asked.keep_symbols
        && let Err(refused) = strip(copy)
    {
        // The reason of the tool says less if the file is not a library.
        Manifest::describe(copy)?;
        return Err(refused);
    }
    completed(Manifest::describe(copy)?, asked.manifest.as_deref())
}

/// Returns `described`, with the name and version from the manifest at `written`.
fn completed(mut described: Manifest, written: Option<&Path>) -> Result<Manifest, CommandError> {
    let Some(path) = written else { return Ok(described) };
    // Its permissions do not matter: the user named the file, and only its text is read.
    let manifest: Manifest = workplace::read_toml(path)?;
    plugin_files::agree(path, &manifest, &described.entry_points)?;
    (described.name, described.version) = (manifest.name, manifest.version);
    Ok(described)
}

/// Returns the file name of `manifest`. Its name and version are parts of names of files.
fn manifest_file(manifest: &Manifest) -> Result<String, CommandError> {
    for (what, text) in [("name", &manifest.name), ("version", &manifest.version)] {
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
        if text.is_empty() || text.starts_with('.') || !text.chars().all(plain) {
            return Err(CommandError::other(format!(
                "the plugin's {what} {text:?} cannot be part of a file name; use letters, digits, '.', '_', '-', and '+'"
            )));
        }
    }
    Ok(format!("{}{MANIFEST_SUFFIX}", manifest.name))
}

/// Removes the write permission of other users, which a user's umask may grant and the host refuses.
#[cfg(unix)]
pub(super) fn make_private(path: &Path, mode: u32) -> Result<(), CommandError> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(CommandError::file("changed", path))
}

#[cfg(not(unix))]
pub(super) fn make_private(_path: &Path, _mode: u32) -> Result<(), CommandError> {
    Ok(())
}

/// Removes from the library everything that is not needed to load it. The tool comes with the linker.
fn strip(library: &Path) -> Result<(), CommandError> {
    let option = if cfg!(target_os = "macos") { "-x" } else { "--strip-unneeded" };
    let stripped = Command::new("strip").arg(option).arg(library).output();
    let stripped = stripped.map_err(|error| {
        CommandError::other(format!(
            "the tool `strip` cannot be run ({error}); install binutils, or give --keep-symbols"
        ))
    })?;
    if stripped.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&stripped.stderr);
    Err(CommandError::other(format!("`strip` refused the library: {}", said.trim())))
}
