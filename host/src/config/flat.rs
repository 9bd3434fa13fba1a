//! Reads a region's configuration from flat, prefixed names, such as those of an INI section.

// Source: dogpile.cache `region.py`, `CacheRegion.configure_from_config`.

use dogpile_sdk::{Arguments, did_you_mean, seconds};

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
    "on_creator_failure",
    "wrap",
    "arguments.NAME",
];

/// An error in a configuration of flat names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} = {value:?}: {problem}")]
pub struct FlatError {
    name: String,
    value: String,
    problem: String,
}

impl FlatError {
    /// Returns the name of the invalid entry, with its prefix.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the invalid value, or an empty string if the entry is missing.
    pub fn value(&self) -> &str {
        &self.value
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
    /// # Errors
    /// If `backend` is missing, a name is unknown, or a value is invalid. The error reports the name and the value.
    pub fn from_flat<K: AsRef<str>, V: AsRef<str>>(
        entries: impl IntoIterator<Item = (K, V)>,
        prefix: &str,
    ) -> Result<Self, FlatError> {
        let mut config = RegionConfig::default();
        let (mut backend, mut arguments) = (None, std::collections::BTreeMap::new());
        for (full_name, value) in entries {
            let (full_name, value) = (full_name.as_ref(), value.as_ref());
            let Some(name) = full_name.strip_prefix(prefix) else { continue };
            let given = (value != "None").then_some(value);
            if let Some(argument) = name.strip_prefix("arguments.") {
                arguments.insert(argument.to_owned(), given.map(str::to_owned));
            } else if name == "backend" {
                backend = given.map(str::to_owned);
            } else {
                config = config.flat_setting(name, given).map_err(|problem| FlatError {
                    name: full_name.to_owned(),
                    value: value.to_owned(),
                    problem,
                })?;
            }
        }
        let name = backend.ok_or_else(|| missing_backend(prefix))?;
        let arguments = Arguments::from_serialize(arguments).unwrap_or_default();
        Ok(config.with_backend(BackendChoice::Named { name, arguments }))
    }

    fn flat_setting(mut self, name: &str, given: Option<&str>) -> Result<Self, String> {
        if !KNOWN.contains(&name) {
            let hint = did_you_mean(name, KNOWN);
            return Err(format!("unknown name (known: {}){hint}", KNOWN.join(", ")));
        }
        let Some(value) = given else { return Ok(self) };
        match name {
            "expiration_time" => {
                let expiration: Expiration = value.parse().map_err(|error| format!("{error}"))?;
                self.settings.expiration_time = Some(expiration);
            }
            "mangle_invalid_keys" => match value.to_ascii_lowercase().as_str() {
                "true" => self.settings.mangle_invalid_keys = Some(true),
                "false" => self.settings.mangle_invalid_keys = Some(false),
                _ => return Err("expected true or false".to_owned()),
            },
            "creation_wait_timeout" => {
                let limit = seconds::parse(value).map_err(|error| error.to_string())?;
                self.settings.creation_wait_timeout = Some(limit);
            }
            "on_creator_failure" => self.settings.on_creator_failure = Some(value.parse()?),
            "key_mangler" => self = self.key_mangler_named(value),
            "serializer" => self = self.serializer_named(value),
            _ => self = self.flat_wrap(value),
        }
        Ok(self)
    }

    /// Adds the named proxies. `names` is separated by commas or whitespace, and the outermost proxy comes first.
    fn flat_wrap(self, names: &str) -> Self {
        let names = names.split([',', ' ', '\t', '\n']).filter(|name| !name.is_empty());
        names.fold(self, |config, name| {
            config.push(Wrap::Named { name: name.to_owned(), arguments: Arguments::default() })
        })
    }
}

fn missing_backend(prefix: &str) -> FlatError {
    FlatError {
        name: format!("{prefix}backend"),
        value: String::new(),
        problem: "the entry is missing; set it to the entry point of a backend".to_owned(),
    }
}
