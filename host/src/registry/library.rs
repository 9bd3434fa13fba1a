//! [`PluginLibrary`]: a library that is opened when it is first needed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dogpile_abi::{HostRef, OpenLibrary};
use dogpile_sdk::{Arguments, CacheBackend, ExportedBackend, LoadedBackend};
use parking_lot::Mutex;

use super::entry_point::{EntryKind, Origin};
use super::error::{LibraryError, LibraryProblem};
use super::host_log::TracingHost;
use super::inspect;
use super::manifest::{Manifest, ManifestEntry};
use super::offers::Built;
use super::trust::Rules;

/// A plugin library, opened or not yet.
pub(super) struct PluginLibrary {
    path: PathBuf,
    package: String,
    version: String,
    /// The SHA-256 that its manifest says it has.
    announced: Option<String>,
    /// What the registry trusts.
    rules: Arc<Rules>,
    /// Filled when it is first needed. A failure is not kept: what was repaired can be tried again.
    opened: Mutex<Option<OpenLibrary>>,
}

impl PluginLibrary {
    /// The library that `manifest`, found in `folder`, announces. It is not looked at yet.
    pub(super) fn of_manifest(folder: &Path, manifest: &Manifest, rules: &Arc<Rules>) -> Self {
        PluginLibrary {
            path: folder.join(&manifest.library),
            package: manifest.name.clone(),
            version: manifest.version.clone(),
            announced: manifest.sha256.clone(),
            rules: Arc::clone(rules),
            opened: Mutex::new(None),
        }
    }

    /// The library at `path`, opened, and its entry points.
    pub(super) fn open_now(
        path: &Path,
        rules: &Arc<Rules>,
    ) -> Result<(Self, Vec<ManifestEntry>), LibraryError> {
        let failed = |problem| LibraryError { path: path.to_owned(), problem };
        let canonical = path.canonicalize().map_err(|error| failed(LibraryProblem::Unreadable(error)))?;
        let opened = open(&canonical, None, rules).map_err(failed)?;
        let entries = entries_of(opened).map_err(failed)?;
        let library = PluginLibrary {
            path: canonical,
            package: opened.package().to_owned(),
            version: opened.version().to_owned(),
            announced: None,
            rules: Arc::clone(rules),
            opened: Mutex::new(Some(opened)),
        };
        Ok((library, entries))
    }

    /// The plugin's name and version.
    pub(super) fn identity(&self) -> (String, String) {
        (self.package.clone(), self.version.clone())
    }

    pub(super) fn origin(&self) -> Origin {
        Origin::Library {
            path: self.path.clone(),
            package: self.package.clone(),
            version: self.version.clone(),
        }
    }

    /// Builds its entry point `name`, around `proxied` if it is a proxy.
    pub(super) fn build(
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

    /// The open library, in which the entry point `name` was found.
    fn opened(&self, kind: EntryKind, name: &str) -> Result<OpenLibrary, LibraryError> {
        let mut opened = self.opened.lock();
        if let Some(opened) = *opened {
            return Ok(opened);
        }
        let failed = |problem| LibraryError { path: self.path.clone(), problem };
        let canonical =
            self.path.canonicalize().map_err(|error| failed(LibraryProblem::Unreadable(error)))?;
        let library = open(&canonical, self.announced.as_deref(), &self.rules).map_err(failed)?;
        let entries = entries_of(library).map_err(failed)?;
        if !entries.iter().any(|entry| entry.kind == kind && entry.name == name) {
            let found: Vec<_> =
                entries.iter().map(|entry| format!("{} {}", entry.kind, entry.name)).collect();
            let (name, found) = (name.to_owned(), found.join(", "));
            return Err(failed(LibraryProblem::NotInside { kind, name, found }));
        }
        *opened = Some(library);
        Ok(library)
    }
}

pub(super) fn open(
    path: &Path,
    announced: Option<&str>,
    rules: &Rules,
) -> Result<OpenLibrary, LibraryProblem> {
    inspect::check(path, announced, &rules.pins_of(path)?)?;
    let library = OpenLibrary::open(path, HostRef::of::<TracingHost>())?;
    tracing::debug!(
        target: "dogpile::registry",
        path = %path.display(),
        package = library.package(),
        version = library.version(),
        sdk = library.sdk_version(),
        abi = library.abi_version(),
        "plugin library opened"
    );
    Ok(library)
}

pub(super) fn entries_of(library: OpenLibrary) -> Result<Vec<ManifestEntry>, LibraryProblem> {
    let origin = format!("plugin {} {}", library.package(), library.version());
    let entries = library.entries();
    let entries = entries.map_err(|error| LibraryProblem::Silent(LoadedBackend::error(error, &origin)))?;
    Ok(entries
        .into_iter()
        .map(|entry| ManifestEntry { name: entry.name.into_string(), kind: entry.kind.into() })
        .collect())
}
