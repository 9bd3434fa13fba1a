//! [`Manifest`]: what a plugin library offers, readable without running any of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::entry_point::EntryKind;
use super::error::RegistryError;
use super::{inspect, library::PluginLibrary, offers, permission};

/// The most that is read of a manifest, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// What a plugin library offers, as the file `<name>.dogpile.toml` beside it says.
///
/// ```toml
/// name = "acme-dogpile"
/// version = "0.1.0"
/// library = "libacme_dogpile.so"
/// sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
///
/// [[entry_points]]
/// name = "acme.shelf"
/// kind = "backend"
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The plugin.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The library's file, which lies in the manifest's folder.
    pub library: PathBuf,
    /// The library's SHA-256 in hexadecimal digits. If given, a library of another is not opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// What it offers.
    pub entry_points: Vec<ManifestEntry>,
}

/// One entry point of a [`Manifest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestEntry {
    /// The name that configurations use.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
}

impl Manifest {
    /// Reads the manifest at `path`.
    ///
    /// # Errors
    /// If it cannot be read, is none, or others than its owner may write to it.
    pub fn read(path: &Path) -> Result<Self, RegistryError> {
        let refused = |problem| RegistryError::Manifest { path: path.to_owned(), problem };
        permission::check(path).map_err(refused)?;
        let size = std::fs::metadata(path).map_err(|error| refused(error.to_string()))?.len();
        if size > MAX_BYTES {
            return Err(refused(format!("it has {size} bytes, and a manifest has at most {MAX_BYTES}")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
        let manifest: Manifest = toml::from_str(&text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1;
            refused(format!("line {line}: {}", error.message()))
        })?;
        manifest.check().map_err(refused)?;
        Ok(manifest)
    }

    /// Whether what it says can be so.
    fn check(&self) -> Result<(), String> {
        if self.library.file_name() != Some(self.library.as_os_str()) {
            let library = self.library.display();
            return Err(format!("library {library:?} is not the plain name of a file beside the manifest"));
        }
        let hexadecimal = |pin: &String| pin.len() == 64 && pin.bytes().all(|b| b.is_ascii_hexdigit());
        if let Some(pin) = self.sha256.as_ref().filter(|pin| !hexadecimal(pin)) {
            return Err(format!("sha256 {pin:?} is not 64 hexadecimal digits"));
        }
        self.entry_points
            .iter()
            .try_for_each(|entry| offers::check_name(&entry.name).map_err(|error| error.to_string()))
    }

    /// The manifest for the library at `path`, which is opened to ask for its entry points. It belongs beside
    /// the library.
    ///
    /// # Errors
    /// If the library cannot be opened.
    pub fn describe(path: &Path) -> Result<Self, RegistryError> {
        let (library, entry_points) = PluginLibrary::open_now(path, &Arc::default())?;
        let (name, version) = library.identity();
        let failed = |problem| super::LibraryError { path: path.to_owned(), problem };
        Ok(Manifest {
            name,
            version,
            library: path.file_name().unwrap_or_default().into(),
            sha256: Some(inspect::sha256_of(path).map_err(failed)?),
            entry_points,
        })
    }

    /// Its text, as it is read from a file.
    pub fn to_toml(&self) -> String {
        // A struct of strings serialises; if not, an empty text is one that `read` refuses.
        toml::to_string(self).unwrap_or_default()
    }
}
