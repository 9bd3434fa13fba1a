//! [`Registry`]: the backends and proxies that an application can use, by entry-point name.
//!
//! Entry points come from crates that are linked into the application, from plugin libraries, and from code. Linked
//! crates submit theirs to `inventory`. A plugin library is announced by a manifest in a plugin folder. It is opened when
//! one of its names is first used, and is never unloaded.
//
// Source: dogpile.cache `util/__init__.py`, `PluginLoader`, and `region.py`, `register_backend`.

mod entry_point;
mod environment;
mod error;
#[cfg(feature = "plugins")]
mod library_error;
mod linked;
mod name;
mod offers;
mod plugins;
mod trust;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use dogpile_sdk::{Arguments, BackendEntry, BackendError, CacheBackend, ProxyEntry, error_chain};
use parking_lot::RwLock;

use self::environment::plugin_folders;
use self::offers::{Make, Offer, Offers};
use self::trust::Rules;
use crate::log_targets::REGISTRY;
use crate::observe::Observer;

pub use self::entry_point::{EntryKind, EntryPoint, Origin};
pub use self::environment::PLUGIN_PATH;
pub use self::error::{RegistryError, UnknownEntryPoint};
pub use self::trust::Trust;
#[cfg(feature = "toml")]
pub(crate) use self::trust::{NamePattern, Pin, ReservedName};
#[cfg(feature = "plugins")]
pub use self::{
    library_error::{LibraryError, LibraryProblem},
    plugins::{LibraryDescription, Manifest, ManifestEntry},
};

#[cfg(feature = "plugins")]
pub use dogpile_abi::ABI_VERSION;

/// The entry points that an application can use.
///
/// A registry is a handle: its clones share their entry points and restrictions.
///
/// ```
/// use dogpile::Registry;
///
/// for entry_point in Registry::global().entry_points() {
///     println!("{} {} {}", entry_point.kind, entry_point.name, entry_point.origin);
/// }
/// ```
///
/// If a plugin library provides a name that a linked crate or the application's code provides, too, the library's is
/// ignored with a warning. Any other name that is provided twice is rejected when it is used. The error contains both
/// origins.
#[derive(Clone)]
pub struct Registry {
    state: Arc<RwLock<State>>,
    rules: Arc<Rules>,
}

#[derive(Default)]
struct State {
    offers: Offers,
    folders: Vec<PathBuf>,
    problems: Vec<Arc<RegistryError>>,
    observers: Vec<Arc<dyn Observer>>,
}

impl Registry {
    /// Returns the registry of the process, the default of regions and configuration files.
    ///
    /// The first call creates it as [`new`](Self::new) does.
    pub fn global() -> Self {
        static GLOBAL: OnceLock<Registry> = OnceLock::new();
        let mut skipped = Vec::new();
        let registry = GLOBAL.get_or_init(|| {
            let registry = Registry::searched();
            skipped.clone_from(&registry.state.read().problems);
            registry
        });
        // Logged once the registry is there: a log sink may use it.
        skipped.iter().for_each(|problem| log_skipped(problem));
        registry.clone()
    }

    /// Creates a registry of the linked crates' entry points and the folders in `DOGPILE_PLUGIN_PATH`.
    ///
    /// A folder that cannot be used is logged and listed in [`problems`](Self::problems). A program that runs with more
    /// privileges than its caller ignores the variable; see [`PLUGIN_PATH`].
    pub fn new() -> Self {
        let registry = Registry::searched();
        let skipped = registry.state.read().problems.clone();
        skipped.iter().for_each(|problem| log_skipped(problem));
        registry
    }

    /// Does what [`new`](Self::new) does, and logs nothing.
    fn searched() -> Self {
        let registry = Registry::empty();
        registry.add_linked();
        match plugin_folders() {
            Err(folders) => drop(registry.keep(RegistryError::Privileged { folders })),
            Ok(folders) => folders.iter().for_each(|folder| {
                if let Err(error) = registry.search(folder) {
                    registry.keep(error);
                }
            }),
        }
        registry
    }

    /// Creates a registry without entry points.
    pub fn empty() -> Self {
        Registry { state: Arc::default(), rules: Arc::default() }
    }

