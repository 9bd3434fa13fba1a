//! `dogpile check regions.toml`.

mod explain;
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
use self::opened::{Opened, Visit};
use self::problem::Problem;
use self::settings::Inspection;
use crate::answer::{Answer, Answered, to_json};
use crate::arguments::Check;
use crate::document::Step::Name;
use crate::document::{Document, Place};
use crate::error::CommandError;
use crate::page::{Colour, Page};
use crate::workplace;

/// What was found out about a configuration.
#[derive(Serialize)]
struct Checked {
    file: PathBuf,
    /// All problems, in the order of the file.
    problems: Vec<Problem>,
    /// What may be meant, but is often a mistake, in the order of the file.
    warnings: Vec<Problem>,
    /// The regions without a problem in the file, opened.
    regions: Vec<Opened>,
}

/// Reports all problems of a configuration, and opens every region that has none. Or explains a region.
pub(super) fn run(asked: &Check) -> Answered {
    let text = workplace::read(&asked.file)?;
    if let Some(region) = &asked.explain {
        return Ok(Box::new(explained(asked, &text, region)?));
    }
    let (problems, warnings, regions) = Default::default();
    let mut checked = Checked { file: asked.file.clone(), problems, warnings, regions };
    match Document::read(&text) {
        Ok(document) => {
            let limit = Duration::from_secs(asked.time_limit);
            checked.look_into(&document, Visit { peek: &asked.peek, limit });
        }
        Err(errors) => {
            let problem = |(place, text)| Problem { place, region: None, problem: vec![text] };
            checked.problems = errors.into_iter().map(problem).collect();
        }
    }
    checked.problems.sort();
    checked.warnings.sort();
    Ok(Box::new(checked))
}

/// Explains the region `name` of the configuration `text`.
fn explained(asked: &Check, text: &str, name: &str) -> Result<Explanation, CommandError> {
    // The library reports what is invalid, and whether there is such a region. Nothing is opened.
    let _valid = Configuration::from_file_with(&asked.file, Registry::new())?.region_config(name)?;
    let document: toml::Table = toml::from_str(text).unwrap_or_default();
    let regions = document.get("regions").and_then(Value::as_table);
    let table = regions.and_then(|regions| regions.get(name)).and_then(Value::as_table);
    Ok(explain(&Settings::of(name, table.unwrap_or(&toml::Table::new()))))
}

impl Checked {
    fn look_into(&mut self, document: &Document<'_>, visit: Visit<'_>) {
        let folder = self.file.parent().unwrap_or(Path::new(""));
        let mut inspection = Inspection::of(document, folder, visit.limit);
        let mut right = Vec::new();
        for (name, value) in document.table.get("regions").and_then(Value::as_table).into_iter().flatten() {
            if let Some(configuration) = inspection.region(name, value) {
                let backend = value.get("backend").and_then(Value::as_str).unwrap_or_default();
                right.push((name.clone(), backend.to_owned(), configuration));
            }
        }
        inspection.whole(document.table.get("regions"));
        self.problems = inspection.problems;
        self.warnings = warnings::of(document);
        self.regions = opened::open_all(right, visit);
        for region in self.regions.iter().filter(|region| !region.problem.is_empty()) {
            self.problems.push(Problem {
                place: document.place(&[Name("regions"), Name(&region.region)]),
                region: Some(region.region.clone()),
                problem: region.problem.clone(),
            });
        }
    }

    fn show_problem(&self, page: &mut Page, problem: &Problem, mark: &str) {
        let Place { line, column } = problem.place;
        let place = page.paint(Colour::Bold, &format!("{}:{line}:{column}", self.file.display()));
        page.line(match &problem.region {
            Some(region) => format!("{place}: {mark}region {region:?}"),
            None => format!("{place}:{}", mark.trim_end()),
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
        let mark = page.paint(Colour::Yellow, "warning: ");
        self.warnings.iter().for_each(|warning| self.show_problem(page, warning, &mark));
        let works = |region: &&Opened| region.problem.is_empty();
        let (regions, problems) = (self.regions.iter().filter(works).count(), self.problems.len());
        let verdict = match problems {
            0 => page.paint(Colour::Green, "nothing is wrong"),
            1 => page.paint(Colour::Red, "1 problem"),
            _ => page.paint(Colour::Red, &format!("{problems} problems")),
        };
        let warnings = match self.warnings.len() {
            0 => String::new(),
            1 => page.paint(Colour::Yellow, "; 1 warning"),
            many => page.paint(Colour::Yellow, &format!("; {many} warnings")),
        };
        page.line(format!("regions that work: {regions}; {verdict}{warnings}"));
    }

    fn is_good(&self) -> bool {
        self.problems.is_empty()
    }
}
