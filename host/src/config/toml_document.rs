//! [`Configuration`]: plugins and regions from a TOML document.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dogpile_sdk::did_you_mean;

use super::document::{Document, PluginsTable, RegionTable};
use super::error::ConfigurationError;
use super::file;
use super::place::{Lines, Place, line_of};
use super::spelling::explained;
use crate::error::RegionError;
use crate::region::{CacheRegion, RegionConfig};
use crate::registry::{Registry, Trust};
use crate::statistics_socket::{SocketPath, StatisticsSocket};

/// What errors call a document that was not read from a file.
const STRING: &str = "the configuration";

/// The plugins and regions of a TOML document.
///
/// ```
/// use dogpile::{CacheRegion, Configuration};
///
/// static USERS: CacheRegion = CacheRegion::new("users");
///
/// let configuration = Configuration::from_toml(
///     r#"
///     [regions.users]
///     backend = "dogpile.cache.memory"
///     expiration_time = "5m"
///     wrap = ["dogpile.proxy.logging", { name = "dogpile.proxy.key_prefix", arguments = { prefix = "u:" } }]
///
///     [regions.users.arguments]
///     max_entries = 10_000
///     "#,
/// )?;
/// configuration.configure(&USERS)?;
/// assert!(USERS.is_configured());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Plugins and restrictions
/// The document's table `[plugins]` is applied to the registry when the document is read: its folders are added, and its
/// `allow`, `deny`, and `pins` are passed to [`Registry::restrict`]. That registry is the
/// [global](Registry::global) one, so that a document can name what the application registered in code. Its
/// restrictions then hold for the whole process: for every region that uses the global registry, for entry points
/// registered in code, and for documents read earlier or later. Restrictions add up and cannot be removed.
///
/// To restrict only the regions of one document, read it with a registry of its own:
/// `Configuration::from_file_with(path, Registry::new())`.
///
/// # Statistics socket
/// If the table `[statistics]` sets `socket`, the process opens that unix socket when the first region is configured, and closes
/// it when the last of these regions is dropped. Regions then keep [statistics](CacheRegion::statistics), except those with
/// `statistics = false`, and `dogpile top` shows them. A forked child has no socket of its parent. It opens its own when it
/// configures regions.
#[derive(Debug)]
pub struct Configuration {
    origin: String,
    regions: BTreeMap<String, Region>,
    registry: Registry,
    /// The folder of the document.
    folder: PathBuf,
    socket: Option<Socket>,
}

/// The path of the statistics socket, and its line.
#[derive(Debug)]
struct Socket {
    path: SocketPath,
    line: usize,
}

/// The table of a region, its line, and the lines of its settings.
#[derive(Debug)]
struct Region {
    table: RegionTable,
    line: usize,
    lines: Lines,
}

/// Regions created from a configuration, by name.
#[derive(Debug)]
pub struct Regions(BTreeMap<String, CacheRegion>);

impl Configuration {
    /// Parses `document`. The entry points are those of [`Registry::global`].
    ///
    /// # Errors
    /// If the document is not valid TOML or contains an unknown or invalid entry. The error reports the position. The
    /// registry is unchanged then. If a plugin folder cannot be used, the restrictions stay in force.
    pub fn from_toml(document: &str) -> Result<Self, ConfigurationError> {
        Self::from_toml_with(document, Registry::global())
    }

