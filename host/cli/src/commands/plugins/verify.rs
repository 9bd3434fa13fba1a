//! `dogpile plugins verify FILE`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use dogpile::Registry;
use dogpile::registry::{EntryKind, LibraryDescription, ManifestEntry, Trust};
use dogpile::sdk::{Arguments, BackendError, CacheBackend, ErrorKind};
use dogpile_conformance::{LevelReport, Setup, Stop, Verdict};
use serde::Serialize;

use crate::answer::{Answer, Answered, to_json};
use crate::arguments::{Hold, Verify};
use crate::error::{CommandError, causes};
use crate::found_library::FoundLibrary;
use crate::page::{Color, Page, padded, shortened};
use crate::workplace;

/// The results of a library.
#[derive(Serialize)]
struct Verified {
    library: PathBuf,
    package: String,
    version: String,
    sdk_version: String,
    abi_version: String,
    sha256: String,
    setups: Vec<SetupReport>,
}

/// The results of one entry point.
#[derive(Serialize)]
struct SetupReport {
    name: String,
    kind: EntryKind,
    passed: usize,
    skipped: usize,
    failed: usize,
    levels: Vec<LevelTold>,
}

/// The results of one level of the suite.
#[derive(Serialize)]
struct LevelTold {
    name: &'static str,
    /// `passed`, `failed`, or `skipped`.
    verdict: &'static str,
    /// The reason for skipping it.
    reason: Option<String>,
    passed: usize,
    skipped: usize,
    failed: usize,
    cases: Vec<CaseReport>,
}

#[derive(Serialize)]
struct CaseReport {
    name: &'static str,
    outcome: &'static str,
    /// The reason for skipping it, or the expectation that failed.
    reason: Option<String>,
}

/// Runs the conformance suite on each entry point of a library.
pub(super) fn run(asked: &Verify) -> Answered {
    let found = FoundLibrary::of(&asked.file)?;
    let library = &found.library;
    let told = found.description()?;
    let registry = Registry::empty();
    registry.restrict(Trust::default().reserved("dogpile.*")?);
    registry.add_library(library).map_err(|error| found.named(error.into()))?;
    let arguments = arguments(asked, &told)?;
    let wanted = wanted(asked, &told)?;
    let limit = Duration::from_secs(asked.time_limit);
    let reports = wanted.into_iter().map(|entry| {
        let given = arguments.get(&entry.name).cloned();
        let setup = setup(&registry, &entry, given).with_time_limit(limit);
        let setup = if asked.handles_failures { setup.handling_failures() } else { setup };
        report(&entry, &leased(setup, asked, library, &entry))
    });
    Ok(Box::new(Verified {
        setups: reports.collect(),
        library: told.path,
        package: told.package,
        version: told.version,
        sdk_version: told.sdk_version,
        abi_version: told.abi_version,
        sha256: told.sha256,
    }))
}

/// Holds the mutex of a key until the process is killed by `verify`.
pub(super) fn hold(asked: &Hold) -> Result<(), CommandError> {
    let registry = Registry::empty();
    registry.restrict(Trust::default().reserved("dogpile.*")?);
    registry.add_library(&asked.library)?;
    let told = LibraryDescription::read(&asked.library, None)?;
    let entry = told.entry_points.into_iter().find(|entry| entry.name == asked.name);
    let entry = entry.ok_or_else(|| CommandError::other(format!("the library has no {:?}", asked.name)))?;
    let arguments = tables(asked.arguments.as_deref())?.get(&asked.name).cloned();
    let backend = build(&registry, &entry.name, arguments, None)?;
    dogpile_conformance::hold(&*backend, &asked.key).map_err(|stop| CommandError::other(stop.to_string()))
}

/// Returns `setup` with the claim that the mutexes of a backend are free one lease after their holder's death, if it was
/// requested.
fn leased(setup: Setup, asked: &Verify, library: &Path, entry: &ManifestEntry) -> Setup {
    // The mutexes behind a proxy are those of this process, which no other one sees.
    let is_claimed = entry.kind == EntryKind::Backend;
    let Some(lease) = asked.lease.filter(|_| is_claimed) else { return setup };
    let (library, name) = (library.to_owned(), entry.name.clone());
    let arguments = asked.arguments.clone();
    setup.leased_by(Duration::from_secs(lease), move |key| {
        let mut holder = Command::new(env::current_exe().unwrap_or_default());
        holder.arg("hold-mutex").arg(&library).args([&name, key]);
        if let Some(arguments) = &arguments {
            holder.arg("--arguments").arg(arguments);
        }
        holder
    })
}

fn tables(path: Option<&Path>) -> Result<toml::Table, CommandError> {
    path.map_or_else(|| Ok(toml::Table::new()), workplace::read_toml)
}

/// Returns the tables of arguments by entry point. Refuses a table of an entry point that the library does not have.
fn arguments(asked: &Verify, told: &LibraryDescription) -> Result<toml::Table, CommandError> {
    let tables = tables(asked.arguments.as_deref())?;
    tables.keys().try_for_each(|name| known(name, told))?;
    Ok(tables)
}

/// Returns the entry points to verify: all, or the named ones.
fn wanted(asked: &Verify, told: &LibraryDescription) -> Result<Vec<ManifestEntry>, CommandError> {
    asked.only.iter().try_for_each(|name| known(name, told))?;
    let is_wanted = |entry: &&ManifestEntry| asked.only.is_empty() || asked.only.contains(&entry.name);
    Ok(told.entry_points.iter().filter(is_wanted).cloned().collect())
}

