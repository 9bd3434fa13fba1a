//! [`Inspection`]: finds all problems of a document at once.
//!
//! Each setting is passed to the library by itself, so that one mistake does not hide another.

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use dogpile::{CacheRegion, Configuration, ConfigurationError, RegionConfig, Registry};
use toml::{Table, Value};

use super::problem::Problem;
use crate::document::Step::{Item, Name};
use crate::document::{Document, Step};
use crate::error::causes;

/// The backend with which the other settings of a region are checked.
const ANY_BACKEND: &str = "dogpile.cache.null";

/// The inspection of a document.
pub(super) struct Inspection<'d> {
    document: &'d Document<'d>,
    registry: Registry,
    /// How long opening a region may take.
    limit: Duration,
    pub(super) problems: Vec<Problem>,
}

/// Why a region was rejected.
struct Rejection {
    messages: Vec<String>,
    /// The invalid argument of the backend or proxy, if it is known.
    argument: Option<String>,
}

impl<'d> Inspection<'d> {
    /// Inspects `document`, which lies in `folder`, except its regions.
    pub(super) fn of(document: &'d Document<'d>, folder: &Path, limit: Duration) -> Self {
        let mut inspection = Inspection { document, registry: Registry::new(), limit, problems: Vec::new() };
        for (name, value) in document.table.iter().filter(|(name, _)| *name != "regions") {
            match value {
                Value::Table(plugins) if name == "plugins" => inspection.plugins(plugins, folder),
                _ => inspection.parse(None, &[Name(name)], &table(name, value.clone())),
            }
        }
        inspection
    }

    /// Reports a problem if `regions` is not a table.
    pub(super) fn whole(&mut self, regions: Option<&Value>) {
        if let Some(value) = regions.filter(|value| !value.is_table()) {
            self.parse(None, &[Name("regions")], &table("regions", value.clone()));
        }
    }

