//! [`Report`]: the outcomes of the cases of a setup, by level.

use std::fmt;

use crate::expect::{Outcome, Stop};
use crate::level::Level;

/// The outcomes of the cases of a setup, by level.
///
/// It displays as a table, with the failures and their reasons below.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The name of the setup.
    pub setup: String,
    /// All levels, in the order of [`Level::ALL`].
    pub levels: Vec<LevelReport>,
}

/// The outcomes of the cases of one level.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LevelReport {
    /// The level.
    pub level: Level,
    /// The cases that ran, with their outcomes.
    pub cases: Vec<(&'static str, Outcome)>,
}

/// The verdict on a level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No case failed.
    Passed,
    /// A case failed.
    Failed,
    /// No case applies to the backend. The text is the reason.
    Skipped(String),
}

impl Report {
    /// Returns whether no case failed.
    pub fn passed(&self) -> bool {
        self.levels.iter().all(|level| level.verdict() != Verdict::Failed)
    }

    /// Returns the failed cases, with their level and what was expected.
    pub fn failures(&self) -> impl Iterator<Item = (Level, &'static str, &str)> {
        self.levels
            .iter()
            .flat_map(|level| level.failures().map(|(name, expected)| (level.level, name, expected)))
    }
}

impl LevelReport {
    /// Returns the verdict on the level.
    pub fn verdict(&self) -> Verdict {
        if self.failed() > 0 {
            return Verdict::Failed;
        }
        match self.cases.iter().find_map(|(_, outcome)| outcome.as_ref().err()) {
            Some(reason) if self.passed() == 0 => Verdict::Skipped(reason.to_string()),
            _ => Verdict::Passed,
        }
    }

    /// Returns the number of cases that passed.
    pub fn passed(&self) -> usize {
        self.count(|outcome| outcome.is_ok())
    }

    /// Returns the number of cases that failed.
    pub fn failed(&self) -> usize {
        self.failures().count()
    }

    /// Returns the number of cases that do not apply to the backend.
    pub fn skipped(&self) -> usize {
        self.count(|outcome| matches!(outcome, Err(Stop::Skipped(_))))
    }

    /// Returns the failed cases, and what was expected.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.cases.iter().filter_map(|(name, outcome)| match outcome {
            Err(Stop::Failed(expected)) => Some((*name, expected.as_str())),
            Ok(()) | Err(Stop::Skipped(_)) => None,
        })
    }

    fn count(&self, of: impl Fn(&Outcome) -> bool) -> usize {
        self.cases.iter().filter(|(_, outcome)| of(outcome)).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.setup)?;
        self.levels.iter().try_for_each(|level| writeln!(f, "  {level}"))?;
        self.failures().try_for_each(|(level, name, expected)| writeln!(f, "  {level}::{name}: {expected}"))
    }
}

impl fmt::Display for LevelReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<13}", self.level)?;
        match self.verdict() {
            Verdict::Skipped(reason) => write!(f, "skipped: {reason}"),
            verdict => {
                let word = if verdict == Verdict::Failed { "FAILED" } else { "ok" };
                write!(f, "{word:<8}{} passed", self.passed())?;
                let others = [(self.failed(), "failed"), (self.skipped(), "skipped")];
                others
                    .iter()
                    .filter(|(count, _)| *count > 0)
                    .try_for_each(|(count, how)| write!(f, ", {count} {how}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(level: Level, outcomes: &[Outcome]) -> LevelReport {
        LevelReport { level, cases: outcomes.iter().map(|outcome| ("a_case", outcome.clone())).collect() }
    }

    #[test]
    fn report_has_a_line_per_level_and_failure() {
        let skipped = || Err(Stop::skipped("the backend has no mutex of its own"));
        let levels = vec![
            level(Level::Store, &[Ok(()), Ok(()), skipped()]),
            level(Level::Multi, &[Ok(()), Err(Stop::failed("expected one, got two"))]),
            level(Level::Mutex, &[skipped(), skipped()]),
        ];
        let report = Report { setup: "shelf".to_owned(), levels };
        assert!(!report.passed());
        let expected = "shelf\n  store        ok      2 passed, 1 skipped\n  multi        FAILED  1 passed, 1 failed\n  \
                        mutex        skipped: the backend has no mutex of its own\n  \
                        multi::a_case: expected one, got two\n";
        assert_eq!(report.to_string(), expected);
    }
}
