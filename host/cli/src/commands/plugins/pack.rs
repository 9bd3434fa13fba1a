//! `dogpile plugins pack LIBRARY --out FILE`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dogpile::registry::Manifest;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

use crate::answer::{Answer, Answered, to_json};
use crate::arguments::Pack;
use crate::error::CommandError;
use crate::page::Page;
use crate::plugin_files::MANIFEST_SUFFIX;
use crate::{plugin_files, workplace};

/// The end of an archive's name.
const ARCHIVE_SUFFIX: &str = ".tar.gz";

/// The files that were made.
#[derive(Serialize)]
struct Packed {
    out: PathBuf,
    library: PathBuf,
    manifest: String,
    size_before: u64,
    size: u64,
    sha256: Option<String>,
    entry_points: usize,
}

/// Makes a folder, or an archive, of the library and a manifest with its SHA-256.
pub(super) fn run(asked: &Pack) -> Answered {
    let name = asked.library.file_name().unwrap_or_default();
    // Build the result in a temporary folder, so that a failure leaves nothing incomplete.
    let aside = tempfile::tempdir().map_err(CommandError::file("made", &std::env::temp_dir()))?;
    make_private(aside.path(), 0o700)?;
    let library = aside.path().join(name);
    let size_before = prepare(asked, &library)?;
    let manifest = completed(Manifest::describe(&library)?, asked.manifest.as_deref())?;
    let file = manifest_file(&manifest)?;
    let files = [library.clone(), aside.path().join(&file)];
    workplace::write(&files[1], manifest.to_toml())?;
    make_private(&files[1], 0o644)?;
    let is_archive = asked.out.to_string_lossy().ends_with(ARCHIVE_SUFFIX);
    if is_archive {
        archive(&files, &manifest, &asked.out)?;
    } else {
        folder(&files, &asked.out)?;
    }
    Ok(Box::new(Packed {
        out: asked.out.clone(),
        library: name.into(),
        manifest: file,
        size_before,
        size: fs::metadata(&library).map_err(CommandError::file("read", &library))?.len(),
        sha256: manifest.sha256,
        entry_points: manifest.entry_points.len(),
    }))
}

/// Copies the requested library to `copy`, strips it if wanted, and returns its size before.
fn prepare(asked: &Pack, copy: &Path) -> Result<u64, CommandError> {
    let size = fs::copy(&asked.library, copy).map_err(CommandError::file("copied", &asked.library))?;
    make_private(copy, 0o755)?;
    if !asked.keep_symbols {
        strip(copy)?;
    }
    Ok(size)
}

/// Returns `described`, with the name and version from the manifest at `written`.
fn completed(mut described: Manifest, written: Option<&Path>) -> Result<Manifest, CommandError> {
    let Some(path) = written else { return Ok(described) };
    // Its permissions do not matter: the user named the file, and only its text is read.
    let manifest: Manifest = toml::from_str(&workplace::read(path)?)
        .map_err(|error| CommandError::other(format!("{}: {error}", path.display())))?;
    plugin_files::agree(path, &manifest, &described.entry_points)?;
    (described.name, described.version) = (manifest.name, manifest.version);
    Ok(described)
}

/// Returns the file name of `manifest`.
fn manifest_file(manifest: &Manifest) -> Result<String, CommandError> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
    if manifest.name.is_empty() || manifest.name.starts_with('.') || !manifest.name.chars().all(plain) {
        return Err(CommandError::other(format!(
            "the plugin's name {:?} cannot be that of a file; use letters, digits, '.', '_' and '-'",
            manifest.name
        )));
    }
    Ok(format!("{}{MANIFEST_SUFFIX}", manifest.name))
}

/// Removes the write permission of other users, which a user's umask may grant and the host refuses.
#[cfg(unix)]
fn make_private(path: &Path, mode: u32) -> Result<(), CommandError> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(CommandError::file("changed", path))
}

#[cfg(not(unix))]
fn make_private(_path: &Path, _mode: u32) -> Result<(), CommandError> {
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

/// Writes `files` to the folder `out`, creating it if needed.
fn folder(files: &[PathBuf], out: &Path) -> Result<(), CommandError> {
    if !out.is_dir() {
        fs::create_dir_all(out).map_err(CommandError::file("made", out))?;
        make_private(out, 0o755)?;
    }
    for file in files {
        let target = out.join(file.file_name().unwrap_or_default());
        // A library that is in use stays unchanged, because the new file replaces only its name.
        let fresh = target.with_extension("new");
        fs::copy(file, &fresh).map_err(CommandError::file("written", &fresh))?;
        fs::rename(&fresh, &target).map_err(CommandError::file("written", &target))?;
    }
    Ok(())
}

/// Writes `files` to the archive `out`, below a folder named after the plugin.
fn archive(files: &[PathBuf], manifest: &Manifest, out: &Path) -> Result<(), CommandError> {
    let failed = CommandError::file("written", out);
    let file = fs::File::create(out).map_err(CommandError::file("written", out))?;
    let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::best()));
    // The same library makes the same archive, regardless of the time and the user.
    archive.mode(tar::HeaderMode::Deterministic);
    let below = format!("{}-{}", manifest.name, manifest.version);
    let written = files.iter().try_for_each(|file| {
        archive.append_path_with_name(file, Path::new(&below).join(file.file_name().unwrap_or_default()))
    });
    let finished = written.and_then(|()| archive.into_inner()?.finish());
    finished.map(|_| ()).map_err(failed)
}

impl Answer for Packed {
    fn json(&self) -> serde_json::Value {
        to_json(self)
    }

    fn show(&self, page: &mut Page) {
        page.line(format!("packed into {}", self.out.display()));
        page.line(format!("  {} ({} bytes, of {})", self.library.display(), self.size, self.size_before));
        page.line(format!("  {} (entry points: {})", self.manifest, self.entry_points));
        if let Some(sha256) = &self.sha256 {
            page.line(format!("  SHA-256 {sha256}"));
        }
    }
}