fn known(name: &str, told: &LibraryDescription) -> Result<(), CommandError> {
    let names: Vec<&str> = told.entry_points.iter().map(|entry| entry.name.as_str()).collect();
    if names.contains(&name) {
        return Ok(());
    }
    let hint = dogpile::sdk::did_you_mean(name, names.iter().copied());
    let names = names.join(", ");
    Err(CommandError::other(format!("the library has no entry point {name:?} (it has: {names}){hint}")))
}

/// Builds the entry point for each case: a backend by itself, or a proxy around the stores of the suite.
fn setup(registry: &Registry, entry: &ManifestEntry, arguments: Option<toml::Value>) -> Setup {
    let (registry, kind, name) = (registry.clone(), entry.kind, entry.name.clone());
    let entry_point = name.clone();
    let build = move |proxied| {
        build(&registry, &entry_point, arguments.clone(), proxied).map_err(|error| match error {
            CommandError::Backend(error) => error,
            error => BackendError::new(ErrorKind::Configuration, causes(&error).join(": ")),
        })
    };
    match kind {
        EntryKind::Proxy => Setup::proxy(name, move |proxied| build(Some(proxied))),
        _ => Setup::new(name, move || build(None)),
    }
}

/// Builds the entry point `name`, around `proxied` if it is a proxy.
fn build(
    registry: &Registry,
    name: &str,
    arguments: Option<toml::Value>,
    proxied: Option<Arc<dyn CacheBackend>>,
) -> Result<Arc<dyn CacheBackend>, CommandError> {
    let arguments = arguments.map(Arguments::from_serialize).transpose()?.unwrap_or_default();
    Ok(match proxied {
        Some(proxied) => registry.build_proxy(name, arguments, proxied)?,
        None => registry.build_backend(name, arguments)?,
    })
}

fn report(entry: &ManifestEntry, setup: &Setup) -> SetupReport {
    let levels: Vec<_> = dogpile_conformance::report(setup).levels.iter().map(LevelTold::of).collect();
    let sum = |count: fn(&LevelTold) -> usize| levels.iter().map(count).sum();
    SetupReport {
        name: entry.name.clone(),
        kind: entry.kind,
        passed: sum(|level| level.passed),
        skipped: sum(|level| level.skipped),
        failed: sum(|level| level.failed),
        levels,
    }
}

impl LevelTold {
    fn of(level: &LevelReport) -> Self {
        let (verdict, reason) = match level.verdict() {
            Verdict::Passed => ("passed", None),
            Verdict::Failed => ("failed", None),
            Verdict::Skipped(reason) => ("skipped", Some(reason)),
        };
        let cases = level.cases.iter().map(|(name, outcome)| match outcome {
            Ok(()) => CaseReport { name, outcome: "passed", reason: None },
            Err(Stop::Skipped(reason)) => {
                CaseReport { name, outcome: "skipped", reason: Some(reason.clone()) }
            }
            Err(Stop::Failed(reason)) => CaseReport { name, outcome: "failed", reason: Some(reason.clone()) },
        });
        LevelTold {
            name: level.level.name(),
            verdict,
            reason,
            passed: level.passed(),
            skipped: level.skipped(),
            failed: level.failed(),
            cases: cases.collect(),
        }
    }

    fn row(&self, page: &Page) -> Vec<String> {
        let verdict = page.paint(color(self.verdict), self.verdict);
        let counts = [self.passed, self.skipped, self.failed].map(|count| count.to_string());
        [vec![format!("  {}", self.name.replace('_', " "))], counts.to_vec(), vec![verdict]].concat()
    }
}

fn color(outcome: &str) -> Color {
    match outcome {
        "passed" => Color::Green,
        "skipped" => Color::Yellow,
        _ => Color::Red,
    }
}

impl SetupReport {
    /// Shows a table of the levels, and below it the failed and skipped ones with their reasons.
    fn show(&self, page: &mut Page) {
        page.line("");
        let name = page.paint(Color::Bold, &self.name);
        page.line(format!("{name} ({})", self.kind));
        let mut rows = vec![["  level", "passed", "skipped", "failed", ""].map(str::to_owned).to_vec()];
        rows.extend(self.levels.iter().map(|level| level.row(page)));
        page.table(&rows);
        for level in &self.levels {
            if let (true, Some(reason)) = (level.verdict == "skipped", &level.reason) {
                self.show_reason(page, "skipped", level.name, reason);
                continue;
            }
            for case in &level.cases {
                if let Some(reason) = &case.reason {
                    self.show_reason(page, case.outcome, case.name, reason);
                }
            }
        }
    }

    fn show_reason(&self, page: &mut Page, outcome: &str, name: &str, reason: &str) {
        let outcome = page.paint(color(outcome), outcome);
        page.line(format!("  {}  {}", padded(&outcome, 7), name.replace('_', " ")));
        page.wrapped("           ", "           ", reason);
    }
}

impl Answer for Verified {
    fn json(&self) -> serde_json::Value {
        to_json(self)
    }

    fn show(&self, page: &mut Page) {
        page.line(format!("{} {}", self.package, self.version));
        page.line(format!("  {}", self.library.display()));
        page.line(format!("  SDK {}, ABI {}", self.sdk_version, self.abi_version));
        self.setups.iter().for_each(|setup| setup.show(page));
        page.line("");
        let mut rows = vec![["entry point", "passed", "skipped", "failed", ""].map(str::to_owned).to_vec()];
        for setup in &self.setups {
            let verdict = match setup.failed {
                0 => page.paint(Color::Green, "conforms"),
                _ => page.paint(Color::Red, "fails"),
            };
            let counts = [setup.passed, setup.skipped, setup.failed].map(|count| count.to_string());
            rows.push([vec![shortened(&setup.name, 40)], counts.to_vec(), vec![verdict]].concat());
        }
        page.table(&rows);
    }

    fn is_good(&self) -> bool {
        !self.setups.is_empty() && self.setups.iter().all(|setup| setup.failed == 0)
    }
}
