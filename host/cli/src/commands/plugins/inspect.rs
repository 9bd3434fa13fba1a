//! `dogpile plugins inspect FILE`.

use std::path::{Path, PathBuf};

use dogpile::registry::ManifestEntry;
use serde::Serialize;

use crate::answer::{Answer, Answered, to_json};
use crate::found_library::FoundLibrary;
use crate::page::{Color, Page, padded};
use crate::plugin_files;

/// What a library reports about itself.
#[derive(Serialize)]
struct Inspected {
    library: PathBuf,
    manifest: Option<PathBuf>,
    package: String,
    version: String,
    sdk_version: String,
    abi_version: String,
    host_abi_version: &'static str,
    compiler: String,
    miscompilation: Option<String>,
    sha256: String,
    pinned: bool,
    entry_points: Vec<ManifestEntry>,
}

/// Opens the library `file`, or the one that it names or contains.
pub(super) fn run(file: &Path) -> Answered {
    let found = FoundLibrary::of(file)?;
    let told = found.description()?;
    if let Some((path, manifest)) = &found.manifest {
        plugin_files::agree(&found.shown(path), manifest, &told.entry_points)?;
    }
    let manifest = found.manifest.as_ref();
    Ok(Box::new(Inspected {
        library: told.path,
        manifest: manifest.map(|(path, _)| found.shown(path)),
        package: told.package,
        version: told.version,
        sdk_version: told.sdk_version,
        abi_version: told.abi_version,
        host_abi_version: dogpile::registry::ABI_VERSION,
        compiler: told.compiler,
        miscompilation: told.miscompilation,
        sha256: told.sha256,
        pinned: manifest.is_some_and(|(_, manifest)| manifest.sha256.is_some()),
        entry_points: told.entry_points,
    }))
}

impl Answer for Inspected {
    fn json(&self) -> serde_json::Value {
        to_json(self)
    }

    fn show(&self, page: &mut Page) {
        let mut fact = |what: &str, text: &str| {
            let first = page.paint(Color::Dim, &padded(what, 10));
            page.wrapped(&first, &" ".repeat(10), text);
        };
        fact("library", &self.library.display().to_string());
        let manifest = self.manifest.as_ref().map(|path| path.display().to_string());
        fact("manifest", manifest.as_deref().unwrap_or("none beside it"));
        fact("package", &format!("{} {}", self.package, self.version));
        fact("SDK", &self.sdk_version);
        fact("compiler", &self.compiler);
        if let Some(miscompilation) = &self.miscompilation {
            fact("warning", miscompilation);
        }
        fact("ABI", &format!("{} (this host has {})", self.abi_version, self.host_abi_version));
        let pinned = if self.pinned { " (as the manifest says)" } else { "" };
        fact("SHA-256", &format!("{}{pinned}", self.sha256));
        for entry in &self.entry_points {
            fact(&entry.kind.to_string(), &entry.name);
        }
    }
}