    fn add_linked(&self) {
        let offers = &mut self.state.write().offers;
        for entry in BackendEntry::linked() {
            offers.insert(entry.name, linked::backend(entry));
        }
        for entry in ProxyEntry::linked() {
            offers.insert(entry.name, linked::proxy(entry));
        }
    }

    /// Restricts what may be used from now on to what `trust` admits.
    ///
    /// Restrictions add up and cannot be removed: a name must be admitted, and a library must have its pin, each time.
    /// Backends that are in use and libraries that are open are not affected. A restriction of the
    /// [global registry](Self::global) affects every region of the process that uses it.
    pub fn restrict(&self, trust: Trust) {
        self.rules.add(trust);
    }

    /// Adds an observer for all regions that are configured with this registry from now on.
    ///
    /// [`RegionConfig::observer`](crate::RegionConfig::observer) adds one for a single region.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        self.state.write().observers.push(observer);
    }

    /// Returns the observers of regions that are configured now.
    pub(crate) fn observers(&self) -> Vec<Arc<dyn Observer>> {
        self.state.read().observers.clone()
    }

    /// Adds the plugins whose manifests lie in `folder`. Manifests are files that end in `.dogpile.toml`.
    ///
    /// No library is opened. A manifest that cannot be used is logged and listed in [`problems`](Self::problems); the
    /// others are added. A folder that was added before is skipped.
    ///
    /// # Errors
    /// If `folder` cannot be read, or users other than its owner can write to it or to a folder on the way to it, or this
    /// build cannot load plugin libraries.
    pub fn add_folder(&self, folder: impl AsRef<Path>) -> Result<(), RegistryError> {
        self.search(folder.as_ref())?.iter().for_each(|problem| log_skipped(problem));
        Ok(())
    }

    /// Adds the plugins of a folder. Returns the errors of those that are skipped, which are not logged yet.
    fn search(&self, folder: &Path) -> Result<Vec<Arc<RegistryError>>, RegistryError> {
        let path = plugins::folder_path(folder)?;
        if self.state.read().folders.contains(&path) {
            return Ok(Vec::new());
        }
        let found = plugins::read_folder(path, &self.rules)?;
        let ignored = self.add_found(found.path, found.offers);
        Ok(found.problems.into_iter().chain(ignored).map(|problem| self.keep(problem)).collect())
    }

    /// Adds the entry points of a folder, unless it was added before. Returns an error for each that is ignored.
    fn add_found(&self, folder: PathBuf, found: Vec<(String, Offer)>) -> Vec<RegistryError> {
        let state = &mut *self.state.write();
        // Check again: another thread may have added the folder meanwhile.
        if state.folders.contains(&folder) {
            return Vec::new();
        }
        state.folders.push(folder);
        let added = found.into_iter().map(|(name, offer)| state.offers.insert_loaded(&name, offer));
        added.filter_map(Result::err).collect()
    }

    /// Opens the plugin library at `path` and adds its entry points. The library needs no manifest.
    ///
    /// A library needs a permission to provide a name that begins with `dogpile.`: see [`Trust::reserved`].
    ///
    /// # Errors
    /// If the library cannot be opened, provides a name that is provided already, or this build cannot load plugin
    /// libraries. Nothing is added then.
    pub fn add_library(&self, path: impl AsRef<Path>) -> Result<(), RegistryError> {
        let found = plugins::open_library(path.as_ref(), &self.rules)?;
        let offers = &mut self.state.write().offers;
        found.iter().try_for_each(|(name, offer)| offers.check_free(name, &offer.origin))?;
        found.into_iter().for_each(|(name, offer)| offers.insert(&name, offer));
        Ok(())
    }

    /// Registers a backend in code, so that configurations can use it by `name`.
    ///
    /// Register it with the [global registry](Self::global) to use it in configuration files.
    ///
    /// ```
    /// use dogpile::Registry;
    /// use dogpile::sdk::{Arguments, NoArguments, register_proxy};
    /// # use std::sync::Arc;
    /// # use dogpile::sdk::{BackendError, CacheBackend, CachedValue, StoreOptions};
    /// # #[derive(Debug)] struct Shelf;
    /// # impl CacheBackend for Shelf {
    /// #     fn get(&self, _: &str) -> Result<Option<CachedValue>, BackendError> { Ok(None) }
    /// #     fn set(&self, _: &str, _: CachedValue, _: &StoreOptions) -> Result<(), BackendError> { Ok(()) }
    /// #     fn delete(&self, _: &str) -> Result<(), BackendError> { Ok(()) }
    /// # }
    ///
    /// Registry::global().register_backend("acme.shelf", |arguments| {
    ///     let NoArguments {} = arguments.parse()?;
    ///     Ok(Arc::new(Shelf))
    /// })?;
    /// # Ok::<(), dogpile::registry::RegistryError>(())
    /// ```
    ///
    /// # Errors
    /// If the name is invalid, or a linked crate or other code provides it already.
    pub fn register_backend(
        &self,
        name: &str,
        build: impl Fn(Arguments) -> Result<Arc<dyn CacheBackend>, BackendError> + Send + Sync + 'static,
    ) -> Result<(), RegistryError> {
        self.register(name, Offer::backend(Origin::Code, move |arguments| Ok(build(arguments)?)))
    }

    /// Registers a proxy in code. `build` receives the backend that the proxy wraps.
    ///
    /// # Errors
    /// If the name is invalid, or a linked crate or other code provides it already.
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
        // Kept, so that an offer that is refused is not dropped under the lock: its function is foreign code.
        let _kept = offer.make.clone();
        // The lock is released before `keep` takes it.
        let ignored = self.state.write().offers.insert_own(name, offer)?;
        ignored.into_iter().for_each(|problem| log_skipped(&self.keep(problem)));
        Ok(())
    }

    /// Returns all entry points, sorted by name. A name that is provided twice is listed twice.
    pub fn entry_points(&self) -> Vec<EntryPoint> {
        self.state.read().offers.entry_points()
    }

    /// Returns the plugin folders that were searched.
    pub fn folders(&self) -> Vec<PathBuf> {
        self.state.read().folders.clone()
    }

    /// Returns what was skipped or cannot be used, and why.
    ///
    /// The problems concern folders, manifests, and entry points, names that are provided twice, and reserved names that
    /// plugin libraries provide without permission.
    pub fn problems(&self) -> Vec<Arc<RegistryError>> {
        let state = self.state.read();
        let entry_points = state.offers.entry_points().into_iter();
        let refused = entry_points.filter_map(|it| self.rules.check_reserved(&it.name, &it.origin).err());
        let unusable = state.offers.duplicates().chain(refused).map(Arc::new);
        state.problems.iter().cloned().chain(unusable).collect()
    }

    /// Builds the backend whose entry point is `name`.
    ///
    /// May open a plugin library, and blocks while the backend connects.
    ///
    /// # Errors
    /// If there is no such backend, its library cannot be opened, or it rejects `arguments`.
    pub fn build_backend(
        &self,
        name: &str,
        arguments: Arguments,
    ) -> Result<Arc<dyn CacheBackend>, RegistryError> {
        // `find` returns a clone, so that building a backend holds no lock of ours.
        let (origin, make) = self.find(EntryKind::Backend, name)?;
        let Make::Backend(build) = make else { return Err(wrong_kind(EntryKind::Backend, name, origin)) };
        build(arguments).map_err(|failure| failure.of(EntryKind::Backend, name, origin))
    }

    /// Builds the proxy whose entry point is `name` around `proxied`. May open a plugin library.
    ///
    /// # Errors
    /// If there is no such proxy, its library cannot be opened, or it rejects `arguments`.
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

    /// Adds `problem` to those that are listed.
    fn keep(&self, problem: RegistryError) -> Arc<RegistryError> {
        let problem = Arc::new(problem);
        self.state.write().problems.push(Arc::clone(&problem));
        problem
    }
}

fn log_skipped(problem: &RegistryError) {
    tracing::warn!(target: REGISTRY, "skipped: {}", error_chain(problem));
}

fn wrong_kind(requested: EntryKind, name: &str, origin: Origin) -> RegistryError {
    RegistryError::WrongKind { requested, name: name.to_owned(), origin }
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
