//! [`Report`]: how the cases of a setup ended, level by level.

use std::fmt;

use crate::expect::{Outcome, Stop};
use crate::level::Level;

/// How the cases of a setup ended, level by level. Shown as a table, with what failed and why below it.
#[derive(Clone, Debug)]
pub struct Report {
    /// The setup.
    pub setup: String,
    /// Every level, in the order of [`Level::ALL`].
    pub levels: Vec<LevelReport>,
}

/// How the cases of one level ended.
#[derive(Clone, Debug)]
pub struct LevelReport {
    /// The level.
    pub level: Level,
    /// Each of its cases that ran, and how it ended.
    pub cases: Vec<(&'static str, Outcome)>,
}

/// How a level ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No case failed.
    Passed,
    /// A case failed.
    Failed,
    /// No case applies to the backend; the text says why.
    Skipped(String),
}

impl Report {
    /// Whether no case failed.
    pub fn passed(&self) -> bool {
        self.levels.iter().all(|level| level.verdict() != Verdict::Failed)
    }

    /// The cases that failed, with their level and what was expected.
    pub fn failures(&self) -> impl Iterator<Item = (Level, &'static str, &str)> {
        self.levels
            .iter()
            .flat_map(|level| level.failures().map(|(name, expected)| (level.level, name, expected)))
    }
}

impl LevelReport {
    /// How the level ended.
    pub fn verdict(&self) -> Verdict {
        if self.failed() > 0 {
            return Verdict::Failed;
        }
        match self.cases.iter().find_map(|(_, outcome)| outcome.as_ref().err()) {
            Some(reason) if self.passed() == 0 => Verdict::Skipped(reason.to_string()),
            _ => Verdict::Passed,
        }
    }

    /// How many cases passed.
    pub fn passed(&self) -> usize {
        self.count(|outcome| outcome.is_ok())
    }

    /// How many cases failed.
    pub fn failed(&self) -> usize {
        self.failures().count()
    }

    /// How many cases do not apply to the backend.
    pub fn skipped(&self) -> usize {
        self.count(|outcome| matches!(outcome, Err(Stop::Skipped(_))))
    }

    /// The cases that failed, and what was expected.
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
    fn a_report_is_a_line_for_each_level_and_for_each_failure() {
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
