//! [`PluginLibrary`]: a library that is opened when it is first needed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dogpile_abi::{HostRef, OpenLibrary};
use dogpile_sdk::{Arguments, CacheBackend, ExportedBackend, LoadedBackend};
use parking_lot::Mutex;

use super::host_log::TracingHost;
use super::inspect::{self, Inspected};
use super::manifest::{Manifest, ManifestEntry};
use super::{compiler, permission};
use crate::log_targets::REGISTRY;
use crate::registry::offers::{Built, Offer};
use crate::registry::trust::{NotPinned, Rules};
use crate::registry::{EntryKind, LibraryError, LibraryProblem, Origin};

/// A plugin library, which may be open.
struct PluginLibrary {
    path: PathBuf,
    package: String,
    version: String,
    /// The SHA-256 in the manifest.
    announced: Option<String>,
    /// The restrictions of the registry.
    rules: Arc<Rules>,
    /// Set when the library is first needed. A failure is not kept, so that a repaired library can be opened.
    opened: Mutex<Option<OpenLibrary>>,
}

/// Returns the entry points that `manifest` in `folder` lists, without looking at the library.
pub(super) fn announced(
    folder: &Path,
    manifest: &Manifest,
    rules: &Arc<Rules>,
) -> impl Iterator<Item = (String, Offer)> {
    let library = PluginLibrary {
        path: folder.join(&manifest.library),
        package: manifest.name.clone(),
        version: manifest.version.clone(),
        announced: manifest.sha256.clone(),
        rules: Arc::clone(rules),
        opened: Mutex::new(None),
    };
    Arc::new(library).offers(&manifest.entry_points)
}

/// Opens the library at `path` and returns its entry points.
pub(super) fn opened(path: &Path, rules: &Arc<Rules>) -> Result<Vec<(String, Offer)>, LibraryError> {
    let failed = |problem| LibraryError { path: path.to_owned(), problem };
    let Opened { library: opened, .. } = open(path, None, rules)?;
    let entries = entries_of(opened).map_err(failed)?;
    let library = PluginLibrary {
        // Not the canonical one: a pin may name the link.
        path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
        package: opened.package().to_owned(),
        version: opened.version().to_owned(),
        announced: None,
        rules: Arc::clone(rules),
        opened: Mutex::new(Some(opened)),
    };
    Ok(Arc::new(library).offers(&entries).collect())
}

/// A library that was opened.
pub(super) struct Opened {
    pub(super) library: OpenLibrary,
    /// The canonical path of the file.
    pub(super) path: PathBuf,
    pub(super) inspected: Inspected,
}

/// Inspects and opens the library at `path`. `announced` is the SHA-256 in its manifest.
pub(super) fn open(path: &Path, announced: Option<&str>, rules: &Rules) -> Result<Opened, LibraryError> {
    let opened = open_silently(path, announced, rules)?;
    log_opened(&opened.path, opened.library);
    Ok(opened)
}

/// Does what [`open`] does, and logs nothing.
fn open_silently(path: &Path, announced: Option<&str>, rules: &Rules) -> Result<Opened, LibraryError> {
    let failed = |problem| LibraryError { path: path.to_owned(), problem };
    let canonical = permission::resolve(path).map_err(|refusal| failed(inspect::refused(refusal)))?;
    let pins = rules.pins_of(path, &canonical).map_err(|NotPinned| failed(LibraryProblem::NotPinned))?;
    let inspected = inspect::read(&canonical, announced, &pins).map_err(failed)?;
    let library = link(&canonical, &inspected, !pins.is_empty()).map_err(failed)?;
    Ok(Opened { library, path: canonical, inspected })
}

fn log_opened(path: &Path, library: OpenLibrary) {
    tracing::debug!(
        target: REGISTRY,
        path = %path.display(),
        package = library.package(),
        version = library.version(),
        sdk = library.sdk_version(),
        abi = library.abi_version(),
        compiler = library.compiler(),
        "plugin library opened"
    );
    compiler::warn_of_miscompilation(path, library.compiler());
}

