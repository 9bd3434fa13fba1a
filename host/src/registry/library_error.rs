//! [`LibraryError`]: why a plugin library cannot be used.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use dogpile_abi::OpenError;
use dogpile_sdk::BackendError;

use super::entry_point::EntryKind;
use crate::causes::with_causes;

/// The error for a plugin library that cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub struct LibraryError {
    /// The file of the library.
    pub path: PathBuf,
    /// The reason, and what to do.
    pub problem: LibraryProblem,
}

impl fmt::Display for LibraryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        with_causes(f, format_args!("plugin library {:?} cannot be used", self.path), &self.problem)
    }
}

impl Error for LibraryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.problem)
    }
}

/// The reason why a plugin library cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LibraryProblem {
    /// The file cannot be read.
    #[error("the file cannot be read")]
    Unreadable(#[source] std::io::Error),
    /// Users other than the owner can write to the file, to its folder, or to a folder on the way to it.
    #[error("{0}")]
    Unsafe(String),
    /// The file is not the one for which its manifest was written.
    #[error("the SHA-256 is {found}, but the manifest requires {expected}; install the library again")]
    Hash {
        /// The hash in the manifest.
        expected: String,
        /// The hash of the file.
        found: String,
    },
    /// The file is not the one that was pinned.
    #[error(
        "the SHA-256 is {found}, but [plugins.pins] requires {expected}; find out why the file changed before you \
         update the pin"
    )]
    Pin {
        /// The pinned hash.
        expected: String,
        /// The hash of the file.
        found: String,
    },
    /// Other libraries are pinned, but this one is not.
    #[error(
        "other libraries are pinned, but this one is not; add its SHA-256 to [plugins.pins] if you trust the library"
    )]
    NotPinned,
    /// The file is not a complete library for this system.
    #[error("{0}")]
    NotALibrary(String),
    /// The library was built for another processor.
    #[error("the library was built for {found}, but this host is {expected}; get the build for {expected}")]
    Architecture {
        /// The processor of the library.
        found: String,
        /// The processor of the host.
        expected: &'static str,
    },
    /// The bytes of a pinned library cannot be kept in sealed memory, from which a pinned library is loaded on Linux.
    #[error(
        "cannot load the pinned library from sealed memory: {step} failed; let this process use memfd_create and \
         /proc/self/fd, or remove all pins"
    )]
    Unsealed {
        /// What failed.
        step: &'static str,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
    /// The dynamic linker rejected the sealed copy of a pinned library.
    #[error(
        "the dynamic linker rejected the sealed copy of the pinned library; let this process map memory files as code, \
         install the libraries that it needs where the linker searches, or remove all pins"
    )]
    SealedLink(#[source] OpenError),
    /// The library was opened and rejected.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The library does not provide what its manifest lists.
    #[error(
        "the manifest lists the {kind} {name:?}, but the library provides only {found}; regenerate the manifest"
    )]
    NotInside {
        /// The kind in the manifest.
        kind: EntryKind,
        /// The name in the manifest.
        name: String,
        /// The entry points of the library.
        found: String,
    },
    /// The library failed to list its entry points.
    #[error("the library failed to list its entry points")]
    NoEntryPoints(#[source] BackendError),
}
