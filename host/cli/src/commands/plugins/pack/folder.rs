//! Places a packed plugin in a folder, instead of its earlier version.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use dogpile::registry::Manifest;

use super::staging::{Staged, make_private};
use crate::error::CommandError;
use crate::plugin_files::{self, Placed};
use crate::replacing::Replacement;

/// Writes the plugin to the folder `out`, which is created if needed. Returns the files of an earlier version that were
/// removed.
///
/// # Errors
/// If another plugin in the folder provides one of the names. Nothing is written then.
pub(super) fn place(staged: &Staged, out: &Path) -> Result<Vec<PathBuf>, CommandError> {
    create(out)?;
    let (library, manifest) = (placed(&staged.library, out), placed(&staged.manifest_path, out));
    let others: Vec<Placed> = others(out, &manifest);
    // The library's file replaces that of such a manifest, which would be refused from now on.
    let (stale, others): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|(_, other)| other.library == staged.manifest.library);
    others.iter().try_for_each(|(path, other)| check_free(&staged.manifest, path, other))?;
    let mut removed: Vec<PathBuf> = stale.into_iter().map(|(path, _)| path).collect();
    removed.extend(former_library(&staged.manifest, &manifest, &others));

    let new_library = copied(&staged.library, &library, 0o755)?;
    let new_manifest = copied(&staged.manifest_path, &manifest, 0o644)?;
    // A library that is in use stays unchanged, because the new file replaces only its name. Until the second step, a host
    // refuses the plugin, because the manifest has another hash.
    new_library.take_place(&library)?;
    new_manifest.take_place(&manifest)?;
    removed.retain(|path| path.symlink_metadata().is_ok());
    for path in &removed {
        fs::remove_file(path).map_err(CommandError::file("removed", path))?;
    }
    Ok(removed)
}

fn create(out: &Path) -> Result<(), CommandError> {
    if out.is_dir() {
        return Ok(());
    }
    if out.symlink_metadata().is_ok() {
        let out = out.display();
        return Err(CommandError::other(format!(
            "{out} is not a folder; name a folder, or an archive that ends in .tar.gz"
        )));
    }
    let mut folders = fs::DirBuilder::new();
    // Hosts refuse a folder to which others can write, and those above it.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folders, 0o755);
    folders.recursive(true).create(out).map_err(CommandError::file("made", out))?;
    make_private(out, 0o755)
}

fn placed(file: &Path, out: &Path) -> PathBuf {
    out.join(file.file_name().unwrap_or_default())
}

/// Returns the manifests in `folder`, except the one at `own`. Those that no host accepts do not count.
fn others(folder: &Path, own: &Path) -> Vec<Placed> {
    let files = plugin_files::files_in(folder).into_iter();
    let manifests = files.filter(|path| plugin_files::is_manifest(path) && path != own);
    manifests.filter_map(|path| Manifest::read(&path).ok().map(|manifest| (path, manifest))).collect()
}

/// Returns an error if the plugin `other` provides a name of `manifest`. A host would use neither of them.
fn check_free(manifest: &Manifest, path: &Path, other: &Manifest) -> Result<(), CommandError> {
    let is_taken = |name: &str| other.entry_points.iter().any(|entry| entry.name == name);
    match manifest.entry_points.iter().find(|entry| is_taken(&entry.name)) {
        None => Ok(()),
        Some(entry) => Err(CommandError::other(format!(
            "{} of plugin {} {} provides {:?} as well, so that no host could use it; remove that plugin, or pack into \
             another folder",
            path.display(),
            other.name,
            other.version,
            entry.name
        ))),
    }
}

/// Returns the library of the earlier version whose manifest is at `path`, unless one of `others` needs it.
fn former_library(manifest: &Manifest, path: &Path, others: &[Placed]) -> Option<PathBuf> {
    let former = Manifest::read(path).ok()?.library;
    let is_needed = former == manifest.library || others.iter().any(|(_, other)| other.library == former);
    (!is_needed).then(|| path.with_file_name(former))
}

/// Returns a copy of `file` that can take the place of `target`.
fn copied(file: &Path, target: &Path, mode: u32) -> Result<Replacement, CommandError> {
    let mut source = File::open(file).map_err(CommandError::file("read", file))?;
    Replacement::new(target, mode, |copy| {
        io::copy(&mut source, copy)?;
        copy.flush()
    })
}
