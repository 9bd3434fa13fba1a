//! The level of leases, on mutexes that are files: good ones, and three that get it wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::HashMap;
use std::env;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use dogpile_conformance::{Level, Setup, Verdict, hold, report, report_of};
use dogpile_sdk::{BackendError, CacheBackend, CacheMutex, CachedValue, ErrorKind};
use tempfile::tempdir;

const FOLDER: &str = "DOGPILE_CONFORMANCE_TEST_FOLDER";
const FAULT: &str = "DOGPILE_CONFORMANCE_TEST_FAULT";
const KEY: &str = "DOGPILE_CONFORMANCE_TEST_KEY";
const LEASE: Duration = Duration::from_millis(1500);

/// What is wrong with the mutexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// A lock is a file that is there, whoever made it and when.
    OutlivesItsHolder,
    /// A lock is void after the lease, though its holder lives.
    IsNotRenewed,
    /// Anybody removes anybody's lock.
    IsReleasedByAnybody,
}

/// Keeps values in this process, and mutexes in a folder.
#[derive(Debug)]
struct Folder {
    fault: Fault,
    path: PathBuf,
    kept: Mutex<HashMap<String, CachedValue>>,
}

impl Folder {
    fn new(fault: Fault, path: &Path) -> Self {
        Folder { fault, path: path.to_owned(), kept: Mutex::default() }
    }
}

impl CacheBackend for Folder {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        Ok(self.kept.lock().unwrap().get(key).cloned())
    }

    fn set(&self, key: &str, value: CachedValue) -> Result<(), BackendError> {
        self.kept.lock().unwrap().insert(key.to_owned(), value);
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.kept.lock().unwrap().remove(key);
        Ok(())
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        // A key may be longer than the name of a file can be. The same number in every process.
        let number = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
        let path = self.path.join(format!("{number:016x}"));
        Some(match self.fault {
            Fault::None => Arc::new(Locked { path, held: Mutex::default() }),
            fault => Arc::new(Present { fault, path, held: Mutex::default() }),
        })
    }
}

/// The system's lock on a file, which ends with the process.
#[derive(Debug)]
struct Locked {
    path: PathBuf,
    held: Mutex<Option<File>>,
}

impl Locked {
    fn open(&self) -> File {
        OpenOptions::new().write(true).create(true).truncate(false).open(&self.path).unwrap()
    }
}

impl CacheMutex for Locked {
    fn acquire(&self, wait: bool) -> Result<bool, BackendError> {
        let file = self.open();
        let taken = if wait { file.lock().is_ok() } else { file.try_lock().is_ok() };
        if taken {
            *self.held.lock().unwrap() = Some(file);
        }
        Ok(taken)
    }

    fn release(&self) -> Result<(), BackendError> {
        self.held.lock().unwrap().take().map(drop).ok_or_else(not_held)
    }

    fn locked(&self) -> Result<bool, BackendError> {
        Ok(self.open().try_lock().is_err())
    }
}

/// A file that is there while the mutex is held.
#[derive(Debug)]
struct Present {
    fault: Fault,
    path: PathBuf,
    held: Mutex<bool>,
}

