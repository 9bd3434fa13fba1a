//! `dogpile plugins pack LIBRARY --out FILE`.

mod accepted;
mod folder;
mod staging;

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use self::staging::Staged;
use crate::answer::{Answer, Answered, to_json};
use crate::arguments::Pack;
use crate::error::CommandError;
use crate::page::{Color, Page};
use crate::plugin_archive;

/// The ends of the names of archives that are not made.
const OTHER_ARCHIVES: [&str; 8] = [".tar", ".gz", ".xz", ".bz2", ".zst", ".zip", ".7z", ".crate"];

/// The files that were made.
#[derive(Serialize)]
struct Packed {
    out: PathBuf,
    library: PathBuf,
    manifest: PathBuf,
    size_before: u64,
    size: u64,
    sha256: Option<String>,
    entry_points: usize,
    /// The files of an earlier version that were removed.
    removed: Vec<PathBuf>,
    /// The reason why a host refuses the folder, if it does.
    refused: Option<String>,
}

/// Makes a folder, or an archive, of the library and a manifest with its SHA-256.
pub(super) fn run(asked: &Pack) -> Answered {
    check_out(&asked.out)?;
    // The result is built in a temporary folder, so that a failure leaves nothing incomplete.
    let staged = Staged::of(asked)?;
    let (mut removed, mut refused) = (Vec::new(), None);
    if plugin_archive::is_archive(&asked.out) {
        let below = format!("{}-{}", staged.manifest.name, staged.manifest.version);
        plugin_archive::write(&[&staged.library, &staged.manifest_path], &below, &asked.out)?;
    } else {
        removed = folder::place(&staged, &asked.out)?;
        refused = accepted::refused_folder(&asked.out);
    }
    let size = fs::metadata(&staged.library).map_err(CommandError::file("read", &staged.library))?.len();
    Ok(Box::new(Packed {
        out: asked.out.clone(),
        library: staged.manifest.library,
        manifest: staged.manifest_path.file_name().unwrap_or_default().into(),
        size_before: staged.size_before,
        size,
        sha256: staged.manifest.sha256,
        entry_points: staged.manifest.entry_points.len(),
        removed,
        refused,
    }))
}

/// Returns an error if `out` looks like an archive of another kind.
fn check_out(out: &Path) -> Result<(), CommandError> {
    let name = out.to_string_lossy();
    if !plugin_archive::is_archive(out) && OTHER_ARCHIVES.iter().any(|end| name.ends_with(end)) {
        return Err(CommandError::other(format!(
            "archive {name:?} cannot be made: expected a name that ends in .tar.gz, or a folder"
        )));
    }
    Ok(())
}

impl Answer for Packed {
    fn json(&self) -> serde_json::Value {
        to_json(self)
    }

    fn show(&self, page: &mut Page) {
        page.line(format!("packed into {}", self.out.display()));
        page.line(format!("  {} ({} bytes, of {})", self.library.display(), self.size, self.size_before));
        page.line(format!("  {} (entry points: {})", self.manifest.display(), self.entry_points));
        if let Some(sha256) = &self.sha256 {
            page.line(format!("  SHA-256 {sha256}"));
        }
        for path in &self.removed {
            page.line(format!("  removed {}, of an earlier version", path.display()));
        }
        if let Some(refused) = &self.refused {
            let mark = page.paint(Color::Yellow, "warning");
            page.wrapped(&format!("{mark}: "), "  ", &format!("a host refuses this folder: {refused}"));
        }
    }
}
