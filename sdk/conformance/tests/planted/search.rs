//! [`Search`]: looks for planted bugs with the suite.

use std::fmt::Debug;
use std::thread;

use dogpile_conformance::{Setup, cases, report, report_of};

/// A planted bug, the names of the cases that find it, and a part of the message of the first one.
pub(crate) type Found<B> = (B, &'static [&'static str], &'static str);

/// How planted bugs are looked for.
pub(crate) struct Search<B> {
    pub(crate) setup: fn(B) -> Setup,
    /// Whether all levels are run, and not only the level of the first case.
    pub(crate) in_all_levels: bool,
    /// Whether no other case may fail.
    pub(crate) by_these_alone: bool,
    /// Whether the bugs are looked for at the same time, because most of them are found by waiting.
    pub(crate) side_by_side: bool,
}

impl<B: Copy + Debug + Send + Sync> Search<B> {
    /// Fails unless the suite finds each bug.
    pub(crate) fn finds(&self, planted: &[Found<B>]) {
        let missed: Vec<String> = if self.side_by_side {
            thread::scope(|scope| {
                let search = |planted| scope.spawn(move || self.missed(planted));
                let searches: Vec<_> = planted.iter().map(search).collect();
                searches.into_iter().filter_map(|search| search.join().unwrap()).collect()
            })
        } else {
            planted.iter().filter_map(|planted| self.missed(planted)).collect()
        };
        assert!(missed.is_empty(), "{}", missed.join("\n"));
    }

    /// Returns what happens instead if the bug is not found.
    fn missed(&self, (bug, cases, says): &Found<B>) -> Option<String> {
        let failures = self.failures(*bug, cases[0]);
        let names: Vec<&str> = failures.iter().map(|(name, _)| *name).collect();
        let is_found = (names == *cases || !self.by_these_alone)
            && failures.iter().any(|(name, said)| *name == cases[0] && said.contains(says));
        (!is_found)
            .then(|| format!("{bug:?} should have failed {cases:?}, saying {says:?}; instead: {failures:#?}"))
    }

    /// Returns the failed cases, each with its message.
    fn failures(&self, bug: B, case: &str) -> Vec<(&'static str, String)> {
        let setup = (self.setup)(bug);
        if self.in_all_levels {
            let report = report(&setup);
            return report.failures().map(|(_, name, said)| (name, said.to_owned())).collect();
        }
        let level = cases().iter().find(|known| known.name == case).expect("it is a case of the suite").level;
        let report = report_of(level, &setup);
        report.failures().map(|(name, said)| (name, said.to_owned())).collect()
    }
}