/// Opens the library at `path`, which was inspected. If it is pinned, exactly the inspected bytes are opened.
#[cfg(target_os = "linux")]
fn link(path: &Path, inspected: &Inspected, is_pinned: bool) -> Result<OpenLibrary, LibraryProblem> {
    if is_pinned {
        return super::sealed::open(path, inspected);
    }
    Ok(OpenLibrary::open(path, HostRef::of::<TracingHost>())?)
}

/// Opens the library at `path`, which was inspected. This system has no memory files that can be sealed.
#[cfg(not(target_os = "linux"))]
fn link(path: &Path, _inspected: &Inspected, _is_pinned: bool) -> Result<OpenLibrary, LibraryProblem> {
    Ok(OpenLibrary::open(path, HostRef::of::<TracingHost>())?)
}

/// Returns the entry points of the open `library`.
pub(super) fn entries_of(library: OpenLibrary) -> Result<Vec<ManifestEntry>, LibraryProblem> {
    let origin = format!("plugin {} {}", library.package(), library.version());
    let failed = |error| LibraryProblem::NoEntryPoints(LoadedBackend::error(error, &origin));
    let entries = library.entries().map_err(failed)?.into_iter();
    Ok(entries
        .map(|entry| ManifestEntry { name: entry.name.into_string(), kind: kind_of(entry.kind) })
        .collect())
}

fn kind_of(kind: dogpile_abi::EntryKind) -> EntryKind {
    match kind {
        dogpile_abi::EntryKind::Backend => EntryKind::Backend,
        dogpile_abi::EntryKind::Proxy => EntryKind::Proxy,
    }
}

impl PluginLibrary {
    /// Returns an entry point for each of `entries`. Building one opens the library.
    fn offers(self: Arc<Self>, entries: &[ManifestEntry]) -> impl Iterator<Item = (String, Offer)> {
        entries.iter().map(move |entry| (entry.name.clone(), self.offer(entry)))
    }

    fn offer(self: &Arc<Self>, entry: &ManifestEntry) -> Offer {
        let (origin, library) = (self.origin(), Arc::clone(self));
        let ManifestEntry { kind, name } = entry.clone();
        match kind {
            EntryKind::Backend => {
                Offer::backend(origin, move |arguments| library.build(kind, &name, &arguments, None))
            }
            EntryKind::Proxy => Offer::proxy(origin, move |arguments, proxied| {
                library.build(kind, &name, &arguments, Some(proxied))
            }),
        }
    }

    fn origin(&self) -> Origin {
        Origin::Library {
            path: self.path.clone(),
            package: self.package.clone(),
            version: self.version.clone(),
        }
    }

    /// Builds the entry point `name`, around `proxied` if it is a proxy.
    fn build(
        &self,
        kind: EntryKind,
        name: &str,
        arguments: &Arguments,
        proxied: Option<Arc<dyn CacheBackend>>,
    ) -> Built {
        let opened = self.opened(kind, name)?;
        let origin = self.origin().to_string();
        let built = opened.build(name, &arguments.to_json(), proxied.map(ExportedBackend::object));
        let object = built.map_err(|error| LoadedBackend::error(error, &origin))?;
        Ok(Arc::new(LoadedBackend::new(object, origin)))
    }

    /// Returns the open library, which provides the entry point `name`.
    fn opened(&self, kind: EntryKind, name: &str) -> Result<OpenLibrary, LibraryError> {
        let mut opened = self.opened.lock();
        if let Some(opened) = *opened {
            return Ok(opened);
        }
        let failed = |problem| LibraryError { path: self.path.clone(), problem };
        let Opened { library, path, .. } = open_silently(&self.path, self.announced.as_deref(), &self.rules)?;
        let entries = entries_of(library).map_err(failed)?;
        if !entries.iter().any(|entry| entry.kind == kind && entry.name == name) {
            return Err(failed(not_inside(kind, name, &entries)));
        }
        *opened = Some(library);
        drop(opened);
        // Without the lock: a log sink may use this library.
        log_opened(&path, library);
        Ok(library)
    }
}

fn not_inside(kind: EntryKind, name: &str, entries: &[ManifestEntry]) -> LibraryProblem {
    let found: Vec<_> = entries.iter().map(|entry| format!("{} {}", entry.kind, entry.name)).collect();
    LibraryProblem::NotInside { kind, name: name.to_owned(), found: found.join(", ") }
}
