//! [`EntryPoint`]: one name that a configuration may use, and where it comes from.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Whether an entry point is a backend or a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// Stores values.
    Backend,
    /// Wraps a backend.
    Proxy,
}

impl fmt::Display for EntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            EntryKind::Backend => "backend",
            EntryKind::Proxy => "proxy",
        })
    }
}

impl From<dogpile_abi::EntryKind> for EntryKind {
    fn from(kind: dogpile_abi::EntryKind) -> Self {
        match kind {
            dogpile_abi::EntryKind::Backend => EntryKind::Backend,
            dogpile_abi::EntryKind::Proxy => EntryKind::Proxy,
        }
    }
}

/// Who offers an entry point.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// A crate that is linked into the application.
    Linked {
        /// The crate.
        package: String,
        /// Its version.
        version: String,
    },
    /// A plugin library.
    Library {
        /// The library's file.
        path: PathBuf,
        /// The plugin, as its manifest names it or, without one, the library itself.
        package: String,
        /// The plugin's version.
        version: String,
    },
    /// The application's own code.
    Code,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Linked { package, version } => write!(f, "the linked crate {package} {version}"),
            Origin::Library { path, package, version } => {
                write!(f, "plugin {package} {version} ({})", path.display())
            }
            Origin::Code => f.write_str("the application's code"),
        }
    }
}

/// One name that a configuration may use.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EntryPoint {
    /// The name, such as `dogpile.cache.memory`.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// Who offers it.
    pub origin: Origin,
}
