//! [`Writers`]: a lock with a time limit before LMDB's own lock for writers.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use dogpile_sdk::{BackendError, ErrorKind, process_id};

use crate::deadline::Deadline;
use crate::error::unusable;
use crate::file_lock::FileLock;
use crate::lock::AbstractFileLock;

/// The lock of the writers of one file. It excludes the threads of this process and other processes.
///
/// A process that is stopped in the middle of a write keeps it, so that others give up at their deadline.
pub(super) struct Writers {
    filename: PathBuf,
    path: PathBuf,
    mode: u32,
    state: Mutex<State>,
    freed: Condvar,
}

struct State {
    /// The process that opened the lock. A child of it would release the lock of its parent.
    process: u32,
    held: bool,
    lock: Option<FileLock>,
}

impl Writers {
    pub(super) fn new(filename: &Path, path: PathBuf, mode: u32) -> Self {
        let state = State { process: process_id(), held: false, lock: None };
        Writers { filename: filename.to_owned(), path, mode, state: Mutex::new(state), freed: Condvar::new() }
    }

    /// Acquires the lock until the returned value is dropped. `process` is this process.
    pub(super) fn acquire(&self, process: u32, deadline: Deadline) -> Result<Writer<'_>, BackendError> {
        let mut state = self.state();
        if state.process != process {
            *state = State { process, held: false, lock: None };
        }
        while state.held {
            let left = deadline.left();
            if left.is_zero() {
                return Err(self.timed_out());
            }
            state = self.freed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.held = true;
        let mut writer = Writer { writers: self, lock: state.lock.take() };
        drop(state);
        writer.lock_file(deadline)?;
        Ok(writer)
    }

    fn timed_out(&self) -> BackendError {
        let why = "another writer held it for the whole \"busy_timeout\"; retry later";
        unusable(&self.filename, ErrorKind::Timeout, why)
    }

    /// Locks the state. No holder panics, so poison carries no meaning.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one writer. Dropping it releases the lock.
pub(super) struct Writer<'a> {
    writers: &'a Writers,
    lock: Option<FileLock>,
}

impl Writer<'_> {
    fn lock_file(&mut self, deadline: Deadline) -> Result<(), BackendError> {
        let lock = match self.lock.take() {
            Some(lock) => lock,
            None => FileLock::with_mode(&self.writers.path, self.writers.mode)?,
        };
        let acquired = self.lock.insert(lock).acquire_write_lock(deadline.left())?;
        if acquired { Ok(()) } else { Err(self.writers.timed_out()) }
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        // A lock that cannot be released is closed instead, which releases it as well.
        let lock = self.lock.take().filter(|lock| !lock.is_held() || lock.release_write_lock().is_ok());
        let mut state = self.writers.state();
        (state.held, state.lock) = (false, lock);
        drop(state);
        self.writers.freed.notify_one();
    }
}

impl fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn second_writer_of_a_process_or_file_times_out() {
        let folder = tempfile::tempdir().unwrap();
        let (file, process) = (folder.path().join("cache"), std::process::id());
        let [ours, theirs] = [(); 2].map(|()| Writers::new(&file, folder.path().join("lock"), 0o600));
        let soon = || Deadline::after(Duration::from_millis(20));
        let writer = ours.acquire(process, soon()).unwrap();
        for writers in [&ours, &theirs] {
            let error = writers.acquire(process, soon()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout);
            assert!(error.to_string().contains("another writer held it"), "{error}");
        }
        drop(writer);
        drop(theirs.acquire(process, soon()).unwrap());
        drop(ours.acquire(process, soon()).unwrap());
    }

    #[test]
    fn forked_child_neither_has_nor_releases_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let (file, process) = (folder.path().join("cache"), std::process::id());
        let ours = Writers::new(&file, folder.path().join("lock"), 0o600);
        let soon = || Deadline::after(Duration::from_millis(20));
        let writer = std::mem::ManuallyDrop::new(ours.acquire(process, soon()).unwrap());
        // The child sees the state of its parent under another process ID.
        assert!(ours.acquire(process + 1, soon()).is_err());
        let theirs = Writers::new(&file, folder.path().join("lock"), 0o600);
        assert!(theirs.acquire(process, soon()).is_err());
        drop(std::mem::ManuallyDrop::into_inner(writer));
        drop(theirs.acquire(process, soon()).unwrap());
    }
}
