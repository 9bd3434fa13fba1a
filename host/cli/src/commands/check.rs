//! `dogpile check regions.toml`.

mod opened;
mod problem;
mod settings;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use toml::Value;

use self::opened::{Opened, Visit};
use self::problem::Problem;
use self::settings::Inspection;
use crate::answer::{Answer, Answered, to_json};
use crate::arguments::Check;
use crate::document::Step::Name;
use crate::document::{Document, Place};
use crate::page::{Colour, Page};
use crate::workplace;

/// What was found out about a configuration.
#[derive(Serialize)]
struct Checked {
    file: PathBuf,
    /// All problems, in the order of the file.
    problems: Vec<Problem>,
    /// The regions without a problem in the file, opened.
    regions: Vec<Opened>,
}

/// Reports all problems of a configuration, and opens every region that has none.
pub(super) fn run(asked: &Check) -> Answered {
    let text = workplace::read(&asked.file)?;
    let mut checked = Checked { file: asked.file.clone(), problems: Vec::new(), regions: Vec::new() };
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
    Ok(Box::new(checked))
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
        self.regions = opened::open_all(right, visit);
        for region in self.regions.iter().filter(|region| !region.problem.is_empty()) {
            self.problems.push(Problem {
                place: document.place(&[Name("regions"), Name(&region.region)]),
                region: Some(region.region.clone()),
                problem: region.problem.clone(),
            });
        }
    }

    fn show_problem(&self, page: &mut Page, problem: &Problem) {
        let Place { line, column } = problem.place;
        let place = page.paint(Colour::Bold, &format!("{}:{line}:{column}", self.file.display()));
        page.line(match &problem.region {
            Some(region) => format!("{place}: region {region:?}"),
            None => format!("{place}:"),
        });
        for text in problem.problem.iter().flat_map(|text| text.lines()) {
            page.wrapped("    ", "      ", text);
        }
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
        self.problems.iter().for_each(|problem| self.show_problem(page, problem));
        let works = |region: &&Opened| region.problem.is_empty();
        let (regions, problems) = (self.regions.iter().filter(works).count(), self.problems.len());
        let verdict = match problems {
            0 => page.paint(Colour::Green, "nothing is wrong"),
            1 => page.paint(Colour::Red, "1 problem"),
            _ => page.paint(Colour::Red, &format!("{problems} problems")),
        };
        page.line(format!("regions that work: {regions}; {verdict}"));
    }

    fn is_good(&self) -> bool {
        self.problems.is_empty()
    }
}
