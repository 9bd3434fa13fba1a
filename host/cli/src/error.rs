//! [`CommandError`]: why the command failed.

use std::path::{Path, PathBuf};

use dogpile::registry::{LibraryError, RegistryError};
use dogpile::sdk::{BackendError, error_chain};
use dogpile::{ConfigurationError, RegionError};

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// The configuration is invalid.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// A region failed.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// An entry point cannot be used.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A plugin library cannot be used.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// A backend that was called without its region failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// A file or folder cannot be used.
    #[error("{path:?} cannot be {operation}")]
    File {
        /// The path.
        path: PathBuf,
        /// The failed operation as a participle, such as `read`.
        operation: &'static str,
        /// The reason.
        source: std::io::Error,
    },
    /// There is no configuration at this path.
    #[error(
        "the configuration {path:?} does not exist; name another file with --config, or in the environment variable \
         DOGPILE_CONFIG"
    )]
    NoConfiguration {
        /// The path.
        path: PathBuf,
    },
    /// The result cannot be written.
    #[error("the output cannot be written")]
    Output {
        /// The reason.
        source: std::io::Error,
    },
    /// Any other failure.
    #[error("{0}")]
    Other(String),
}

impl CommandError {
    /// Creates an error whose `text` states what failed, why, and what to do.
    pub(crate) fn other(text: impl Into<String>) -> Self {
        CommandError::Other(text.into())
    }

    /// Returns the error with the path `known` instead of `temporary`, which means nothing to users.
    pub(crate) fn with_path(self, temporary: &Path, known: &Path) -> Self {
        let text = causes(&self).join(": ");
        // Some errors quote paths, and escape characters in them.
        let quoted = |path: &Path| format!("{path:?}").trim_matches('"').to_owned();
        let plain = |path: &Path| path.to_string_lossy().into_owned();
        let replaced =
            text.replace(&quoted(temporary), &quoted(known)).replace(&plain(temporary), &plain(known));
        if replaced == text { self } else { CommandError::Other(replaced) }
    }

    /// Returns a function for `map_err`: the file at `path` cannot be `operation`, such as `read`.
    pub(crate) fn file(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| CommandError::File { path: path.to_owned(), operation, source }
    }
}

/// Returns the messages of `error` and its causes. One that repeats the message before it is left out.
pub(crate) fn causes(error: &dyn std::error::Error) -> Vec<String> {
    let mut messages: Vec<String> = error_chain(error).messages().collect();
    messages.dedup_by(|cause, message| cause.ends_with(message.as_str()));
    messages
}
