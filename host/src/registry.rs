//! [`Registry`]: which backends and proxies there are, by entry-point name, and who offers them.
//!
//! Entry points come through two doors: crates linked into the application, which submit theirs to `inventory`,
//! and plugin libraries, which a manifest in a plugin folder announces. Code can register more. A library is
//! opened when a name of its is first used, not before, and is never unloaded.
//!
//! Source: dogpile.cache `util/__init__.py`, `PluginLoader`, and `region.py`, `register_backend`.

mod description;
mod entry_point;
mod error;
mod host_log;
mod inspect;
mod library;
mod manifest;
mod offers;
mod permission;
mod trust;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use dogpile_sdk::{Arguments, BackendEntry, BackendError, CacheBackend, ProxyEntry};
use parking_lot::RwLock;

pub use self::description::LibraryDescription;
pub use self::entry_point::{EntryKind, EntryPoint, Origin};
pub use self::error::{LibraryError, LibraryProblem, RegistryError, UnknownEntryPoint};
pub use self::manifest::{Manifest, ManifestEntry};
pub use self::trust::Trust;
pub(crate) use self::trust::{NamePattern, Pin};

use self::library::PluginLibrary;
use self::offers::{Make, Offer, Offers};
use self::trust::Rules;

pub use dogpile_abi::ABI_VERSION;

/// The environment variable that names plugin folders, separated as in `PATH`.
pub const PLUGIN_PATH: &str = "DOGPILE_PLUGIN_PATH";

/// How the file of a manifest ends.
const MANIFEST_SUFFIX: &str = ".dogpile.toml";

/// The entry points that an application can use.
///
/// ```
/// use dogpile::Registry;
///
/// for entry_point in Registry::global().entry_points() {
///     println!("{} {} {}", entry_point.kind, entry_point.name, entry_point.origin);
/// }
/// ```
///
/// A name that is offered twice is refused when it is used; the error names both origins.
pub struct Registry {
    state: RwLock<State>,
    rules: Arc<Rules>,
}

#[derive(Default)]
struct State {
    offers: Offers,
    folders: Vec<PathBuf>,
    problems: Vec<Arc<RegistryError>>,
}