impl Present {
    /// Removes what a holder left behind, where the fault is not that it stays.
    fn expire(&self) {
        let made = fs::metadata(&self.path).and_then(|found| found.modified());
        let age = made.ok().and_then(|made| SystemTime::now().duration_since(made).ok());
        if self.fault != Fault::OutlivesItsHolder && age.is_some_and(|age| age > LEASE) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl CacheMutex for Present {
    fn acquire(&self, wait: bool) -> Result<bool, BackendError> {
        loop {
            self.expire();
            if OpenOptions::new().write(true).create_new(true).open(&self.path).is_ok() {
                *self.held.lock().unwrap() = true;
                return Ok(true);
            }
            if !wait {
                return Ok(false);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn release(&self) -> Result<(), BackendError> {
        let held = std::mem::take(&mut *self.held.lock().unwrap());
        if !held && self.fault != Fault::IsReleasedByAnybody {
            return Err(not_held());
        }
        fs::remove_file(&self.path).map_err(|_| not_held())
    }

    fn locked(&self) -> Result<bool, BackendError> {
        self.expire();
        Ok(self.path.exists())
    }
}

fn not_held() -> BackendError {
    BackendError::new(ErrorKind::NotHeld, "the mutex is not held")
}

/// A setup over mutexes in `folder`; its child process is [`a_child_that_holds`].
fn setup(fault: Fault, folder: &Path) -> Setup {
    let (here, there) = (folder.to_owned(), folder.to_owned());
    let setup = Setup::new("folder", move || Ok(Arc::new(Folder::new(fault, &here))));
    let limit =
        if fault == Fault::OutlivesItsHolder { Duration::from_secs(5) } else { Duration::from_mins(1) };
    setup.with_time_limit(limit).leased_by(LEASE, move |key| {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "--nocapture", "a_child_that_holds"]);
        command.env(FOLDER, &there).env(FAULT, format!("{fault:?}")).env(KEY, key);
        command
    })
}

/// No test of its own: what the child process runs, until it is killed.
#[test]
#[ignore = "the other tests run it in a child process"]
fn a_child_that_holds() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let faults = [Fault::None, Fault::OutlivesItsHolder, Fault::IsNotRenewed, Fault::IsReleasedByAnybody];
    let named = |fault: &Fault| format!("{fault:?}") == env::var(FAULT).unwrap();
    let fault = faults.into_iter().find(named).unwrap();
    hold(&Folder::new(fault, Path::new(&folder)), &env::var(KEY).unwrap()).unwrap();
}

/// The cases of the level that failed, each with its text, for mutexes with `fault`.
fn failures(fault: Fault) -> Vec<(&'static str, String)> {
    let folder = tempdir().unwrap();
    let report = report_of(Level::Lease, &setup(fault, folder.path()));
    report.failures().map(|(name, expected)| (name, expected.to_owned())).collect()
}

#[track_caller]
fn assert_caught(fault: Fault, case: &str, says: &str) {
    let failures = failures(fault);
    assert!(failures.iter().any(|(name, said)| *name == case && said.contains(says)), "{failures:?}");
}

#[test]
fn locks_that_end_with_their_process_pass() {
    let folder = tempdir().unwrap();
    let report = report(&setup(Fault::None, folder.path()));
    assert!(report.passed(), "{report}");
    let lease = report.levels.iter().find(|level| level.level == Level::Lease).unwrap();
    assert_eq!((lease.verdict(), lease.passed()), (Verdict::Passed, 4));
}

#[test]
fn a_lock_that_outlives_its_holder_is_noticed() {
    let case = "the_mutex_of_a_killed_holder_becomes_free";
    assert_caught(Fault::OutlivesItsHolder, case, "expected the case to end within 5s");
}

#[test]
fn a_lease_that_is_not_renewed_is_noticed() {
    let case = "a_living_holder_keeps_the_mutex_beyond_its_lease";
    assert_caught(
        Fault::IsNotRenewed,
        case,
        "expected acquire(false) while its holder lives to answer false",
    );
}

#[test]
fn the_release_of_another_process_s_lock_is_noticed() {
    let case = "the_mutex_of_another_process_is_not_released";
    assert_caught(Fault::IsReleasedByAnybody, case, "to be an error of kind NotHeld, got None");
}

#[test]
fn a_child_that_does_not_hold_fails_the_level_and_is_quoted() {
    let folder = tempdir().unwrap();
    let child = |_: &str| {
        let mut command = Command::new("echo");
        command.arg("no such store");
        command
    };
    let report = report_of(Level::Lease, &setup(Fault::None, folder.path()).leased_by(LEASE, child));
    let said: Vec<_> = report.failures().map(|(_, expected)| expected).collect();
    assert_eq!(said.len(), 4, "{report}");
    assert!(said[0].ends_with("to hold the mutex, it ended and said:\nno such store"), "{report}");
}
