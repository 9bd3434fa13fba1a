//! `dogpile check regions.toml`.

mod explain;
mod migration;
mod opened;
mod problem;
mod settings;
mod warnings;

use std::path::{Path, PathBuf};
use std::time::Duration;

use dogpile::{Configuration, Registry};
use serde::Serialize;
use toml::Value;

use self::explain::{Explanation, Settings, explain};
use self::migration::Converted;
use self::opened::{Opened, Valid, Visit};
use self::problem::Problem;
use self::settings::Inspection;
use crate::answer::{Answer, Answered, to_json};
use crate::arguments::Check;
use crate::document::Step::Name;
use crate::document::{Document, Place};
use crate::error::CommandError;
use crate::page::{Color, Page};
use crate::{replacing, workplace};

/// The results of checking a configuration.
#[derive(Serialize)]
struct Checked {
    file: PathBuf,
    /// All problems, in the order of the file.
    problems: Vec<Problem>,
    /// Settings that are valid but often a mistake, in the order of the file.
    warnings: Vec<Problem>,
    /// The regions without a problem in the file, opened.
    regions: Vec<Opened>,
    /// The file to which the configuration was written.
    written: Option<PathBuf>,
    /// The mode of this file, if other users can read it.
    #[serde(skip)]
    mode: Option<u32>,
}

/// A configuration as TOML, and where it comes from.
struct Source {
    toml: String,
    /// The ini file that was converted, if it is one.
    converted: Option<Converted>,
}

/// Reports all problems of a configuration, and opens every region that has none. Or explains a region.
pub(super) fn run(asked: &Check) -> Answered {
    let source = Source::read(asked)?;
    if let Some(region) = &asked.explain {
        return Ok(Box::new(explained(asked, &source, region)?));
    }
    let mut checked = Checked::new(asked.path());
    match Document::read(&source.toml) {
        Ok(document) => {
            let limit = Duration::from_secs(asked.time_limit);
            checked.look_into(&document, Visit { peek: &asked.peek, limit });
        }
        Err(errors) => {
            let problem = |(place, text)| Problem { place, region: None, problem: vec![text] };
            checked.problems = errors.into_iter().map(problem).collect();
        }
    }
    if let Some(converted) = source.converted {
        checked.place_in(converted, &source.toml);
    }
    if let Some(path) = &asked.write {
        checked.write(path, &source.toml, asked.force)?;
    }
    checked.problems.sort();
    checked.warnings.sort();
    // The defaults of several regions are in one line.
    checked.warnings.dedup_by(|this, other| (this.place, &this.problem) == (other.place, &other.problem));
    Ok(Box::new(checked))
}

impl Source {
    fn read(asked: &Check) -> Result<Self, CommandError> {
        let text = workplace::read_configuration(asked.path())?;
        if !migration::is_ini(asked) {
            let problem = "--write converts an ini file: name one, or give the --prefix of its names";
            return match asked.write {
                Some(_) => Err(CommandError::other(problem)),
                None => Ok(Source { toml: text, converted: None }),
            };
        }
        let converted = migration::convert(asked, &text);
        Ok(Source { toml: converted.toml.clone(), converted: Some(converted) })
    }
}

/// Explains the region `name` of the configuration.
fn explained(asked: &Check, source: &Source, name: &str) -> Result<Explanation, CommandError> {
    // The library reports what is invalid, and whether there is such a region. Nothing is opened.
    let registry = Registry::new();
    let configuration = match &source.converted {
        None => Configuration::from_file_with(asked.path(), registry),
        Some(_) => Configuration::from_toml_with(&source.toml, registry),
    };
    let _valid = configuration?.without_statistics_socket().region_config(name)?;
    let document: toml::Table = toml::from_str(&source.toml).unwrap_or_default();
    let regions = document.get("regions").and_then(Value::as_table);
    let table = regions.and_then(|regions| regions.get(name)).and_then(Value::as_table);
    Ok(explain(&Settings::of(name, table.unwrap_or(&toml::Table::new()))))
}

impl Checked {
    fn new(file: &Path) -> Self {
        let (problems, warnings, regions) = Default::default();
        Checked { file: file.to_owned(), problems, warnings, regions, written: None, mode: None }
    }

