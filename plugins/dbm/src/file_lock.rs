//! [`FileLock`]: a lock on a file, by flock.

use std::fs::{File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, ErrorKind, process_id};

use crate::create;
use crate::lock::{AbstractFileLock, Held, Hold};
use crate::mode;

/// The longest pause between two attempts. A waiter may notice a release this late.
const LONGEST_PAUSE: Duration = Duration::from_millis(2);

/// An advisory lock (flock) on a file, which dogpile.cache in Python respects.
///
/// The file is created if it is missing, readable and writable by its owner only. It must not be a symbolic link. The system releases the lock when the process ends, however it ends.
// Source: dogpile.cache `backends/file.py`, `FileLock`.
#[derive(Debug)]
pub struct FileLock {
    file: File,
    path: PathBuf,
    held: Held,
    /// The process that opened the file. A child of it must not unlock it.
    process: u32,
}

impl FileLock {
    /// Opens the lock file without acquiring the lock.
    ///
    /// # Errors
    /// If the file cannot be opened or created.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, BackendError> {
        Self::with_mode(path, mode::default())
    }

    /// Opens the lock file, creating it with the permissions `mode` if it is missing.
    pub(crate) fn with_mode(path: impl Into<PathBuf>, mode: u32) -> Result<Self, BackendError> {
        let path = path.into();
        let file = create::lock_file(&path, mode)?;
        Ok(FileLock { file, path, held: Held::default(), process: process_id() })
    }

    fn acquire(
        &self,
        hold: Hold,
        wait: Duration,
        lock: fn(&File) -> Result<(), TryLockError>,
    ) -> Result<bool, BackendError> {
        if !self.held.is(Hold::Nothing) {
            // flock would convert the lock, and others could acquire it in between.
            return Ok(false);
        }
        let acquired = until_acquired(wait, || self.attempt(lock))?;
        if acquired {
            self.held.set(hold);
        }
        Ok(acquired)
    }

    fn attempt(&self, lock: fn(&File) -> Result<(), TryLockError>) -> Result<bool, BackendError> {
        loop {
            match lock(&self.file) {
                Ok(()) => return Ok(true),
                Err(TryLockError::WouldBlock) => return Ok(false),
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(TryLockError::Error(error)) => return Err(self.failed(error)),
            }
        }
    }

    fn release(&self, hold: Hold) -> Result<(), BackendError> {
        self.held.release(hold, &self.path)?;
        self.file.unlock().map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> BackendError {
        let message = format!("cannot lock or unlock file {:?}: the system reported an error", self.path);
        BackendError::new(ErrorKind::Unavailable, message).with_source(error)
    }
}

impl AbstractFileLock for FileLock {
    fn acquire_read_lock(&self, wait: Duration) -> Result<bool, BackendError> {
        self.acquire(Hold::Read, wait, File::try_lock_shared)
    }

    fn acquire_write_lock(&self, wait: Duration) -> Result<bool, BackendError> {
        self.acquire(Hold::Write, wait, File::try_lock)
    }

    fn release_read_lock(&self) -> Result<(), BackendError> {
        self.release(Hold::Read)
    }

    fn release_write_lock(&self) -> Result<(), BackendError> {
        self.release(Hold::Write)
    }

    fn is_held(&self) -> bool {
        !self.held.is(Hold::Nothing)
    }
}

impl Drop for FileLock {
    /// Releases the lock. Closing the file is not enough, because another thread may be starting a program, and until the
    /// program begins, its process has the file open as well.
    fn drop(&mut self) {
        if self.is_held() && self.process == process_id() {
            // The file is closed in any case.
            let _ = self.file.unlock();
        }
    }
}

/// Calls `attempt` until it returns `true`, for at most `wait`, and returns whether it did.
fn until_acquired(
    wait: Duration,
    mut attempt: impl FnMut() -> Result<bool, BackendError>,
) -> Result<bool, BackendError> {
    if attempt()? {
        return Ok(true);
    }
    let start = Instant::now();
    let mut pause = Duration::from_micros(20);
    loop {
        let left = wait.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Ok(false);
        }
        thread::sleep(pause.min(left));
        pause = (pause * 2).min(LONGEST_PAUSE);
        if attempt()? {
            return Ok(true);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use super::*;

    /// Acquires the lock in `folder`, drops it, and returns whether it is free then, although its file is still open.
    fn is_free_after_drop(folder: &tempfile::TempDir, process: u32) -> bool {
        let path = folder.path().join("lock");
        let mut lock = FileLock::open(&path).unwrap();
        lock.process = process;
        assert!(lock.acquire_write_lock(Duration::ZERO).unwrap());
        // A forked child shares the open file, as this copy does.
        let _of_child = lock.file.try_clone().unwrap();
        drop(lock);
        FileLock::open(&path).unwrap().acquire_write_lock(Duration::ZERO).unwrap()
    }

    #[test]
    fn dropped_lock_is_free_although_its_file_stays_open() {
        let folder = tempfile::tempdir().unwrap();
        assert!(is_free_after_drop(&folder, process_id()));
    }

    #[test]
    fn child_that_drops_the_lock_of_its_parent_does_not_release_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_free_after_drop(&folder, 0));
    }

    #[test]
    fn missing_directory_of_a_lock_file_is_reported() {
        let error = FileLock::open("/nowhere/lock").unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot open lock file \"/nowhere/lock\": the directory \"/nowhere\" does not exist; create it"
        );
        assert!(error.is_transient());
    }
}
