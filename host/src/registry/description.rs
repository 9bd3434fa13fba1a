//! [`LibraryDescription`]: what an opened plugin library says of itself.

use std::path::{Path, PathBuf};

use super::error::LibraryError;
use super::library::{entries_of, open};
use super::manifest::ManifestEntry;
use super::trust::Rules;
use super::{LibraryProblem, inspect};

/// What a plugin library says of itself once it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LibraryDescription {
    /// The library's file, its links resolved.
    pub path: PathBuf,
    /// The package that it was built from.
    pub package: String,
    /// That package's version.
    pub version: String,
    /// The version of dogpile-sdk that it was built with.
    pub sdk_version: String,
    /// The version of the binary interface that it was built with.
    pub abi_version: String,
    /// Its SHA-256 in hexadecimal digits.
    pub sha256: String,
    /// What it offers.
    pub entry_points: Vec<ManifestEntry>,
}

impl LibraryDescription {
    /// Opens the library at `path`, which stays open, and asks it. It must have the SHA-256 `pin`, if one is given.
    ///
    /// # Errors
    /// If it cannot be opened; the error tells why, and what to do.
    pub fn read(path: impl AsRef<Path>, pin: Option<&str>) -> Result<Self, LibraryError> {
        let path = path.as_ref();
        let failed = |problem| LibraryError { path: path.to_owned(), problem };
        let canonical = path.canonicalize().map_err(|error| failed(LibraryProblem::Unreadable(error)))?;
        let opened = open(&canonical, pin, &Rules::default()).map_err(failed)?;
        Ok(LibraryDescription {
            package: opened.package().to_owned(),
            version: opened.version().to_owned(),
            sdk_version: opened.sdk_version().to_owned(),
            abi_version: opened.abi_version().to_owned(),
            sha256: inspect::sha256_of(&canonical).map_err(failed)?,
            entry_points: entries_of(opened).map_err(failed)?,
            path: canonical,
        })
    }
}