    fn look_into(&mut self, document: &Document<'_>, visit: Visit<'_>) {
        let folder = self.file.parent().unwrap_or(Path::new(""));
        let mut inspection = Inspection::of(document, folder, visit.limit);
        let mut right = Vec::new();
        for (name, value) in document.table.get("regions").and_then(Value::as_table).into_iter().flatten() {
            if let Some(configuration) = inspection.region(name, value) {
                let backend = value.get("backend").and_then(Value::as_str).unwrap_or_default().to_owned();
                let arguments = value.get("arguments").and_then(Value::as_table).cloned().unwrap_or_default();
                right.push(Valid { region: name.clone(), backend, arguments, configuration });
            }
        }
        inspection.whole(document.table.get("regions"));
        self.problems = inspection.problems;
        self.warnings = warnings::of(document, right.iter().map(|valid| &*valid.region));
        self.regions = opened::open_all(right, visit);
        self.warnings.extend(warnings::shared_keys(document, &self.regions));
        for region in self.regions.iter().filter(|region| !region.problem.is_empty()) {
            self.problems.push(Problem {
                place: document.place(&[Name("regions"), Name(&region.region)]),
                region: Some(region.region.clone()),
                problem: region.problem.clone(),
            });
        }
    }

    /// Moves all places to the ini file that was converted, and adds what was wrong with it.
    fn place_in(&mut self, converted: Converted, toml: &str) {
        for problem in self.problems.iter_mut().chain(&mut self.warnings) {
            problem.place = converted.place(problem.place);
        }
        if toml.is_empty() {
            // Without a region, there is a reason for it.
            self.warnings.clear();
        }
        self.problems.extend(converted.problems);
        self.warnings.extend(converted.warnings);
    }

    /// Writes the configuration to `path`, unless something else is wrong than a region that cannot be opened.
    ///
    /// # Errors
    /// If it is not written.
    fn write(&mut self, path: &Path, toml: &str, overwrites: bool) -> Result<(), CommandError> {
        let unopened = self.regions.iter().filter(|region| !region.problem.is_empty()).count();
        if self.problems.len() > unopened {
            return Ok(());
        }
        let text = format!("# Converted from {:?} by dogpile check.\n\n{}\n", self.file, toml.trim_end());
        self.mode = replacing::write_private(path, &text, overwrites)?;
        self.written = Some(path.to_owned());
        Ok(())
    }

    fn show_problem(&self, page: &mut Page, problem: &Problem, mark: &str) {
        let Place { line, column } = problem.place;
        let place = page.paint(Color::Bold, &format!("{}:{line}:{column}", self.file.display()));
        page.line(match &problem.region {
            Some(region) => format!("{place}: {mark}region {region:?}"),
            None => format!("{place}: {mark}").trim_end().to_owned(),
        });
        for text in problem.problem.iter().flat_map(|text| text.lines()) {
            page.wrapped("    ", "      ", text);
        }
    }
}

impl Answer for Explanation {
    fn json(&self) -> serde_json::Value {
        to_json(self)
    }

    fn show(&self, page: &mut Page) {
        self.write(page);
    }
}

impl Answer for Checked {
    fn json(&self) -> serde_json::Value {
        to_json(self)
    }

    fn show(&self, page: &mut Page) {
        if !self.regions.is_empty() {
            let header = ["region", "backend", "opened in", "read in", ""].map(str::to_owned);
            let regions = self.regions.iter().map(|region| region.cells(page));
            let rows: Vec<_> = std::iter::once(header.to_vec()).chain(regions).collect();
            page.table(&rows);
        }
        self.problems.iter().for_each(|problem| self.show_problem(page, problem, ""));
        let mark = format!("{}: ", page.paint(Color::Yellow, "warning"));
        self.warnings.iter().for_each(|warning| self.show_problem(page, warning, &mark));
        let works = |region: &&Opened| region.problem.is_empty();
        let (regions, problems) = (self.regions.iter().filter(works).count(), self.problems.len());
        let verdict = match problems {
            0 => page.paint(Color::Green, "nothing is wrong"),
            1 => page.paint(Color::Red, "1 problem"),
            _ => page.paint(Color::Red, &format!("{problems} problems")),
        };
        let warnings = match self.warnings.len() {
            0 => String::new(),
            1 => page.paint(Color::Yellow, "; 1 warning"),
            many => page.paint(Color::Yellow, &format!("; {many} warnings")),
        };
        page.line(format!("regions that work: {regions}; {verdict}{warnings}"));
        if let Some(path) = &self.written {
            page.line(format!("wrote {}", path.display()));
            if let Some(mode) = self.mode {
                let note = format!(
                    "its group can read it (mode {mode:o}), as it could the file that was there; if it contains passwords, let \
                     only its owner read it (mode 600)"
                );
                page.wrapped("  ", "  ", &note);
            }
        }
    }

    fn is_good(&self) -> bool {
        self.problems.is_empty()
    }
}
