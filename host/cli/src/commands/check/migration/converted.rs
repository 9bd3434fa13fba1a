//! [`Converted`]: a configuration as TOML, with its places in the ini file.

use crate::commands::check::problem::Problem;
use crate::document::Place;

/// A configuration as TOML, and where its lines come from.
#[derive(Debug, Default)]
pub(in crate::commands::check) struct Converted {
    pub(in crate::commands::check) toml: String,
    /// The line in the ini file, for each line of the TOML.
    lines: Vec<usize>,
    pub(in crate::commands::check) problems: Vec<Problem>,
    pub(in crate::commands::check) warnings: Vec<Problem>,
}

impl Converted {
    /// Returns the place in the ini file that `place` in the TOML was converted from.
    pub(in crate::commands::check) fn place(&self, place: Place) -> Place {
        Place { line: self.lines.get(place.line - 1).copied().unwrap_or(1), column: 1 }
    }

    pub(super) fn report(&mut self, line: usize, region: Option<&str>, problem: String) {
        self.problems.push(at(line, region, problem));
    }

    pub(super) fn warn(&mut self, line: usize, region: &str, warning: String) {
        self.warnings.push(at(line, Some(region), warning));
    }

    /// Adds text of TOML, which comes from `line` in the ini file. A string with line breaks takes several lines of TOML.
    pub(super) fn write(&mut self, line: usize, text: &str) {
        for text in text.split('\n') {
            self.toml.push_str(text);
            self.toml.push('\n');
            self.lines.push(line);
        }
    }
}

fn at(line: usize, region: Option<&str>, problem: String) -> Problem {
    Problem { place: Place { line, column: 1 }, region: region.map(str::to_owned), problem: vec![problem] }
}
