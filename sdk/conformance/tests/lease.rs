//! The lease level, run on mutexes that are files. Some are correct, and others have a planted fault.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::incompatible_msrv, reason = "tests are built with the stable toolchain only")]

use std::collections::HashMap;
use std::env;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use dogpile_conformance::{Level, Setup, Verdict, hold, report, report_of};
use dogpile_sdk::{BackendError, CacheBackend, CacheMutex, CachedValue, ErrorKind, StoreOptions};
use tempfile::tempdir;

const FOLDER: &str = "DOGPILE_CONFORMANCE_TEST_FOLDER";
const FAULT: &str = "DOGPILE_CONFORMANCE_TEST_FAULT";
const KEY: &str = "DOGPILE_CONFORMANCE_TEST_KEY";
const LEASE: Duration = Duration::from_millis(1500);
const POLL: Duration = Duration::from_millis(5);

/// The fault of the mutexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// A lock is a file that stays after its holder died.
    OutlivesItsHolder,
    /// A lock expires after its lease, although its holder lives.
    IsNotRenewed,
    /// A process can release the lock of another.
    IsReleasedByAnybody,
}

/// A backend with values in this process and mutexes in a folder.
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

    fn set(&self, key: &str, value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
        self.kept.lock().unwrap().insert(key.to_owned(), value);
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.kept.lock().unwrap().remove(key);
        Ok(())
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        // A key may be too long for a file name. The hash is the same in every process.
        let number = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
        let path = self.path.join(format!("{number:016x}"));
        Some(match self.fault {
            Fault::None => Arc::new(Locked { path, held: Mutex::default() }),
            fault => Arc::new(Present { fault, path, held: Mutex::default() }),
        })
    }
}

/// A file lock of the operating system, which ends with its process.
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
    fn try_acquire(&self) -> Result<bool, BackendError> {
        self.acquire_until(Instant::now())
    }

    fn acquire_until(&self, deadline: Instant) -> Result<bool, BackendError> {
        let file = self.open();
        let mut acquired = file.try_lock().is_ok();
        while !acquired && Instant::now() < deadline {
            thread::sleep(POLL);
            acquired = file.try_lock().is_ok();
        }
        if acquired {
            *self.held.lock().unwrap() = Some(file);
        }
        Ok(acquired)
    }

    fn release(&self) -> Result<(), BackendError> {
        self.held.lock().unwrap().take().map(drop).ok_or_else(not_held)
    }

    fn locked(&self) -> Result<bool, BackendError> {
        Ok(self.open().try_lock().is_err())
    }
}

/// A mutex that is held while its file exists.
#[derive(Debug)]
struct Present {
    fault: Fault,
    path: PathBuf,
    held: Mutex<bool>,
}

impl Present {
    /// Removes an expired lock, unless the fault is that it stays.
    fn expire(&self) {
        let made = fs::metadata(&self.path).and_then(|found| found.modified());
        let age = made.ok().and_then(|made| SystemTime::now().duration_since(made).ok());
        if self.fault != Fault::OutlivesItsHolder && age.is_some_and(|age| age > LEASE) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl CacheMutex for Present {
    fn try_acquire(&self) -> Result<bool, BackendError> {
        self.acquire_until(Instant::now())
    }

    fn acquire_until(&self, deadline: Instant) -> Result<bool, BackendError> {
        loop {
            self.expire();
            if OpenOptions::new().write(true).create_new(true).open(&self.path).is_ok() {
                *self.held.lock().unwrap() = true;
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            thread::sleep(POLL);
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

/// Returns a setup over mutexes in `folder`. Its child process runs [`child_that_holds`].
fn setup(fault: Fault, folder: &Path) -> Setup {
    let (here, there) = (folder.to_owned(), folder.to_owned());
    let setup = Setup::new("folder", move || Ok(Arc::new(Folder::new(fault, &here))));
    let limit =
        if fault == Fault::OutlivesItsHolder { Duration::from_secs(5) } else { Duration::from_mins(1) };
    setup.with_time_limit(limit).leased_by(LEASE, move |key| {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "--nocapture", "child_that_holds"]);
        command.env(FOLDER, &there).env(FAULT, format!("{fault:?}")).env(KEY, key);
        command
    })
}

/// Not a test of its own: the child process runs it until it is killed.
#[test]
#[ignore = "the other tests run it in a child process"]
fn child_that_holds() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let faults = [Fault::None, Fault::OutlivesItsHolder, Fault::IsNotRenewed, Fault::IsReleasedByAnybody];
    let named = |fault: &Fault| format!("{fault:?}") == env::var(FAULT).unwrap();
    let fault = faults.into_iter().find(named).unwrap();
    hold(&Folder::new(fault, Path::new(&folder)), &env::var(KEY).unwrap()).unwrap();
}

/// Returns the failed cases of the level, each with its message, for mutexes with `fault`.
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
    assert_caught(Fault::OutlivesItsHolder, case, "expected the case to end within 5s");
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
    assert_eq!(said.len(), 5, "{report}");
    assert!(said[0].ends_with("to hold the mutex, it ended after printing:\nno such store"), "{report}");
}
