//! [`EntryPoint`]: a name that a configuration may use, and its origin.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The kind of an entry point: backend or proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
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

/// What provides an entry point.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// A crate that is linked into the application.
    Linked {
        /// The name of the crate.
        package: String,
        /// The version of the crate.
        version: String,
    },
    /// A plugin library.
    Library {
        /// The file of the library.
        path: PathBuf,
        /// The name of the plugin, from its manifest or, without one, from the library.
        package: String,
        /// The version of the plugin.
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

/// A name that a configuration may use.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct EntryPoint {
    /// The name, such as `dogpile.cache.memory`.
    pub name: String,
    /// The kind.
    pub kind: EntryKind,
    /// What provides it.
    pub origin: Origin,
}
