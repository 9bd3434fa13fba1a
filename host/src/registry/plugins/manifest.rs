//! [`Manifest`]: the entry points of a plugin library, known without running any of its code.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::file;
use super::permission::{self, Refusal};
use crate::registry::name::check_name;
use crate::registry::{EntryKind, RegistryError};

/// The largest manifest that is read, in bytes.
const MAX_BYTES: u64 = 64 << 10;

/// The entry points of a plugin library, listed in `<name>.dogpile.toml` in the library's folder.
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
#[non_exhaustive]
pub struct Manifest {
    /// The name of the plugin.
    pub name: String,
    /// The version of the plugin.
    pub version: String,
    /// The file name of the library, which lies in the manifest's folder.
    pub library: PathBuf,
    /// The hexadecimal SHA-256 of the library. If set, a library with another one is not opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The entry points of the library.
    pub entry_points: Vec<ManifestEntry>,
}

/// One entry point of a [`Manifest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ManifestEntry {
    /// The name that configurations use.
    pub name: String,
    /// The kind.
    pub kind: EntryKind,
}

impl Manifest {
    /// Reads the manifest at `path`.
    ///
    /// # Errors
    /// If the file cannot be read, is not a regular file of at most 64 KiB, or is not a valid manifest. Also if users
    /// other than its owner can write to it or to a folder on the way to it.
    pub fn read(path: &Path) -> Result<Self, RegistryError> {
        let refused = |problem| RegistryError::Manifest { path: path.to_owned(), problem };
        let unread = |refusal: Refusal| refused(refusal.to_string());
        let bytes =
            permission::resolve(path).and_then(|path| file::read(&path, MAX_BYTES)).map_err(unread)?;
        let text = String::from_utf8(bytes).map_err(|error| refused(error.utf8_error().to_string()))?;
        let manifest = Self::parse(&text).map_err(refused)?;
        manifest.check().map_err(refused)?;
        Ok(manifest)
    }

    fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1;
            format!("line {line}: {}", error.message())
        })
    }

    fn check(&self) -> Result<(), String> {
        if self.library.file_name() != Some(self.library.as_os_str()) {
            let library = self.library.display();
            return Err(format!(
                "invalid library {library:?}: expected the plain name of a file in the manifest's folder"
            ));
        }
        let is_sha256 = |pin: &String| pin.len() == 64 && pin.bytes().all(|b| b.is_ascii_hexdigit());
        if let Some(pin) = self.sha256.as_ref().filter(|pin| !is_sha256(pin)) {
            return Err(format!("invalid sha256 {pin:?}: expected 64 hexadecimal digits"));
        }
        let mut names = self.entry_points.iter().map(|entry| &entry.name);
        names.try_for_each(|name| check_name(name).map_err(|error| error.to_string()))
    }

    /// Returns the text of the manifest, which [`read`](Self::read) accepts.
    pub fn to_toml(&self) -> String {
        // Serializing a struct of strings cannot fail. `read` would reject an empty text.
        toml::to_string(self).unwrap_or_default()
    }
}
