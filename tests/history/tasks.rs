//! Random calls of a region by eight tasks, whose futures are dropped at random moments.
//!
//! The rules of the checker hold for them too. A `set` or `delete` that was dropped may take effect at any later time. The
//! value of a creation that was dropped may be stored, but not over a newer write. When a round is over, nothing is left:
//! no gate, no lock, and no detached creation.

#[path = "tasks/called.rs"]
mod called;
#[path = "tasks/creators.rs"]
mod creators;
#[path = "tasks/delayed.rs"]
mod delayed;
#[path = "tasks/dropping.rs"]
mod dropping;
#[path = "tasks/left_behind.rs"]
mod left_behind;
#[path = "tasks/rounds.rs"]
mod rounds;
#[path = "tasks/subjects.rs"]
mod subjects;

use std::ops::ControlFlow;
use std::sync::Arc;

use dogpile::CacheRegion;
use dogpile_tests::threads::LIMIT;
use libtest_mimic::{Completion, Failed, Trial};
use tokio::runtime::{Builder, Runtime};

use self::rounds::Run;
use self::subjects::{fault, subjects};
use super::checker::{Rule, check, violations};
use super::regions::{seconds, seed};
use super::subjects::Subject;
use super::workload::failure;

/// A kind of runtime that polls the tasks.
#[derive(Clone, Copy)]
enum Flavor {
    CurrentThread,
    MultiThread,
}

const FLAVORS: [(&str, Flavor); 2] =
    [("current_thread", Flavor::CurrentThread), ("multi_thread", Flavor::MultiThread)];

/// Returns one trial for each backend and each kind of runtime, and one for a planted fault.
pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for subject in subjects() {
        for (runtime, flavor) in FLAVORS {
            trials.push(trial(subject.clone(), runtime, flavor));
        }
    }
    trials.push(Trial::test("fault_is_found::store_that_ends_after_its_outcome", late_store));
    trials
}

fn trial(subject: Subject, runtime: &str, flavor: Flavor) -> Trial {
    let name = format!("tasks_keep_the_promises::{}::{runtime}", subject.name);
    Trial::ignorable_test(name, move || match &subject.missing {
        Some(why) => Ok(Completion::ignored_with(why)),
        None => keeps_its_promises(&subject, flavor).map(|()| Completion::Completed),
    })
}

fn runtime(flavor: Flavor) -> Runtime {
    let mut builder = match flavor {
        Flavor::CurrentThread => Builder::new_current_thread(),
        Flavor::MultiThread => Builder::new_multi_thread(),
    };
    builder.worker_threads(2).enable_time().build().expect("a runtime starts")
}

fn run(region: Arc<CacheRegion>, evicts: bool, flavor: Flavor) -> Run {
    Run { region, evicts, seed: seed(), limit: LIMIT, runtime: runtime(flavor) }
}

fn keeps_its_promises(subject: &Subject, flavor: Flavor) -> Result<(), Failed> {
    match keep_promises_on(&run(subject.region(), subject.evicts, flavor)) {
        ControlFlow::Break(wrong) => Err(wrong.into()),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Performs rounds on `region`, until one breaks a promise.
pub(crate) fn keep_promises(region: Arc<CacheRegion>, evicts: bool) -> ControlFlow<String> {
    keep_promises_on(&run(region, evicts, Flavor::MultiThread))
}

fn keep_promises_on(run: &Run) -> ControlFlow<String> {
    run.rounds(seconds(), |round, ended| {
        let wrong = check(&ended.history).err().map(|violation| violation.to_string());
        match wrong.or_else(|| failure(&ended.history)).or_else(|| ended.left.clone()) {
            Some(wrong) => {
                ControlFlow::Break(format!("DOGPILE_TESTS_SEED={}, round {round}\n{wrong}", run.seed))
            }
            None => ControlFlow::Continue(()),
        }
    })
}

/// A store that reports the end of a `set` before it stores the value overwrites newer values.
fn late_store() -> Result<(), Failed> {
    let run = run(fault().region(), false, Flavor::MultiThread);
    let found = run.rounds(LIMIT, |_, ended| {
        let found =
            violations(&ended.history).into_iter().any(|violation| violation.rule == Rule::Superseded);
        if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    match found {
        ControlFlow::Break(()) => Ok(()),
        ControlFlow::Continue(()) => {
            Err(format!("DOGPILE_TESTS_SEED={}: no violation within {LIMIT:?}", run.seed).into())
        }
    }
}
