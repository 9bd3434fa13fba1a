//! What goes wrong between a name in a configuration and a backend that works.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use dogpile_abi::OpenError;
use dogpile_sdk::{BackendError, did_you_mean};

use super::PLUGIN_PATH;
use super::entry_point::{EntryKind, Origin};
use crate::bundled;

/// Why an entry point, a manifest or a plugin folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Nobody offers an entry point of that name.
    #[error(transparent)]
    Unknown(Box<UnknownEntryPoint>),
    /// A proxy is used as a backend, or the reverse.
    #[error("{name:?} of {origin} is no {asked}; {}", match asked {
        EntryKind::Backend => "name it under `wrap`",
        EntryKind::Proxy => "name it as `backend`",
    })]
    WrongKind {
        /// What it was used as.
        asked: EntryKind,
        /// The entry point.
        name: String,
        /// Who offers it.
        origin: Origin,
    },
    /// Two offer the same name.
    #[error("entry point {name:?} is offered twice: by {}, and by {}; remove one of them", origins[0], origins[1])]
    Duplicate {
        /// The entry point.
        name: String,
        /// Both.
        origins: Box<[Origin; 2]>,
    },
    /// The name of an entry point cannot be one.
    #[error("{name:?} cannot be the name of an entry point; use letters, digits, '.', '_' and '-'")]
    InvalidName {
        /// The name.
        name: String,
    },
    /// The entry point is there, and is not to be used.
    #[error("entry point {name:?} of {origin} may not be used: {reason} (see [plugins])")]
    Denied {
        /// The entry point.
        name: String,
        /// Who offers it.
        origin: Origin,
        /// Which list says so.
        reason: String,
    },
    /// The pin of a library cannot be one.
    #[error("the pin of {file:?}: {problem}")]
    Pin {
        /// The library.
        file: String,
        /// Why not.
        problem: String,
    },
    /// A plugin folder cannot be used.
    #[error("plugin folder {path:?}: {problem}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not, and what to do.
        problem: String,
    },
    /// A plugin's manifest cannot be used.
    #[error("plugin manifest {path:?}: {problem}")]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// Why not, and what to do.
        problem: String,
    },
    /// A plugin library cannot be used.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The entry point could not build what it was asked for.
    #[error("{kind} {name:?} of {origin} could not be built")]
    Refused {
        /// What it is.
        kind: EntryKind,
        /// The entry point.
        name: String,
        /// Who offers it.
        origin: Origin,
        /// What it said.
        source: BackendError,
    },
}

/// Why a plugin library cannot be used. The host runs on.
#[derive(Debug, thiserror::Error)]
#[error("plugin library {path:?} cannot be used")]
pub struct LibraryError {
    /// The library.
    pub path: PathBuf,
    /// Why not, and what to do.
    #[source]
    pub problem: LibraryProblem,
}

/// What is wrong with a plugin library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LibraryProblem {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// Others than its owner may write to it, or to its folder.
    #[error("{0}")]
    Unsafe(String),
    /// It is not the file that its manifest was written for.
    #[error("its SHA-256 is {found}, but the manifest says {expected}; install it again")]
    Hash {
        /// What the manifest says.
        expected: String,
        /// What it is.
        found: String,
    },
    /// It is not the file that was pinned.
    #[error(
        "its SHA-256 is {found}, but [plugins.pins] says {expected}; do not use it before you know why it changed"
    )]
    Pin {
        /// What was pinned.
        expected: String,
        /// What it is.
        found: String,
    },
    /// Other libraries are pinned, and this one is not.
    #[error("libraries are pinned, and this one is not; add its SHA-256 to [plugins.pins] if you trust it")]
    NotPinned,
    /// It is no library of this system, or not all of one.
    #[error("{0}")]
    NotALibrary(String),
    /// It was built for another processor.
    #[error("it was built for {found}, and this host is {expected}; get the build for {expected}")]
    Architecture {
        /// What it was built for.
        found: String,
        /// What the host is.
        expected: &'static str,
    },
    /// It was opened and refused.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It does not do what its manifest says.
    #[error(
        "its manifest announces the {kind} {name:?}, which is not in it (it has: {found}); rewrite the manifest"
    )]
    NotInside {
        /// What the manifest says it is.
        kind: EntryKind,
        /// The entry point.
        name: String,
        /// What there is.
        found: String,
    },
    /// It could not tell its entry points.
    #[error("it could not tell its entry points: {0}")]
    Silent(BackendError),
}

/// An entry point that nobody offers. Its text tells what is known, the nearest name, and the folders searched.
#[derive(Debug)]
pub struct UnknownEntryPoint {
    /// What was wanted.
    pub kind: EntryKind,
    /// The name.
    pub name: String,
    /// The entry points of that kind that there are.
    pub known: Vec<String>,
    /// The plugin folders that were searched.
    pub folders: Vec<PathBuf>,
    /// What could not be used on the way.
    pub problems: Vec<Arc<RegistryError>>,
}

impl Error for UnknownEntryPoint {}

impl fmt::Display for UnknownEntryPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hint = did_you_mean(&self.name, self.known.iter().map(String::as_str));
        writeln!(f, "no {} is called {:?}{hint}", self.kind, self.name)?;
        let known = if self.known.is_empty() { "none".to_owned() } else { self.known.join(", ") };
        writeln!(f, "known: {known}")?;
        let folders: Vec<_> = self.folders.iter().map(|folder| folder.display().to_string()).collect();
        let folders = match folders.is_empty() {
            true => format!("none (name them in [plugins] path or {PLUGIN_PATH})"),
            false => folders.join(", "),
        };
        write!(f, "plugin folders searched: {folders}")?;
        match (bundled::missing_feature(&self.name), self.problems.first()) {
            (Some(feature), _) => {
                write!(f, "\nit is ours: enable the feature {feature:?} of the crate dogpile")
            }
            (None, Some(problem)) => {
                let more = self.problems.len() - 1;
                write!(f, "\npassed over: {} (and {more} more)", with_causes(&**problem))
            }
            (None, None) => {
                f.write_str("\na crate that has it must be named in code to be linked: `use its_crate as _;`")
            }
        }
    }
}

/// `error` and its causes on one line.
pub(super) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
