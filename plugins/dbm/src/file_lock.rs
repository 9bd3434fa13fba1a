//! [`FileLock`]: a lock on a file, shared with other processes.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, ErrorKind};

/// The longest pause between two tries: what a waiter may come late by.
const LONGEST_PAUSE: Duration = Duration::from_millis(2);

/// An advisory lock (flock) on a file that is created when it is missing. Each holder opens one of its own: the lock
/// belongs to the opened file, not to the process. Dropping it releases it.
///
/// Source: dogpile.cache `backends/file.py`, `FileLock`.
#[derive(Debug)]
pub struct FileLock {
    file: File,
    path: PathBuf,
}

impl FileLock {
    /// Opens the lock file; takes no lock.
    ///
    /// # Errors
    /// If the file cannot be opened or created.
    pub fn open(path: &Path) -> Result<Self, BackendError> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|error| {
            let message = format!("lock file {} cannot be opened: {error}", path.display());
            BackendError::new(ErrorKind::Unavailable, message).with_source(error)
        })?;
        Ok(FileLock { file, path: path.to_owned() })
    }

    /// Takes the lock, beside other readers; waits at most `wait`. Answers whether it was taken.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn acquire_shared(&self, wait: Duration) -> Result<bool, BackendError> {
        self.acquire(wait, File::try_lock_shared)
    }

    /// Takes the lock alone; waits at most `wait`. Answers whether it was taken.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn acquire_exclusive(&self, wait: Duration) -> Result<bool, BackendError> {
        self.acquire(wait, File::try_lock)
    }

    /// Gives the lock back.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn release(&self) -> Result<(), BackendError> {
        self.file.unlock().map_err(|error| self.failed(error))
    }

    fn acquire(
        &self,
        wait: Duration,
        take: fn(&File) -> Result<(), TryLockError>,
    ) -> Result<bool, BackendError> {
        let start = Instant::now();
        let mut pause = Duration::from_micros(50);
        loop {
            match take(&self.file) {
                Ok(()) => return Ok(true),
                Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Interrupted => {
                    continue;
                }
                Err(TryLockError::Error(error)) => return Err(self.failed(error)),
                Err(TryLockError::WouldBlock) if start.elapsed() >= wait => return Ok(false),
                Err(TryLockError::WouldBlock) => thread::sleep(pause),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn failed(&self, error: std::io::Error) -> BackendError {
        let message = format!("lock file {} cannot be locked: {error}", self.path.display());
        BackendError::new(ErrorKind::Unavailable, message).with_source(error)
    }
}
