//! [`RegistryError`]: why an entry point, a manifest, or a plugin folder cannot be used.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use dogpile_sdk::{BackendError, did_you_mean, error_chain};

use super::entry_point::{EntryKind, Origin};
use super::environment::PLUGIN_PATH;
#[cfg(feature = "plugins")]
use super::library_error::LibraryError;
use crate::bundled;
use crate::causes::with_causes;

/// Why an entry point, a manifest, or a plugin folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// No entry point has this name.
    #[error(transparent)]
    Unknown(Box<UnknownEntryPoint>),
    /// A proxy is used as a backend, or a backend as a proxy.
    #[error("cannot use {name:?} of {origin} as a {requested}: {}", match requested {
        EntryKind::Backend => "it is a proxy; list it under `wrap`",
        EntryKind::Proxy => "it is a backend; name it as `backend`",
    })]
    WrongKind {
        /// The kind as which it was used.
        requested: EntryKind,
        /// The name of the entry point.
        name: String,
        /// What provides it.
        origin: Origin,
    },
    /// An entry point is provided twice.
    #[error("entry point {name:?} is provided twice: by {}, and by {}; remove one of them", origins[0], origins[1])]
    Duplicate {
        /// The name of the entry point.
        name: String,
        /// What provides it.
        origins: Box<[Origin; 2]>,
    },
    /// The name is not a valid name of an entry point.
    #[error("invalid entry-point name {name:?}: expected letters, digits, '.', '_', and '-'")]
    InvalidName {
        /// The name.
        name: String,
    },
    /// The entry point exists, but a restriction forbids its use.
    #[error("entry point {name:?} of {origin} is forbidden: {reason}; see [plugins]")]
    Denied {
        /// The name of the entry point.
        name: String,
        /// What provides it.
        origin: Origin,
        /// The list that forbids it.
        reason: String,
    },
    /// The pin of a library is not valid.
    #[error("invalid pin of {file:?}: {problem}")]
    Pin {
        /// The file of the library.
        file: String,
        /// The reason.
        problem: String,
    },
    /// A plugin folder cannot be used.
    #[error("plugin folder {path:?} cannot be used: {problem}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The reason, and what to do.
        problem: String,
    },
    /// This build cannot load plugin libraries.
    #[error(
        "cannot use plugins of {path:?}: this build cannot load plugin libraries; enable the feature \"plugins\" of \
         the crate dogpile"
    )]
    PluginsDisabled {
        /// The folder or library.
        path: PathBuf,
    },
    /// The manifest of a plugin cannot be used.
    #[error("plugin manifest {path:?} cannot be used: {problem}")]
    Manifest {
        /// The file of the manifest.
        path: PathBuf,
        /// The reason, and what to do.
        problem: String,
    },
    /// A plugin library cannot be used.
    #[cfg(feature = "plugins")]
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The backend or proxy could not be built.
    #[error(fmt = show_refused)]
    Refused {
        /// The kind.
        kind: EntryKind,
        /// The name of the entry point.
        name: String,
        /// What provides it.
        origin: Origin,
        /// The reason.
        source: BackendError,
    },
}

fn show_refused(
    kind: &EntryKind,
    name: &str,
    origin: &Origin,
    source: &BackendError,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    with_causes(f, format_args!("{kind} {name:?} of {origin} could not be built"), source)
}

impl RegistryError {
    /// Returns the region's setting that names the entry point, if it is known. It is `backend` or `wrap`.
    pub fn setting(&self) -> Option<&str> {
        let kind = match self {
            RegistryError::Unknown(unknown) => unknown.kind,
            RegistryError::WrongKind { requested, .. } => *requested,
            RegistryError::Refused { kind, .. } => *kind,
            _ => return None,
        };
        Some(match kind {
            EntryKind::Backend => "backend",
            EntryKind::Proxy => "wrap",
        })
    }

    /// Returns the argument that the backend or proxy rejected, if it is known. An example is `max_entries`.
    pub fn argument(&self) -> Option<&str> {
        match self {
            RegistryError::Refused { source, .. } => source.argument(),
            _ => None,
        }
    }
}

/// The error for a name that no entry point has.
///
/// Its text lists the known names, the most similar name, and the folders that were searched.
#[derive(Debug)]
#[non_exhaustive]
pub struct UnknownEntryPoint {
    /// The requested kind.
    pub kind: EntryKind,
    /// The requested name.
    pub name: String,
    /// The known entry points of this kind.
    pub known: Vec<String>,
    /// The plugin folders that were searched.
    pub folders: Vec<PathBuf>,
    /// The folders and manifests that were skipped.
    pub problems: Vec<Arc<RegistryError>>,
}

impl UnknownEntryPoint {
    fn folders(&self) -> String {
        if !cfg!(feature = "plugins") {
            return "none (this build cannot load plugin libraries; enable the feature \"plugins\")"
                .to_owned();
        }
        if self.folders.is_empty() {
            return format!("none (list them in [plugins] path or {PLUGIN_PATH})");
        }
        self.folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ")
    }

    fn advice(&self) -> String {
        match (bundled::missing_feature(&self.name), self.problems.first()) {
            (Some(feature), _) => format!("enable the feature {feature:?} of the crate dogpile"),
            (None, Some(problem)) => {
                let more = self.problems.len() - 1;
                format!("skipped: {} (and {more} more)", error_chain(&**problem))
            }
            (None, None) => {
                "a crate that provides it must be named in code to be linked: `use its_crate as _;`"
                    .to_owned()
            }
        }
    }
}

impl Error for UnknownEntryPoint {}

impl fmt::Display for UnknownEntryPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hint = did_you_mean(&self.name, self.known.iter().map(String::as_str));
        let known = if self.known.is_empty() { "none".to_owned() } else { self.known.join(", ") };
        writeln!(f, "unknown {} {:?}{hint}", self.kind, self.name)?;
        writeln!(f, "known: {known}")?;
        writeln!(f, "plugin folders searched: {}", self.folders())?;
        f.write_str(&self.advice())
    }
}
