//! [`Configuration`]: plugins and regions from a TOML document.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dogpile_sdk::{Arguments, did_you_mean, seconds};
use serde::Deserialize;

use super::spelling::with_suggestion;
use crate::error::RegionError;
use crate::expiration::Expiration;
use crate::region::{BackendChoice, CacheRegion, OnCreatorFailure, RegionConfig, Wrap};
use crate::registry::{NamePattern, Pin, Registry, RegistryError, Trust};

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
#[derive(Debug)]
pub struct Configuration {
    source: String,
    regions: BTreeMap<String, RegionTable>,
    registry: Arc<Registry>,
}

/// Regions created from a configuration, by name.
#[derive(Debug)]
pub struct Regions(BTreeMap<String, CacheRegion>);

/// An error in a configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// The file cannot be read.
    #[error("the configuration {path:?} cannot be read")]
    Unreadable {
        /// The path of the file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The document is not valid TOML or contains an invalid entry.
    #[error("{origin}, line {line}, column {column}: {problem}")]
    Document {
        /// The path of the file, or a description of the string.
        origin: String,
        /// The line, counted from 1.
        line: usize,
        /// The column in characters, counted from 1.
        column: usize,
        /// The problem at this position.
        problem: String,
    },
    /// A plugin folder cannot be used.
    #[error("{origin}: a plugin folder cannot be used")]
    Plugins {
        /// The path of the file, or a description of the string.
        origin: String,
        /// The reason.
        source: Box<RegistryError>,
    },
    /// The configuration has no region of this name.
    #[error("{origin} configures no region {name:?} (configured: {known}){hint}")]
    UnknownRegion {
        /// The path of the file, or a description of the string.
        origin: String,
        /// The requested name.
        name: String,
        /// The names of the configured regions.
        known: String,
        /// A suggestion of the most similar name, or an empty string.
        hint: String,
    },
    /// The region rejected its configuration.
    #[error(transparent)]
    Region(#[from] RegionError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    plugins: PluginsTable,
    #[serde(default)]
    regions: BTreeMap<String, RegionTable>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PluginsTable {
    /// The folders to search. Relative paths start at the folder of the document.
    path: Vec<PathBuf>,
    /// The only names that may be used, if set.
    allow: Option<Vec<NamePattern>>,
    /// The names that may not be used.
    deny: Vec<NamePattern>,
    /// The required SHA-256 of each library. If any is set, libraries without one are not opened.
    pins: BTreeMap<String, Pin>,
}

/// A `[regions.NAME]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RegionTable {
    backend: String,
    #[serde(default)]
    arguments: Arguments,
    expiration_time: Option<Expiration>,
    key_mangler: Option<String>,
    serializer: Option<String>,
    mangle_invalid_keys: Option<bool>,
    #[serde(default, with = "seconds")]
    creation_wait_timeout: Option<Duration>,
    on_creator_failure: Option<OnCreatorFailure>,
    wrap: Option<Vec<WrapItem>>,
}

/// A proxy, given as its name or as a table with its name and arguments.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "a proxy is a name, or a table of `name` and `arguments`")]
enum WrapItem {
    Name(String),
    Table(WrapTable),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrapTable {
    name: String,
    #[serde(default)]
    arguments: Arguments,
}

impl RegionTable {
    fn config(&self, registry: &Arc<Registry>) -> RegionConfig {
        let backend = BackendChoice::Named { name: self.backend.clone(), arguments: self.arguments.clone() };
        let mut config = RegionConfig::default().with_backend(backend).registry(Arc::clone(registry));
        config.settings.expiration_time = self.expiration_time;
        config.settings.mangle_invalid_keys = self.mangle_invalid_keys;
        config.settings.creation_wait_timeout = self.creation_wait_timeout;
        config.settings.on_creator_failure = self.on_creator_failure;
        if let Some(name) = &self.key_mangler {
            config = config.key_mangler_named(name);
        }
        if let Some(name) = &self.serializer {
            config = config.serializer_named(name);
        }
        for item in self.wrap.iter().flatten() {
            let (name, arguments) = match item.clone() {
                WrapItem::Name(name) => (name, Arguments::default()),
                WrapItem::Table(WrapTable { name, arguments }) => (name, arguments),
            };
            config = config.push(Wrap::Named { name, arguments });
        }
        config
    }
}

impl Configuration {
    /// Parses `document`. The entry points are those of [`Registry::new`].
    ///
    /// # Errors
    /// If the document is not valid TOML or contains an unknown or invalid entry. The error reports line and column.
    pub fn from_toml(document: &str) -> Result<Self, ConfigurationError> {
        Self::read(document, "the configuration".to_owned(), Path::new(""), Arc::new(Registry::new()))
    }

    /// Reads the file at `path`. The entry points are those of [`Registry::new`].
    ///
    /// # Errors
    /// If the file cannot be read. See [`from_toml`](Self::from_toml) for other errors.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigurationError> {
        Self::from_file_with(path, Arc::new(Registry::new()))
    }

    /// Parses `document` with the entry points of `registry`.
    ///
    /// The document's plugin folders and restrictions are added to `registry`.
    ///
    /// # Errors
    /// See [`from_toml`](Self::from_toml).
    pub fn from_toml_with(document: &str, registry: Arc<Registry>) -> Result<Self, ConfigurationError> {
        Self::read(document, "the configuration".to_owned(), Path::new(""), registry)
    }

    /// Reads the file at `path` with the entry points of `registry`.
    ///
    /// The document's plugin folders and restrictions are added to `registry`.
    ///
    /// # Errors
    /// See [`from_file`](Self::from_file).
    pub fn from_file_with(
        path: impl AsRef<Path>,
        registry: Arc<Registry>,
    ) -> Result<Self, ConfigurationError> {
        let path = path.as_ref();
        let unreadable = |source| ConfigurationError::Unreadable { path: path.to_owned(), source };
        let document = std::fs::read_to_string(path).map_err(unreadable)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::read(&document, path.display().to_string(), folder, registry)
    }

    fn read(
        document: &str,
        origin: String,
        folder: &Path,
        registry: Arc<Registry>,
    ) -> Result<Self, ConfigurationError> {
        let parsed: Document = toml::from_str(document).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let (line, column) = position(document, start);
            let problem = with_suggestion(error.message());
            ConfigurationError::Document { origin: origin.clone(), line, column, problem }
        })?;
        let PluginsTable { path, allow, deny, pins } = parsed.plugins;
        registry.restrict(Trust { allow, deny, pins });
        for path in path {
            let added = registry.add_folder(folder.join(path));
            let refused =
                |source| ConfigurationError::Plugins { origin: origin.clone(), source: Box::new(source) };
            added.map_err(refused)?;
        }
        Ok(Configuration { source: origin, regions: parsed.regions, registry })
    }

    /// Returns the names of the configured regions.
    pub fn region_names(&self) -> impl Iterator<Item = &str> {
        self.regions.keys().map(String::as_str)
    }

    /// Returns the configuration of the region `name`, which can be completed in code.
    ///
    /// # Errors
    /// If no region of this name is configured. The error lists the configured ones.
    pub fn region_config(&self, name: &str) -> Result<RegionConfig, ConfigurationError> {
        let table = self.regions.get(name).ok_or_else(|| ConfigurationError::UnknownRegion {
            origin: self.source.clone(),
            name: name.to_owned(),
            known: self.region_names().collect::<Vec<_>>().join(", "),
            hint: did_you_mean(name, self.region_names()),
        })?;
        Ok(table.config(&self.registry))
    }

    /// Configures `region` with the table of its name.
    ///
    /// # Errors
    /// If no region of this name is configured, or if the region rejects its configuration.
    pub fn configure(&self, region: &CacheRegion) -> Result<(), ConfigurationError> {
        region.configure(self.region_config(region.name())?)?;
        Ok(())
    }

    /// Creates and configures all regions of the document.
    ///
    /// # Errors
    /// If a region cannot be configured.
    pub fn regions(&self) -> Result<Regions, ConfigurationError> {
        let made = self.regions.iter().map(|(name, table)| {
            let region = CacheRegion::with_defaults(name, RegionConfig::default());
            region.configure(table.config(&self.registry))?;
            Ok((name.clone(), region))
        });
        made.collect::<Result<_, RegionError>>().map(Regions).map_err(Into::into)
    }

    /// Returns the registry whose entry points the regions use.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
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

/// Returns the line and the column, counted from 1, of the byte at offset `at`.
fn position(document: &str, at: usize) -> (usize, usize) {
    let before = document.get(..at).unwrap_or(document);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
