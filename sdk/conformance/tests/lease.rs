//! The lease level, run on mutexes that are files. Some are correct, and others have a planted fault.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::incompatible_msrv, reason = "tests are built with the stable toolchain only")]

#[path = "lease/folder.rs"]
mod folder;

use std::env;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use dogpile_conformance::{Level, Outcome, Setup, Stop, Verdict, cases, hold, lease, report, report_of};
use tempfile::tempdir;

use self::folder::{Fault, Folder, LEASE};

const FOLDER: &str = "DOGPILE_CONFORMANCE_TEST_FOLDER";
const FAULT: &str = "DOGPILE_CONFORMANCE_TEST_FAULT";
const KEY: &str = "DOGPILE_CONFORMANCE_TEST_KEY";

/// Returns a setup over mutexes in `folder`. Its child process runs [`child_that_holds`].
fn setup(fault: Fault, folder: &Path) -> Setup {
    let (here, there) = (folder.to_owned(), folder.to_owned());
    let setup = Setup::new("folder", move || Ok(Arc::new(Folder::new(fault, &here))));
    setup.leased_by(LEASE, move |key| holder(fault, &there, key))
}

fn holder(fault: Fault, folder: &Path, key: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "--nocapture", "child_that_holds"]);
    command.env(FOLDER, folder).env(FAULT, format!("{fault:?}")).env(KEY, key);
    command
}

/// Not a test of its own: the child process runs it until it is killed.
#[test]
#[ignore = "the other tests run it in a child process"]
fn child_that_holds() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let named = |fault: &Fault| format!("{fault:?}") == env::var(FAULT).unwrap();
    let fault = Fault::ALL.into_iter().find(named).unwrap();
    hold(&Folder::new(fault, Path::new(&folder)), &env::var(KEY).unwrap()).unwrap();
}

/// Returns the failed cases of the level, each with its message, for mutexes with `fault`.
fn failures(fault: Fault) -> Vec<(&'static str, String)> {
    let folder = tempdir().unwrap();
    let report = report_of(Level::Lease, &setup(fault, folder.path()));
    report.failures().map(|(name, expected)| (name, expected.to_owned())).collect()
}

/// `case` fails.
#[track_caller]
fn assert_caught(fault: Fault, case: &str, says: &str) {
    let folder = tempdir().unwrap();
    let known = cases().iter().find(|known| known.name == case).unwrap();
    let said = failure((known.run)(&setup(fault, folder.path())));
    assert!(said.contains(says), "{said}");
}

/// Exactly `case` fails.
#[track_caller]
fn assert_only(fault: Fault, case: &str, says: &str) {
    let failures = failures(fault);
    assert!(failures.len() == 1 && failures[0].0 == case && failures[0].1.contains(says), "{failures:?}");
}

fn failure(outcome: Outcome) -> String {
    let Err(Stop::Failed(said)) = outcome else { panic!("expected a failure, got {outcome:?}") };
    said
}

#[test]
fn correct_locks_pass() {
    let folder = tempdir().unwrap();
    let report = report(&setup(Fault::None, folder.path()));
    assert!(report.passed(), "{report}");
    let lease = report.levels.iter().find(|level| level.level == Level::Lease).unwrap();
    assert_eq!((lease.verdict(), lease.passed()), (Verdict::Passed, 4));
}

#[test]
fn lock_that_outlives_its_holder_fails() {
    let case = "mutex_of_killed_holder_becomes_free";
    assert_caught(
        Fault::OutlivesItsHolder,
        case,
        "to be free after its lease of 900ms, it is still held after 3.8s",
    );
}

#[test]
fn expiring_locks_pass() {
    let folder = tempdir().unwrap();
    let report = report(&setup(Fault::Expires, folder.path()));
    assert!(report.passed(), "{report}");
    let lease = report.levels.iter().find(|level| level.level == Level::Lease).unwrap();
    assert_eq!((lease.passed(), lease.skipped()), (7, 1), "only a held mutex can expire: {report}");
}

#[test]
fn lease_longer_than_claimed_fails() {
    let failures = failures(Fault::LivesTooLong);
    let failed: Vec<_> = failures.iter().map(|(name, _)| *name).collect();
    let cases = ["mutex_of_killed_holder_becomes_free", "waiters_of_killed_holder_acquire_one_at_a_time"];
    assert_eq!(failed, cases, "{failures:?}");
    assert!(failures.iter().all(|(_, said)| said.contains("it is still held after 3.8s")), "{failures:?}");
}

#[test]
fn lease_shorter_than_claimed_fails() {
    let folder = tempdir().unwrap();
    // The lease is much shorter, and the case waits only until it is over.
    let claimed = Duration::from_secs(30);
    let (here, there) = (setup(Fault::Expires, folder.path()), folder.path().to_owned());
    let here = here.leased_by(claimed, move |key| holder(Fault::Expires, &there, key));
    let said = failure(lease::stopped_holder_keeps_its_mutex_for_most_of_a_lease(&here));
    assert!(said.contains("for most of its lease of 30s, it lost it after"), "{said}");
}

/// The time limit of a case grows with its lease: this one waits for longer than the limit of other cases.
#[test]
fn time_limit_grows_with_the_lease() {
    let folder = tempdir().unwrap();
    let setup = setup(Fault::Expires, folder.path()).with_time_limit(LEASE / 3);
    let report = report_of(Level::Lease, &setup);
    assert!(report.failed() == 0 && report.passed() > 0, "{report}");
}

#[test]
fn unnoticed_loss_fails() {
    let says = "expected is_lost() of a mutex that another process has taken over to return true";
    assert_only(Fault::DoesNotNoticeItsLoss, "stopped_holder_learns_that_it_lost_its_mutex", says);
}

#[test]
fn late_value_of_a_stopped_holder_fails() {
    let says = "expected set() with the fence of a mutex that was lost to return an error of kind Fenced";
    assert_only(Fault::IgnoresTheFence, "value_of_a_stopped_holder_is_not_stored", says);
}

#[test]
fn lease_that_is_not_renewed_fails() {
    let case = "living_holder_keeps_mutex_beyond_its_lease";
    assert_caught(Fault::IsNotRenewed, case, "expected try_acquire() while its holder lives to return false");
}

#[test]
fn lost_lock_removed_by_its_former_holder_fails() {
    let case = "stopped_holder_leaves_the_next_holders_mutex_alone";
    assert_caught(Fault::IsNotRenewed, case, "expected release() of a mutex that was lost");
}

#[test]
fn lock_released_by_another_process_fails() {
    let case = "mutex_of_another_process_cannot_be_released";
    assert_caught(Fault::IsReleasedByAnybody, case, "to return an error of kind NotHeld, got None");
}

#[test]
fn child_that_does_not_hold_fails_and_is_quoted() {
    let folder = tempdir().unwrap();
    let child = |_: &str| {
        let mut command = Command::new("echo");
        command.arg("no such store");
        command
    };
    let report = report_of(Level::Lease, &setup(Fault::None, folder.path()).leased_by(LEASE, child));
    let said: Vec<_> = report.failures().map(|(_, expected)| expected).collect();
    assert_eq!(said.len(), 7, "{report}");
    assert!(said[0].ends_with("to hold the mutex, it ended after printing:\nno such store"), "{report}");
}
