//! Reads a region's configuration from flat, prefixed names, such as those of an INI section.

// Source: dogpile.cache `region.py`, `CacheRegion.configure_from_config`.

use std::collections::BTreeMap;

use dogpile_sdk::{Arguments, OSLO_CACHE, did_you_mean, nearest, seconds};

use super::flat_policy;
use super::names::names;
use super::oslo::{OSLO_CACHE_REGION, OsloSection, boolean, entry_point, is_argument};
use crate::expiration::Expiration;
use crate::region::{BackendChoice, RegionConfig, Wrap};

/// The names that may follow the prefix.
const KNOWN: [&str; 9] = [
    "backend",
    "expiration_time",
    "key_mangler",
    "serializer",
    "mangle_invalid_keys",
    "creation_wait_timeout",
    "statistics",
    "wrap",
    "arguments.NAME",
];

/// An error in a configuration of flat names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}{}: {problem}", value.as_ref().map(|value| format!(" = {value:?}")).unwrap_or_default())]
pub struct FlatError {
    name: String,
    /// None for a value that may be secret.
    value: Option<String>,
    problem: String,
    /// The most similar name, if the name is unknown.
    unknown: Option<Option<&'static str>>,
}

impl FlatError {
    fn new(name: &str, value: Option<&str>, problem: impl Into<String>) -> Self {
        FlatError {
            name: name.to_owned(),
            value: value.map(str::to_owned),
            problem: problem.into(),
            unknown: None,
        }
    }

    /// Returns the name of the invalid entry, with its prefix.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the known name that is similar to this one, if the name is unknown.
    pub fn similar_name(&self) -> Option<&'static str> {
        self.unknown.flatten()
    }

    /// Returns whether the name is unknown.
    pub fn is_unknown_name(&self) -> bool {
        self.unknown.is_some()
    }

    /// Returns the invalid value.
    ///
    /// It is empty if the entry is missing or its value may be secret.
    pub fn value(&self) -> &str {
        self.value.as_deref().unwrap_or_default()
    }
}

impl RegionConfig {
    /// Creates a configuration from the entries whose names begin with `prefix`.
    ///
    /// Other entries are ignored. Values are strings. They are parsed as numbers, booleans, and [lists](dogpile_sdk::list)
    /// where needed. The value `None` leaves a setting unset.
    ///
    /// ```
    /// use std::collections::HashMap;
    ///
    /// use dogpile::{CacheRegion, RegionConfig};
    ///
    /// let ini = HashMap::from([
    ///     ("cache.users.backend", "dogpile.cache.memory"),
    ///     ("cache.users.expiration_time", "600"),
    ///     ("cache.users.arguments.max_entries", "1000"),
    ///     ("cache.users.wrap", "dogpile.proxy.logging, dogpile.proxy.readonly"),
    /// ]);
    /// let users = CacheRegion::new("users");
    /// users.configure(RegionConfig::from_flat(ini, "cache.users.")?)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # oslo.cache and Keystone
    /// The entries may be those of oslo.cache's section `[cache]`, such as `memcache_servers` and `backend_argument`.
    /// `docs/oslo-cache.md` lists all of them. When the region is configured, one warning lists those that have no effect.
    ///
    /// # Errors
    /// If `backend` is missing, a name is unknown, or a value is invalid. The error reports the name and the value.
    pub fn from_flat<K: AsRef<str>, V: AsRef<str>>(
        entries: impl IntoIterator<Item = (K, V)>,
        prefix: &str,
    ) -> Result<Self, FlatError> {
        let mut flat = Flat::default();
        for (full_name, value) in entries {
            let (full_name, value) = (full_name.as_ref(), value.as_ref());
            if let Some(name) = full_name.strip_prefix(prefix) {
                flat.take(full_name, name, Some(value).filter(|value| *value != "None"))?;
            }
        }
        flat.finish(prefix)
    }

    fn flat_setting(mut self, name: &str, given: Option<&str>) -> Result<Self, String> {
        if !is_known(name) {
            let hint = did_you_mean(name, all_names());
            return Err(format!("unknown name (known: {}){hint}", known().collect::<Vec<_>>().join(", ")));
        }
        let Some(value) = given else { return Ok(self) };
        match name {
            name if flat_policy::NAMES.contains(&name) => flat_policy::set(&mut self, name, value)?,
            "expiration_time" => self.settings.expiration_time = Some(expiration(value)?),
            "statistics" => self.settings.statistics = Some(boolean(value)?),
            "mangle_invalid_keys" => self.settings.mangle_invalid_keys = Some(boolean(value)?),
            "creation_wait_timeout" => {
                let limit = seconds::parse(value).map_err(|error| error.to_string())?;
                self.settings.creation_wait_timeout = Some(limit);
            }
            "key_mangler" => self = self.key_mangler_named(value),
            "serializer" => self = self.serializer_named(value),
            _ => self = names(value).fold(self, RegionConfig::flat_proxy),
        }
        Ok(self)
    }

