//! Random calls of a region by many threads or tasks. Their history is compared with the promises of the region.
//!
//! The rules are listed in `history/checker.rs`. `DOGPILE_TESTS_SECONDS` sets the time for each backend in seconds
//! (default: 1). `DOGPILE_TESTS_SEED` repeats the operations of a run, although not the order in which threads met.
//! The file has its own harness, because backends whose server is missing are shown as ignored.

#[path = "history/checker.rs"]
mod checker;
#[path = "history/faults.rs"]
mod faults;
#[path = "history/hand_written.rs"]
mod hand_written;
#[path = "history/operations.rs"]
mod operations;
#[path = "history/outages.rs"]
mod outages;
#[path = "history/pauses.rs"]
mod pauses;
#[path = "history/random.rs"]
mod random;
#[path = "history/recorder.rs"]
mod recorder;
#[path = "history/regions.rs"]
mod regions;
#[path = "history/subjects.rs"]
mod subjects;
#[path = "history/tasks.rs"]
mod tasks;
#[path = "history/worker.rs"]
mod worker;
#[path = "history/workload.rs"]
mod workload;

use std::process::ExitCode;

use libtest_mimic::{Arguments, run};

fn main() -> ExitCode {
    let mut trials = hand_written::trials();
    trials.extend(faults::trials());
    trials.extend(regions::trials());
    trials.extend(tasks::trials());
    trials.extend(outages::trials());
    run(&Arguments::from_args(), trials).exit_code()
}
