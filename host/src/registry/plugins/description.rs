//! [`LibraryDescription`]: what an opened plugin library reports about itself.

use std::path::{Path, PathBuf};

use super::compiler;
use super::library::{Opened, entries_of, open};
use super::manifest::{Manifest, ManifestEntry};
use crate::registry::trust::Rules;
use crate::registry::{LibraryError, LibraryProblem, RegistryError};

/// What an opened plugin library reports about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LibraryDescription {
    /// The canonical path of the library's file.
    pub path: PathBuf,
    /// The package from which the library was built.
    pub package: String,
    /// The version of this package.
    pub version: String,
    /// The version of dogpile-sdk with which the library was built.
    pub sdk_version: String,
    /// The version of the binary interface with which the library was built.
    pub abi_version: String,
    /// The compiler with which the library was built, such as `rustc 1.95.0 (59807616e 2026-04-14)`.
    pub compiler: String,
    /// The known miscompilation of this compiler, and what to do, if it has one.
    pub miscompilation: Option<String>,
    /// The hexadecimal SHA-256 of the file.
    pub sha256: String,
    /// The entry points of the library.
    pub entry_points: Vec<ManifestEntry>,
}

impl LibraryDescription {
    /// Opens the library at `path` and reads its description. The library stays open.
    ///
    /// If `pin` is given, the library must have this hexadecimal SHA-256.
    ///
    /// # Errors
    /// If the library cannot be opened.
    pub fn read(path: impl AsRef<Path>, pin: Option<&str>) -> Result<Self, LibraryError> {
        let path = path.as_ref();
        let failed = |problem| LibraryError { path: path.to_owned(), problem };
        let Opened { library: opened, path: canonical, inspected } = open(path, pin, &Rules::default())?;
        Ok(LibraryDescription {
            package: opened.package().to_owned(),
            version: opened.version().to_owned(),
            sdk_version: opened.sdk_version().to_owned(),
            abi_version: opened.abi_version().to_owned(),
            compiler: opened.compiler().to_owned(),
            miscompilation: compiler::miscompilation(opened.compiler()),
            sha256: inspected.sha256().to_owned(),
            entry_points: entries_of(opened).map_err(failed)?,
            path: canonical,
        })
    }
}

impl Manifest {
    /// Opens the library at `path` and returns its manifest, which belongs in the library's folder.
    ///
    /// # Errors
    /// If the library cannot be opened, or its file name is not valid UTF-8.
    pub fn describe(path: &Path) -> Result<Self, RegistryError> {
        // A manifest is text, so that it could not name the file.
        if path.file_name().is_some_and(|name| name.to_str().is_none()) {
            let why = "the file name is not valid UTF-8, as a manifest is; rename the file".to_owned();
            return Err(
                LibraryError { path: path.to_owned(), problem: LibraryProblem::NotALibrary(why) }.into()
            );
        }
        let description = LibraryDescription::read(path, None)?;
        Ok(Manifest {
            name: description.package,
            version: description.version,
            library: path.file_name().unwrap_or_default().into(),
            sha256: Some(description.sha256),
            entry_points: description.entry_points,
        })
    }
}
