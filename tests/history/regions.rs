//! The workload on a region over each backend.

use std::env;
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use dogpile::CacheRegion;
use dogpile_tests::threads::LIMIT;
use libtest_mimic::{Completion, Failed, Trial};

use super::checker::check;
use super::subjects::{Subject, subjects};
use super::workload::{Run, failure};

/// Returns one trial for each backend.
pub(crate) fn trials() -> Vec<Trial> {
    subjects().into_iter().map(trial).collect()
}

fn trial(subject: Subject) -> Trial {
    let name = format!("region_keeps_its_promises::{}", subject.name);
    Trial::ignorable_test(name, move || match &subject.missing {
        Some(why) => Ok(Completion::ignored_with(why)),
        None => keeps_its_promises(&subject).map(|()| Completion::Completed),
    })
}

fn keeps_its_promises(subject: &Subject) -> Result<(), Failed> {
    match keep_promises(subject.region(), subject.evicts) {
        ControlFlow::Break(wrong) => Err(wrong.into()),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Performs rounds on `region`, until one breaks a promise.
pub(crate) fn keep_promises(region: Arc<CacheRegion>, evicts: bool) -> ControlFlow<String> {
    let run = Run { region, evicts, seed: seed(), limit: LIMIT };
    run.rounds(seconds(), |round, history| {
        let wrong = check(history).err().map(|violation| violation.to_string());
        match wrong.or_else(|| failure(history)) {
            Some(wrong) => {
                ControlFlow::Break(format!("DOGPILE_TESTS_SEED={}, round {round}\n{wrong}", run.seed))
            }
            None => ControlFlow::Continue(()),
        }
    })
}

/// Returns rounds on the region of `subject`.
pub(crate) fn run(subject: &Subject, limit: Duration) -> Run {
    Run { region: subject.region(), evicts: subject.evicts, seed: seed(), limit }
}

/// Returns the seed of the operations.
pub(crate) fn seed() -> u64 {
    variable("DOGPILE_TESTS_SEED").unwrap_or_else(|| RandomState::new().hash_one(()))
}

/// Returns the time for which each trial performs rounds.
pub(crate) fn seconds() -> Duration {
    Duration::from_secs(variable("DOGPILE_TESTS_SECONDS").unwrap_or(1))
}

/// Returns the number in an environment variable, if it is set.
fn variable(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("invalid {name} {text:?}: expected a whole number")))
}