    fn report(&mut self, region: Option<&str>, path: &[Step<'_>], problem: Vec<String>) {
        let place = self.document.place(path);
        self.problems.push(Problem { place, region: region.map(str::to_owned), problem });
    }

    /// Reports a problem at `path` if `document`, which contains only the setting at `path`, is not valid.
    fn parse(&mut self, region: Option<&str>, path: &[Step<'_>], document: &Table) {
        if let Err(error) = configuration(document, &Registry::empty()) {
            self.report(region, path, messages(&error));
        }
    }

    /// Inspects each setting of the table `plugins`, and then the valid ones together.
    fn plugins(&mut self, plugins: &Table, folder: &Path) {
        let mut valid = Table::new();
        for (name, value) in plugins {
            let before = self.problems.len();
            match value {
                Value::Array(folders) if name == "path" => {
                    let usable = self.folders(folders, folder);
                    valid.insert(name.clone(), Value::Array(usable));
                    continue;
                }
                _ => {
                    let alone = table("plugins", Value::Table(table(name, value.clone())));
                    self.parse(None, &[Name("plugins"), Name(name)], &alone);
                }
            }
            if self.problems.len() == before {
                valid.insert(name.clone(), value.clone());
            }
        }
        let together = table("plugins", Value::Table(valid));
        if let Err(error) = configuration(&together, &self.registry) {
            self.report(None, &[Name("plugins")], messages(&error));
        }
    }

    /// Returns the folders that can be used. Relative paths start at `folder`.
    fn folders(&mut self, folders: &[Value], folder: &Path) -> Vec<Value> {
        let mut usable = Vec::new();
        for (number, path) in folders.iter().enumerate() {
            let path = match path.as_str() {
                Some(path) => Value::String(folder.join(path).to_string_lossy().into_owned()),
                None => path.clone(),
            };
            let alone = table("path", Value::Array(vec![path.clone()]));
            let before = self.problems.len();
            let here = [Name("plugins"), Name("path"), Item(number)];
            self.parse(None, &here, &table("plugins", Value::Table(alone)));
            if self.problems.len() == before {
                usable.push(path);
            }
        }
        usable
    }

    /// Inspects the region `name`, and returns its configuration if it has no problem.
    pub(super) fn region(&mut self, name: &str, value: &Value) -> Option<Configuration> {
        let before = self.problems.len();
        match value {
            Value::Table(settings) if settings.contains_key("backend") => self.settings(name, settings),
            Value::Table(settings) => {
                let here = [Name("regions"), Name(name)];
                self.parse(Some(name), &here, &of_region(name, Table::new()));
                self.settings(name, settings);
            }
            _ => {
                let alone = table("regions", Value::Table(table(name, value.clone())));
                self.parse(Some(name), &[Name("regions"), Name(name)], &alone);
            }
        }
        if self.problems.len() > before {
            return None;
        }
        let whole = table("regions", Value::Table(table(name, value.clone())));
        match configuration(&whole, &self.registry) {
            Ok(configuration) => Some(configuration),
            Err(error) => {
                self.report(Some(name), &[Name("regions"), Name(name)], messages(&error));
                None
            }
        }
    }

    /// Inspects each setting of a region by itself.
    fn settings(&mut self, region: &str, settings: &Table) {
        let (mut valid, any_backend) = (Table::new(), Value::String(ANY_BACKEND.to_owned()));
        for (name, value) in settings {
            let before = self.problems.len();
            let alone = with(table("backend", any_backend.clone()), name, value);
            self.parse(Some(region), &path_to(region, name), &of_region(region, alone));
            if self.problems.len() == before {
                valid.insert(name.clone(), value.clone());
            }
        }
        let any_backend = table("backend", any_backend);
        let backend = self.backend(region, &valid).unwrap_or_else(|| any_backend.clone());
        for (name, value) in &valid {
            match (name.as_str(), value) {
                ("backend" | "arguments", _) => {}
                ("wrap", Value::Array(proxies)) => self.proxies(region, &backend, proxies),
                ("wrap", _) => {
                    let alone = with(backend.clone(), name, value);
                    if let Err(rejection) = self.configured(region, alone, &self.registry) {
                        self.report(Some(region), &path_to(region, name), rejection.messages);
                    }
                }
                _ => {
                    // The document's restrictions do not concern this setting.
                    let alone = with(any_backend.clone(), name, value);
                    if let Err(rejection) = self.configured(region, alone, &Registry::new()) {
                        self.report(Some(region), &path_to(region, name), rejection.messages);
                    }
                }
            }
        }
    }

    /// Inspects the backend and its arguments, and returns both settings if they have no problem.
    ///
    /// After each rejected argument, the backend is built again without it, so that all of them are found.
    fn backend(&mut self, region: &str, valid: &Table) -> Option<Table> {
        let backend = table("backend", valid.get("backend")?.clone());
        let mut arguments = valid.get("arguments").and_then(Value::as_table).cloned().unwrap_or_default();
        let (before, mut reported) = (self.problems.len(), Vec::new());
        let alone = loop {
            let alone = with(backend.clone(), "arguments", &Value::Table(arguments.clone()));
            let Err(rejection) = self.configured(region, alone.clone(), &self.registry) else { break alone };
            // Without an invalid argument, it is missing. It was reported already.
            if rejection.argument.as_ref().is_some_and(|name| reported.contains(name)) {
                return None;
            }
            let Some(argument) = rejection.argument.filter(|name| arguments.remove(name).is_some()) else {
                self.report(Some(region), &path_to(region, "backend"), rejection.messages);
                return None;
            };
            reported.push(argument.clone());
            let here = [Name("regions"), Name(region), Name("arguments"), Name(&argument)];
            self.report(Some(region), &here, rejection.messages);
        };
        (self.problems.len() == before).then_some(alone)
    }

    /// Inspects each proxy by itself around `backend`.
    fn proxies(&mut self, region: &str, backend: &Table, proxies: &[Value]) {
        for (number, proxy) in proxies.iter().enumerate() {
            let alone = with(backend.clone(), "wrap", &Value::Array(vec![proxy.clone()]));
            if let Err(rejection) = self.configured(region, alone, &self.registry) {
                let here = [Name("regions"), Name(region), Name("wrap"), Item(number)];
                self.report(Some(region), &here, rejection.messages);
            }
        }
    }

    /// Configures a region with `settings` alone, and waits at most the time limit for it.
    fn configured(&self, region: &str, settings: Table, registry: &Registry) -> Result<(), Rejection> {
        let configuration = configuration(&of_region(region, settings), registry).map_err(Rejection::of)?;
        let region = CacheRegion::with_defaults(region, RegionConfig::default());
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            // The receiver is gone if this took too long.
            let _ = sender.send(configuration.configure(&region));
        });
        match receiver.recv_timeout(self.limit) {
            Ok(configured) => configured.map_err(Rejection::of),
            Err(_) => {
                let message = format!("the region was not opened within {} seconds", self.limit.as_secs());
                Err(Rejection { messages: vec![message], argument: None })
            }
        }
    }
}

impl Rejection {
    #[allow(clippy::needless_pass_by_value, reason = "it is passed to `map_err`")]
    fn of(error: ConfigurationError) -> Self {
        Rejection { messages: messages(&error), argument: error.argument().map(str::to_owned) }
    }
}

fn path_to<'s>(region: &'s str, setting: &'s str) -> [Step<'s>; 3] {
    [Name("regions"), Name(region), Name(setting)]
}

/// Returns a table with one entry.
fn table(name: &str, value: Value) -> Table {
    Table::from_iter([(name.to_owned(), value)])
}

/// Returns `settings` with one more entry.
fn with(mut settings: Table, name: &str, value: &Value) -> Table {
    settings.insert(name.to_owned(), value.clone());
    settings
}

/// Returns a document with one region.
fn of_region(region: &str, settings: Table) -> Table {
    table("regions", Value::Table(table(region, Value::Table(settings))))
}

fn configuration(document: &Table, registry: &Registry) -> Result<Configuration, ConfigurationError> {
    Configuration::from_toml_with(&document.to_string(), registry.clone())
}

/// Returns the messages of `error` and its causes, without what the report shows anyway.
///
/// The position in a document is left out: it is that of a part, not of the file.
fn messages(error: &ConfigurationError) -> Vec<String> {
    match error {
        ConfigurationError::Document { problem, .. } => vec![problem.clone()],
        ConfigurationError::Region { source, .. } => without_first_of_many(causes(&**source)),
        ConfigurationError::Plugins { .. } => without_first_of_many(causes(error)),
        _ => causes(error),
    }
}

fn without_first_of_many(mut messages: Vec<String>) -> Vec<String> {
    if messages.len() > 1 {
        messages.remove(0);
    }
    messages
}
