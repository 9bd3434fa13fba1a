//! [`CommandError`]: why the command could not do what it was asked.

use std::path::{Path, PathBuf};

use dogpile::registry::{LibraryError, RegistryError};
use dogpile::sdk::BackendError;
use dogpile::{ConfigurationError, RegionError};

/// Why the command could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// The configuration.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// A region.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// An entry point.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A plugin library.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// A backend, asked without its region.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// A file or folder.
    #[error("{path:?} cannot be {operation}")]
    File {
        /// The file.
        path: PathBuf,
        /// What was being done, such as `read`.
        operation: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// Anything else; the text says what, and what to do.
    #[error("{0}")]
    Other(String),
}

impl CommandError {
    /// `text` says what happened, to which thing, what to do.
    pub(crate) fn other(text: impl Into<String>) -> Self {
        CommandError::Other(text.into())
    }

    /// For `map_err`: the file at `path` cannot be `operation`, such as `read`.
    pub(crate) fn file(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| CommandError::File { path: path.to_owned(), operation, source }
    }
}

/// What `error` and its causes say, one after the other; what is said twice, once.
pub(crate) fn causes(error: &dyn std::error::Error) -> Vec<String> {
    let errors = std::iter::successors(Some(error), |error| error.source());
    let mut said: Vec<String> = errors.map(ToString::to_string).collect();
    said.dedup();
    said
}
