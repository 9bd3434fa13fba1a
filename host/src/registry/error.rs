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
use crate::python_names::{is_class, meant};

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
    /// A plugin library provides a name that the application provides itself. The application's own comes first.
    #[error("entry point {name:?} of {} is ignored: {} provides it, too, and comes first; remove the other one", origins[1], origins[0])]
    Shadowed {
        /// The name of the entry point.
        name: String,
        /// What provides the one that is used, and the one that is ignored.
        origins: Box<[Origin; 2]>,
    },
    /// A plugin library provides a name of dogpile's own without permission.
    #[error(
        "entry point {name:?} of {origin} is refused: names that begin with \"dogpile.\" are reserved for dogpile's own \
         plugins; if you trust the library, pin it or list the name in [plugins] reserved"
    )]
    Reserved {
        /// The name of the entry point.
        name: String,
        /// What provides it.
        origin: Origin,
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
    /// A permission is given for a name that needs none.
    #[error("invalid reserved name {name:?}: only names that begin with \"dogpile.\" are reserved")]
    NotReserved {
        /// The name.
        name: String,
    },
    /// The plugin folders of the environment are ignored in a program with more privileges than its caller.
    #[error(
        "{PLUGIN_PATH} is ignored: this program runs with the privileges of another user or group; list the folders in \
         [plugins] path"
    )]
    Privileged {
        /// The folders that are ignored.
        folders: Vec<PathBuf>,
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
    match source.argument().filter(|_| *kind == EntryKind::Proxy) {
        None => with_causes(f, format_args!("{kind} {name:?} of {origin} could not be built"), source),
        Some(argument) => {
            let form = format!("{{ name = {name:?}, arguments = {{ {argument} = ... }} }}");
            with_causes(
                f,
                format_args!("{kind} {name:?} of {origin} could not be built; write it as {form}"),
                source,
            )
        }
    }
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

    /// Returns what is wrong, and what to do if that is known.
    fn problem(&self) -> (String, Option<String>) {
        let UnknownEntryPoint { kind, name, .. } = self;
        let feature = bundled::missing_feature(name).filter(|_| *kind == EntryKind::Backend);
        let enable = |feature| format!("enable the feature {feature:?} of the crate dogpile");
        match feature {
            Some((full, feature)) if full == *name => {
                (format!("{kind} {name:?} is not compiled in"), Some(format!("; {}", enable(feature))))
            }
            Some((full, feature)) => {
                let advice = format!("; did you mean {full:?}? It is not compiled in: {}", enable(feature));
                (format!("unknown {kind} {name:?}"), Some(advice))
            }
            None => (format!("unknown {kind} {name:?}"), self.hint()),
        }
    }

    /// Returns the known name that is meant: one that is similar, the full form of a short one, or ours of a class.
    fn hint(&self) -> Option<String> {
        let known = || self.known.iter().map(String::as_str);
        let similar = did_you_mean(&self.name, known());
        let (is_class, is_short) = (is_class(&self.name), !self.name.contains('.'));
        let meant = meant(&self.name, known()).filter(|_| is_class || is_short);
        match meant {
            _ if !similar.is_empty() => Some(similar),
            Some(meant) => Some(format!("; did you mean {meant:?}?")),
            None if is_class => Some(format!(
                "; a class of Python cannot be used: write the {} in Rust, and register it under this name",
                self.kind
            )),
            None => None,
        }
    }

    /// Returns the first plugin that was skipped.
    fn skipped(&self) -> Option<String> {
        let problem = self.problems.first()?;
        let more = self.problems.len() - 1;
        Some(format!("skipped: {} (and {more} more)", error_chain(&**problem)))
    }
}

impl Error for UnknownEntryPoint {}

impl fmt::Display for UnknownEntryPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = if self.known.is_empty() { "none".to_owned() } else { self.known.join(", ") };
        let (problem, advice) = self.problem();
        writeln!(f, "{problem}{}", advice.as_deref().unwrap_or_default())?;
        writeln!(f, "known: {known}")?;
        write!(f, "plugin folders searched: {}", self.folders())?;
        match (self.skipped(), advice) {
            (Some(skipped), _) => write!(f, "\n{skipped}"),
            (None, Some(_)) => Ok(()),
            (None, None) => f.write_str(
                "\na crate that provides it must be named in code to be linked: `use its_crate as _;`",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_line(kind: EntryKind, name: &str) -> String {
        let known =
            ["dogpile.cache.memory", "dogpile.cache.shelf", "dogpile.proxy.logging"].map(str::to_owned);
        let (folders, problems) = (Vec::new(), Vec::new());
        let unknown =
            UnknownEntryPoint { kind, name: name.to_owned(), known: known.to_vec(), folders, problems };
        unknown.to_string().lines().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn short_and_python_names_are_suggested() {
        for (kind, name, expected) in [
            (EntryKind::Backend, "shelf", "unknown backend \"shelf\"; did you mean \"dogpile.cache.shelf\"?"),
            (
                EntryKind::Proxy,
                "myapp.LoggingProxy",
                "unknown proxy \"myapp.LoggingProxy\"; did you mean \"dogpile.proxy.logging\"?",
            ),
            (
                EntryKind::Proxy,
                "myapp.RetryProxy",
                "unknown proxy \"myapp.RetryProxy\"; a class of Python cannot be used: write the proxy in Rust, and \
                 register it under this name",
            ),
            (EntryKind::Backend, "acme.shelf", "unknown backend \"acme.shelf\""),
        ] {
            assert_eq!(first_line(kind, name), expected);
        }
    }

    #[cfg(not(feature = "redis"))]
    #[test]
    fn missing_feature_comes_first() {
        let enable = "enable the feature \"redis\" of the crate dogpile";
        assert_eq!(
            first_line(EntryKind::Backend, "dogpile.cache.redis"),
            format!("backend \"dogpile.cache.redis\" is not compiled in; {enable}")
        );
        assert_eq!(
            first_line(EntryKind::Backend, "redis"),
            format!(
                "unknown backend \"redis\"; did you mean \"dogpile.cache.redis\"? It is not compiled in: {enable}"
            )
        );
    }
}