impl Registry {
    /// The registry of regions that are not given one: [`Registry::new`], made when it is first asked for.
    pub fn global() -> &'static Registry {
        static GLOBAL: OnceLock<Registry> = OnceLock::new();
        GLOBAL.get_or_init(Registry::new)
    }

    /// What the linked crates offer, and the plugins in the folders that `DOGPILE_PLUGIN_PATH` names. A folder
    /// that cannot be used is logged, and told by [`problems`](Self::problems).
    pub fn new() -> Self {
        let registry = Registry::empty();
        registry.add_linked();
        let folders = std::env::var_os(PLUGIN_PATH).unwrap_or_default();
        for folder in std::env::split_paths(&folders).filter(|folder| !folder.as_os_str().is_empty()) {
            if let Err(error) = registry.add_folder(folder) {
                registry.note(error);
            }
        }
        registry
    }

    /// A registry without any entry point.
    pub fn empty() -> Self {
        Registry { state: RwLock::default(), rules: Arc::default() }
    }

    fn add_linked(&self) {
        let offers = &mut self.state.write().offers;
        let origin = |package: &str, version: &str| Origin::Linked {
            package: package.to_owned(),
            version: version.to_owned(),
        };
        for entry in BackendEntry::linked() {
            let build = |arguments| (entry.build)(arguments).map_err(Into::into);
            let offer = Offer::backend(origin(entry.package, entry.version), build);
            offers.insert(entry.name, offer);
        }
        for entry in ProxyEntry::linked() {
            let build = |arguments, proxied| (entry.build)(arguments, proxied).map_err(Into::into);
            let offer = Offer::proxy(origin(entry.package, entry.version), build);
            offers.insert(entry.name, offer);
        }
    }

    /// Uses only what `trust` admits, from now on. What was told before holds still: a name must be admitted, and a
    /// library have its pin, each time. Libraries that are open stay open.
    pub fn restrict(&self, trust: Trust) {
        self.rules.add(trust);
    }

    /// Adds the plugins whose manifests, files that end in `.dogpile.toml`, lie in `folder`. No library is opened.
    ///
    /// A manifest that cannot be used is logged and told by [`problems`](Self::problems); the others are added.
    ///
    /// # Errors
    /// If `folder` cannot be read, or others than its owner may write to it.
    pub fn add_folder(&self, folder: impl AsRef<Path>) -> Result<(), RegistryError> {
        let refused = |problem: String| RegistryError::Folder { path: folder.as_ref().to_owned(), problem };
        let canonical = folder.as_ref().canonicalize().map_err(|error| refused(error.to_string()))?;
        permission::check(&canonical).map_err(refused)?;
        if self.state.read().folders.contains(&canonical) {
            return Ok(());
        }
        for path in manifests_in(&canonical).map_err(|error| refused(error.to_string()))? {
            match Manifest::read(&path) {
                Ok(manifest) => self.add_manifest(&path, &manifest),
                Err(error) => self.note(error),
            }
        }
        self.state.write().folders.push(canonical);
        Ok(())
    }

    fn add_manifest(&self, path: &Path, manifest: &Manifest) {
        let folder = path.parent().unwrap_or(Path::new(""));
        let library = Arc::new(PluginLibrary::of_manifest(folder, manifest, &self.rules));
        let offers = &mut self.state.write().offers;
        for entry in &manifest.entry_points {
            offers.insert(&entry.name, Offer::library(&library, entry.kind, &entry.name));
        }
    }

    /// Opens the plugin library at `path` and adds its entry points. It needs no manifest.
    ///
    /// # Errors
    /// If the library cannot be opened, or offers a name that is offered already. Then nothing is added.
    pub fn add_library(&self, path: impl AsRef<Path>) -> Result<(), RegistryError> {
        let (library, entries) = PluginLibrary::open_now(path.as_ref(), &self.rules)?;
        let library = Arc::new(library);
        let offers = &mut self.state.write().offers;
        let offered: Vec<(&str, Offer)> = entries
            .iter()
            .map(|entry| (entry.name.as_str(), Offer::library(&library, entry.kind, &entry.name)))
            .collect();
        offered.iter().try_for_each(|(name, offer)| offers.check_free(name, &offer.origin))?;
        offered.into_iter().for_each(|(name, offer)| offers.insert(name, offer));
        Ok(())
    }

    /// Registers a backend in code. A configuration may then name it.
    ///
    /// ```
    /// use dogpile::Registry;
    /// use dogpile::sdk::{Arguments, NoArguments, register_proxy};
    /// # use std::sync::Arc;
    /// # use dogpile::sdk::{BackendError, CacheBackend, CachedValue};
    /// # #[derive(Debug)] struct Shelf;
    /// # impl CacheBackend for Shelf {
    /// #     fn get(&self, _: &str) -> Result<Option<CachedValue>, BackendError> { Ok(None) }
    /// #     fn set(&self, _: &str, _: CachedValue, options: &StoreOptions) -> Result<(), BackendError> { Ok(()) }
    /// #     fn delete(&self, _: &str) -> Result<(), BackendError> { Ok(()) }
    /// # }
    ///
    /// let registry = Registry::empty();
    /// registry.register_backend("acme.shelf", |arguments| {
    ///     let NoArguments {} = arguments.parse()?;
    ///     Ok(Arc::new(Shelf))
    /// })?;
    /// # Ok::<(), dogpile::registry::RegistryError>(())
    /// ```
    ///
    /// # Errors
    /// If the name is empty, or offered already.
    pub fn register_backend(
        &self,
        name: &str,
        build: impl Fn(Arguments) -> Result<Arc<dyn CacheBackend>, BackendError> + Send + Sync + 'static,
    ) -> Result<(), RegistryError> {
        self.register(name, Offer::backend(Origin::Code, move |arguments| Ok(build(arguments)?)))
    }

    /// Registers a proxy in code. `build` is given the backend that the proxy wraps.
    ///
    /// # Errors
    /// If the name is empty, or offered already.
    pub fn register_proxy(
        &self,
        name: &str,
        build: impl Fn(Arguments, Arc<dyn CacheBackend>) -> Result<Arc<dyn CacheBackend>, BackendError>
        + Send
        + Sync
        + 'static,
    ) -> Result<(), RegistryError> {
        let build = move |arguments, proxied| Ok(build(arguments, proxied)?);
        self.register(name, Offer::proxy(Origin::Code, build))
    }

    fn register(&self, name: &str, offer: Offer) -> Result<(), RegistryError> {
        let offers = &mut self.state.write().offers;
        offers.check_free(name, &offer.origin)?;
        offers.insert(name, offer);
        Ok(())
    }

    /// Every entry point, by name; one that is offered twice is there twice.
    pub fn entry_points(&self) -> Vec<EntryPoint> {
        self.state.read().offers.entry_points()
    }

    /// The plugin folders that were searched.
    pub fn folders(&self) -> Vec<PathBuf> {
        self.state.read().folders.clone()
    }

    /// What could not be used, and was passed over: folders, manifests, names offered twice.
    pub fn problems(&self) -> Vec<Arc<RegistryError>> {
        let state = self.state.read();
        let twice = state.offers.duplicates().map(Arc::new);
        state.problems.iter().cloned().chain(twice).collect()
    }

    /// Builds the backend whose entry point is `name`. May open its library, and block while the backend
    /// connects.
    ///
    /// # Errors
    /// If there is no such backend, its library cannot be opened, or it refuses `arguments`.
    pub fn build_backend(
        &self,
        name: &str,
        arguments: Arguments,
    ) -> Result<Arc<dyn CacheBackend>, RegistryError> {
        // Cloned out, so that a backend under construction holds no lock of ours.
        let (origin, make) = self.find(EntryKind::Backend, name)?;
        let Make::Backend(build) = make else { return Err(wrong_kind(EntryKind::Backend, name, origin)) };
        build(arguments).map_err(|failure| failure.of(EntryKind::Backend, name, origin))
    }

    /// Builds the proxy whose entry point is `name` around `proxied`. May open its library.
    ///
    /// # Errors
    /// As for [`build_backend`](Self::build_backend).
    pub fn build_proxy(
        &self,
        name: &str,
        arguments: Arguments,
        proxied: Arc<dyn CacheBackend>,
    ) -> Result<Arc<dyn CacheBackend>, RegistryError> {
        let (origin, make) = self.find(EntryKind::Proxy, name)?;
        let Make::Proxy(build) = make else { return Err(wrong_kind(EntryKind::Proxy, name, origin)) };
        build(arguments, proxied).map_err(|failure| failure.of(EntryKind::Proxy, name, origin))
    }

    fn find(&self, kind: EntryKind, name: &str) -> Result<(Origin, Make), RegistryError> {
        let state = self.state.read();
        let offer = state.offers.find(name)?;
        offer.map_or(Ok(()), |offer| self.rules.check_name(name, &offer.origin))?;
        offer.map(|offer| (offer.origin.clone(), offer.make.clone())).ok_or_else(|| {
            RegistryError::Unknown(Box::new(UnknownEntryPoint {
                kind,
                name: name.to_owned(),
                known: state.offers.names_of(kind),
                folders: state.folders.clone(),
                problems: state.problems.clone(),
            }))
        })
    }

    fn note(&self, problem: RegistryError) {
        tracing::warn!(target: "dogpile::registry", "{}; it is passed over", error::with_causes(&problem));
        self.state.write().problems.push(Arc::new(problem));
    }
}

fn wrong_kind(asked: EntryKind, name: &str, origin: Origin) -> RegistryError {
    RegistryError::WrongKind { asked, name: name.to_owned(), origin }
}

/// The manifests in `folder`, in the order of their names.
fn manifests_in(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let files = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let is_manifest = |path: &PathBuf| path.to_string_lossy().ends_with(MANIFEST_SUFFIX);
    let mut manifests = files.collect::<std::io::Result<Vec<_>>>()?;
    manifests.retain(is_manifest);
    manifests.sort();
    Ok(manifests)
}

impl Default for Registry {
    fn default() -> Self {
        Registry::new()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.read();
        f.debug_struct("Registry")
            .field("entry_points", &state.offers.entry_points().len())
            .field("folders", &state.folders)
            .field("problems", &state.problems.len())
            .finish()
    }
}