    fn flat_proxy(self, name: &str) -> Self {
        self.push(Wrap::Named { name: name.to_owned(), arguments: Arguments::default() })
    }
}

/// The entries of a region that were read.
#[derive(Default)]
struct Flat {
    config: RegionConfig,
    backend: Option<String>,
    /// The arguments of the backend, each with the full name of its entry.
    arguments: BTreeMap<String, (String, Option<String>)>,
    oslo: OsloSection,
    /// The proxies in the order of oslo.cache: the innermost first.
    proxies: Vec<String>,
    cache_time: Option<Expiration>,
}

impl Flat {
    fn take(&mut self, full_name: &str, name: &str, given: Option<&str>) -> Result<(), FlatError> {
        if let Some(argument) = name.strip_prefix("arguments.") {
            return self.argument(full_name, argument, given);
        }
        match name {
            "backend" => self.backend = given.map(|given| entry_point(given.trim()).to_owned()),
            "backend_argument" => {
                return given.map_or(Ok(()), |lines| self.backend_arguments(full_name, lines));
            }
            _ if is_argument(name) => return self.argument(full_name, name, given),
            _ => {
                return self.setting(name, given).map_err(|problem| {
                    let unknown = (!is_known(name)).then(|| nearest(name, all_names()));
                    FlatError { unknown, ..FlatError::new(full_name, Some(given.unwrap_or("None")), problem) }
                });
            }
        }
        Ok(())
    }

    fn setting(&mut self, name: &str, given: Option<&str>) -> Result<(), String> {
        let is_theirs = OSLO_CACHE_REGION.iter().any(|(theirs, _)| *theirs == name);
        match given {
            None if is_theirs => {}
            Some(value) if name == "proxies" => self.proxies = names(value).map(str::to_owned).collect(),
            Some(value) if name == "cache_time" => self.cache_time = Some(expiration(value)?),
            Some(value) if self.oslo.take(name, value)? => {}
            _ => self.config = std::mem::take(&mut self.config).flat_setting(name, given)?,
        }
        Ok(())
    }

    /// Takes arguments of the form `name:value`, one in a line.
    fn backend_arguments(&mut self, full_name: &str, lines: &str) -> Result<(), FlatError> {
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let Some((name, value)) = line.split_once(':') else {
                let problem = "expected \"name:value\", the name and the value of an argument";
                return Err(FlatError::new(full_name, None, problem));
            };
            self.argument(full_name, name.trim(), Some(value.trim()).filter(|value| *value != "None"))?;
        }
        Ok(())
    }

    fn argument(&mut self, full_name: &str, name: &str, given: Option<&str>) -> Result<(), FlatError> {
        let given = given.map(str::to_owned);
        match self.arguments.insert(name.to_owned(), (full_name.to_owned(), given)) {
            // Two entries would be in no certain order.
            Some((other, Some(_))) if other != full_name => {
                let problem = format!("{other:?} sets the argument {name:?}, too; remove one of them");
                Err(FlatError::new(full_name, None, problem))
            }
            _ => Ok(()),
        }
    }

    fn finish(self, prefix: &str) -> Result<RegionConfig, FlatError> {
        let Flat { config, backend, arguments, oslo, proxies, cache_time } = self;
        let name = backend.ok_or_else(|| missing_backend(prefix))?;
        let mut config = proxies.iter().rev().fold(config, |config, name| config.flat_proxy(name));
        if oslo.is_logging {
            config = config.flat_proxy("dogpile.proxy.logging");
        }
        config.settings.expiration_time = cache_time.or(config.settings.expiration_time);
        config.settings.ignored_names = oslo.ignored;
        if oslo.is_disabled {
            return Ok(config.with_backend(null()));
        }
        let arguments: BTreeMap<_, _> =
            arguments.into_iter().map(|(name, (_, given))| (name, given)).collect();
        let arguments = Arguments::from_serialize(arguments).unwrap_or_default();
        Ok(config.with_backend(BackendChoice::Named { name, arguments }))
    }
}

fn known() -> impl Iterator<Item = &'static str> {
    KNOWN.into_iter().chain(flat_policy::NAMES)
}

fn is_known(name: &str) -> bool {
    known().any(|known| known == name) || OSLO_CACHE_REGION.iter().any(|(theirs, _)| *theirs == name)
}

/// Returns all names, including those of oslo.cache.
fn all_names() -> impl Iterator<Item = &'static str> {
    known().chain(OSLO_CACHE_REGION.iter().map(|(name, _)| *name)).chain(OSLO_CACHE.iter().copied())
}

/// Returns the backend of a region whose caching is turned off.
fn null() -> BackendChoice {
    BackendChoice::Named { name: "dogpile.cache.null".to_owned(), arguments: Arguments::default() }
}

fn expiration(value: &str) -> Result<Expiration, String> {
    value.parse().map_err(|error| format!("{error}"))
}

fn missing_backend(prefix: &str) -> FlatError {
    let problem = "the entry is missing; set it to the entry point of a backend";
    FlatError::new(&format!("{prefix}backend"), Some(""), problem)
}
