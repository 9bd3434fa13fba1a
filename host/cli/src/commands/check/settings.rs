//! Finds everything that is wrong with a document at once: each setting is given to the library alone, so that it
//! judges it, and the mistake in one hides none in another.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use dogpile::{CacheRegion, Configuration, ConfigurationError, RegionConfig, Registry};
use toml::{Table, Value};

use super::problem::Problem;
use crate::document::Step::{Item, Name};
use crate::document::{Document, Step};
use crate::error::causes;

/// Stands for the backend of a region while another of its settings is looked at.
const ANY_BACKEND: &str = "dogpile.cache.null";

/// Looks a document over.
pub(super) struct Inspection<'d> {
    document: &'d Document<'d>,
    registry: Arc<Registry>,
    /// How long a region may take to open.
    limit: Duration,
    pub(super) problems: Vec<Problem>,
}

impl<'d> Inspection<'d> {
    /// Looks at all but the regions of `document`, which lies in `folder`.
    pub(super) fn of(document: &'d Document<'d>, folder: &Path, limit: Duration) -> Self {
        let registry = Arc::new(Registry::new());
        let mut inspection = Inspection { document, registry, limit, problems: Vec::new() };
        for (name, value) in document.table.iter().filter(|(name, _)| *name != "regions") {
            match value {
                Value::Table(plugins) if name == "plugins" => inspection.plugins(plugins, folder),
                _ => inspection.parse(None, &[Name(name)], &table(name, value.clone())),
            }
        }
        inspection
    }

    /// Tells if `regions` is no table at all.
    pub(super) fn whole(&mut self, regions: Option<&Value>) {
        if let Some(value) = regions.filter(|value| !value.is_table()) {
            self.parse(None, &[Name("regions")], &table("regions", value.clone()));
        }
    }