    /// Reads the file at `path`. The entry points are those of [`Registry::global`].
    ///
    /// # Errors
    /// If the file cannot be [read](Self::text_of_file). See [`from_toml`](Self::from_toml) for other errors.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigurationError> {
        Self::from_file_with(path, Registry::global())
    }

    /// Parses `document` with the entry points of `registry`.
    ///
    /// The document's plugin folders and restrictions are added to `registry`.
    ///
    /// # Errors
    /// See [`from_toml`](Self::from_toml).
    pub fn from_toml_with(document: &str, registry: Registry) -> Result<Self, ConfigurationError> {
        Self::read(document, STRING, Path::new(""), registry)
    }

    /// Reads the file at `path` with the entry points of `registry`.
    ///
    /// The document's plugin folders and restrictions are added to `registry`.
    ///
    /// # Errors
    /// See [`from_file`](Self::from_file).
    pub fn from_file_with(path: impl AsRef<Path>, registry: Registry) -> Result<Self, ConfigurationError> {
        let path = path.as_ref();
        let document = Self::text_of_file(path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::read(&document, &path.display().to_string(), folder, registry)
    }

    /// Returns the text of the file at `path`, as [`from_file`](Self::from_file) reads it.
    ///
    /// Blocks for at most 30 seconds if the file is a pipe.
    ///
    /// # Errors
    /// If the file cannot be read, is larger than 16 MiB, or is not UTF-8, or if it is a pipe into which nothing is written.
    pub fn text_of_file(path: impl AsRef<Path>) -> Result<String, ConfigurationError> {
        let path = path.as_ref();
        file::read(path).map_err(|source| ConfigurationError::Unreadable { path: path.to_owned(), source })
    }

    fn read(
        document: &str,
        origin: &str,
        folder: &Path,
        registry: Registry,
    ) -> Result<Self, ConfigurationError> {
        let Document { plugins, regions, statistics } =
            toml::from_str(document).map_err(|error| invalid(document, origin, &error))?;
        let PluginsTable { path, allow, deny, reserved, pins } = plugins;
        registry.restrict(Trust { allow, deny, reserved, pins });
        for path in path {
            let added = registry.add_folder(folder.join(path));
            let refused =
                |source| ConfigurationError::Plugins { origin: origin.to_owned(), source: Box::new(source) };
            added.map_err(refused)?;
        }
        let mut lines = Lines::of_regions(document);
        let mut region = |(name, table): (toml::Spanned<String>, _)| {
            let line = line_of(document, name.span().start);
            let name = name.into_inner();
            let lines = lines.remove(&name).unwrap_or_default();
            (name, Region { table, line, lines })
        };
        let regions = regions.into_iter().map(&mut region).collect();
        let socket = statistics.socket.map(|path| {
            let line = line_of(document, path.span().start);
            Socket { path: path.into_inner(), line }
        });
        Ok(Configuration { origin: origin.to_owned(), regions, registry, folder: folder.to_owned(), socket })
    }

    /// Returns the path of the statistics socket, if there is one. In the path, `{pid}` stands for the process ID.
    ///
    /// See [Statistics socket](Self#statistics-socket).
    pub fn statistics_socket(&self) -> Option<PathBuf> {
        self.socket.as_ref().map(|socket| socket.path.written(&self.folder))
    }

    /// Removes the statistics socket, for tools that read the configuration of an application.
    ///
    /// Regions that are configured from now on open no socket, and keep statistics only if their own tables turn them on.
    #[must_use]
    pub fn without_statistics_socket(mut self) -> Self {
        self.socket = None;
        self
    }

    /// Returns the names of the configured regions.
    pub fn region_names(&self) -> impl Iterator<Item = &str> {
        self.regions.keys().map(String::as_str)
    }

    /// Returns the configuration of the region `name`, which can be completed in code.
    ///
    /// # Errors
    /// If no region of this name is configured. The error lists the configured ones. Fails as well if the statistics socket
    /// cannot be opened.
    pub fn region_config(&self, name: &str) -> Result<RegionConfig, ConfigurationError> {
        self.config_of(self.region(name)?)
    }

    /// Configures `region` with the table of its name.
    ///
    /// # Errors
    /// If no region of this name is configured, if the region rejects its configuration, or if the statistics socket cannot be
    /// opened. The region is unchanged then.
    pub fn configure(&self, region: &CacheRegion) -> Result<(), ConfigurationError> {
        self.configure_with(region, self.region(region.name())?)
    }

    /// Creates and configures all regions of the document.
    ///
    /// # Errors
    /// If a region cannot be configured, or the statistics socket cannot be opened.
    pub fn regions(&self) -> Result<Regions, ConfigurationError> {
        let made = self.regions.iter().map(|(name, table)| {
            let region = CacheRegion::with_defaults(name, RegionConfig::default());
            self.configure_with(&region, table)?;
            Ok((name.clone(), region))
        });
        made.collect::<Result<_, _>>().map(Regions)
    }

    /// Returns the registry whose entry points the regions use.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    fn region(&self, name: &str) -> Result<&Region, ConfigurationError> {
        self.regions.get(name).ok_or_else(|| ConfigurationError::UnknownRegion {
            origin: self.origin.clone(),
            name: name.to_owned(),
            known: self.region_names().collect::<Vec<_>>().join(", "),
            hint: did_you_mean(name, self.region_names()),
        })
    }

    fn configure_with(&self, region: &CacheRegion, found: &Region) -> Result<(), ConfigurationError> {
        let rejected = |error: RegionError| ConfigurationError::Region {
            origin: self.origin.clone(),
            line: found.lines.of(&error).unwrap_or(found.line),
            region: region.name().to_owned(),
            source: Box::new(error),
        };
        region.configure(self.config_of(found)?).map(drop).map_err(rejected)
    }

    fn config_of(&self, found: &Region) -> Result<RegionConfig, ConfigurationError> {
        Ok(found.table.config(&self.registry, self.open_socket()?))
    }

    /// Opens the statistics socket, or returns the one that is open.
    fn open_socket(&self) -> Result<Option<Arc<StatisticsSocket>>, ConfigurationError> {
        let Some(Socket { path, line }) = &self.socket else { return Ok(None) };
        let path = path.of_this_process(&self.folder);
        StatisticsSocket::open(&path).map(Some).map_err(|source| ConfigurationError::Statistics {
            origin: self.origin.clone(),
            line: *line,
            path,
            source,
        })
    }
}

impl Regions {
    /// Returns the region `name`, or `None` if there is no such region.
    pub fn get(&self, name: &str) -> Option<&CacheRegion> {
        self.0.get(name)
    }

    /// Returns all regions, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &CacheRegion> {
        self.0.values()
    }
}

/// # Panics
/// If there is no region of that name.
impl std::ops::Index<&str> for Regions {
    type Output = CacheRegion;

    fn index(&self, name: &str) -> &CacheRegion {
        &self.0[name]
    }
}

/// Returns the error for a `document` that is not valid.
fn invalid(document: &str, origin: &str, error: &toml::de::Error) -> ConfigurationError {
    let start = error.span().map_or(0, |span| span.start);
    let Place { line, column, region, setting } = Place::of(document, start);
    let (origin, problem) = (origin.to_owned(), explained(error.message()));
    ConfigurationError::Document { origin, line, column, region, setting, problem }
}