    fn tell(&mut self, region: Option<&str>, path: &[Step<'_>], problem: Vec<String>) {
        let place = self.document.place(path);
        self.problems.push(Problem { place, region: region.map(str::to_owned), problem });
    }

    /// Tells what is wrong with the form of `document`, of which `path` is the subject.
    fn parse(&mut self, region: Option<&str>, path: &[Step<'_>], document: &Table) {
        if let Err(error) = configuration(document, &Arc::new(Registry::empty())) {
            self.tell(region, path, said(&error));
        }
    }

    /// The table `plugins`: its settings alone, then those that are right together.
    fn plugins(&mut self, plugins: &Table, folder: &Path) {
        let mut right = Table::new();
        for (name, value) in plugins {
            let before = self.problems.len();
            match value {
                Value::Array(folders) if name == "path" => {
                    let usable = self.folders(folders, folder);
                    right.insert(name.clone(), Value::Array(usable));
                    continue;
                }
                _ => {
                    let alone = table("plugins", Value::Table(table(name, value.clone())));
                    self.parse(None, &[Name("plugins"), Name(name)], &alone);
                }
            }
            if self.problems.len() == before {
                right.insert(name.clone(), value.clone());
            }
        }
        let together = table("plugins", Value::Table(right));
        let registry = Arc::clone(&self.registry);
        if let Err(error) = configuration(&together, &registry) {
            self.tell(None, &[Name("plugins")], said(&error));
        }
    }

    /// The folders that can be used, relative ones from `folder` on.
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

    /// Everything about the region `name`; answers its configuration if nothing is wrong with it.
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
                self.tell(Some(name), &[Name("regions"), Name(name)], said(&error));
                None
            }
        }
    }

    /// The settings of a region, each alone.
    fn settings(&mut self, region: &str, settings: &Table) {
        let (mut right, any_backend) = (Table::new(), Value::String(ANY_BACKEND.to_owned()));
        for (name, value) in settings {
            let before = self.problems.len();
            let alone = with(table("backend", any_backend.clone()), name, value);
            self.parse(Some(region), &path_to(region, name), &of_region(region, alone));
            if self.problems.len() == before {
                right.insert(name.clone(), value.clone());
            }
        }
        let any_backend = table("backend", any_backend);
        let backend = self.backend(region, &right).unwrap_or_else(|| any_backend.clone());
        for (name, value) in &right {
            match (name.as_str(), value) {
                ("backend" | "arguments", _) => {}
                ("wrap", Value::Array(proxies)) => self.proxies(region, &backend, proxies),
                _ => {
                    // No matter of the plugins that a document names or allows.
                    let alone = with(any_backend.clone(), name, value);
                    if let Err(said) = self.configured(region, alone, &Arc::new(Registry::new())) {
                        self.tell(Some(region), &path_to(region, name), said);
                    }
                }
            }
        }
    }

    /// The backend, with its arguments; of these, one after the other that it names in its refusals. Answers its
    /// settings if nothing is wrong with them.
    fn backend(&mut self, region: &str, right: &Table) -> Option<Table> {
        let backend = table("backend", right.get("backend")?.clone());
        let mut arguments = right.get("arguments").and_then(Value::as_table).cloned().unwrap_or_default();
        let before = self.problems.len();
        let alone = loop {
            let alone = with(backend.clone(), "arguments", &Value::Table(arguments.clone()));
            let Err(said) = self.configured(region, alone.clone(), &self.registry) else { break alone };
            let Some(argument) = named_in(&said, &arguments) else {
                self.tell(Some(region), &path_to(region, "backend"), said);
                return None;
            };
            let here = [Name("regions"), Name(region), Name("arguments"), Name(&argument)];
            self.tell(Some(region), &here, said);
            arguments.remove(&argument);
        };
        (self.problems.len() == before).then_some(alone)
    }

    /// The proxies, each alone around `backend`.
    fn proxies(&mut self, region: &str, backend: &Table, proxies: &[Value]) {
        for (number, proxy) in proxies.iter().enumerate() {
            let alone = with(backend.clone(), "wrap", &Value::Array(vec![proxy.clone()]));
            if let Err(said) = self.configured(region, alone, &self.registry) {
                let here = [Name("regions"), Name(region), Name("wrap"), Item(number)];
                self.tell(Some(region), &here, said);
            }
        }
    }

    /// Configures a region with `settings` alone; waits for it no longer than the limit. The error is what was said.
    fn configured(&self, region: &str, settings: Table, registry: &Arc<Registry>) -> Result<(), Vec<String>> {
        let configuration =
            configuration(&of_region(region, settings), registry).map_err(|error| said(&error))?;
        let region = CacheRegion::with_defaults(region, RegionConfig::default());
        let (answer, answered) = mpsc::channel();
        thread::spawn(move || {
            // Nobody listens any more if it took too long.
            let _ = answer.send(configuration.configure(&region));
        });
        match answered.recv_timeout(self.limit) {
            Ok(configured) => configured.map_err(|error| said(&error)),
            Err(_) => Err(vec![format!("it could not be opened within {} seconds", self.limit.as_secs())]),
        }
    }
}

fn path_to<'s>(region: &'s str, setting: &'s str) -> [Step<'s>; 3] {
    [Name("regions"), Name(region), Name(setting)]
}

/// A table with one entry.
fn table(name: &str, value: Value) -> Table {
    Table::from_iter([(name.to_owned(), value)])
}

/// `settings` and one more.
fn with(mut settings: Table, name: &str, value: &Value) -> Table {
    settings.insert(name.to_owned(), value.clone());
    settings
}

/// A document with one region.
fn of_region(region: &str, settings: Table) -> Table {
    table("regions", Value::Table(table(region, Value::Table(settings))))
}

fn configuration(document: &Table, registry: &Arc<Registry>) -> Result<Configuration, ConfigurationError> {
    Configuration::from_toml_with(&document.to_string(), Arc::clone(registry))
}

/// What `error` and its causes say. A document's place is left out: it is that of a part, not of the file.
fn said(error: &ConfigurationError) -> Vec<String> {
    match error {
        ConfigurationError::Document { problem, .. } => vec![problem.clone()],
        // Says only that something is wrong with the region, which is told anyway.
        ConfigurationError::Region(_) | ConfigurationError::Plugins { .. } => {
            let mut said = causes(error);
            if said.len() > 1 {
                said.remove(0);
            }
            said
        }
        _ => causes(error),
    }
}

/// The argument that is named in quotes in what was `said`.
fn named_in(said: &[String], arguments: &Table) -> Option<String> {
    let last = said.last()?;
    let quoted = last.split('"').skip(1).step_by(2).chain(last.split('`').skip(1).step_by(2));
    quoted.into_iter().find(|name| arguments.contains_key(*name)).map(str::to_owned)
}
