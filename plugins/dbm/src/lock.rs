//! [`AbstractFileLock`]: a lock that is identified by the path of a file.

// Source: dogpile.cache `backends/file.py`, `AbstractFileLock`.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use dogpile_sdk::{BackendError, ErrorKind};

/// A lock that either several readers share or one writer holds.
///
/// # For implementors
/// * A value is one holder. It holds the lock once or not at all, and any thread may use it. The values that a
///   [`LockFactory`](crate::LockFactory) makes for one path exclude each other.
/// * A call blocks for at most `wait`. With a `wait` of zero, it returns at once.
/// * Acquiring a lock that this value already holds returns `false`. Releasing a lock that it does not hold is an error
///   of kind [`NotHeld`](ErrorKind::NotHeld).
/// * Dropping a value releases its lock.
pub trait AbstractFileLock: fmt::Debug + Send + Sync + 'static {
    /// Acquires the lock as one of its readers, and returns whether it succeeded.
    ///
    /// # Errors
    /// If the lock cannot be requested.
    fn acquire_read_lock(&self, wait: Duration) -> Result<bool, BackendError>;

    /// Acquires the lock as its only holder, and returns whether it succeeded.
    ///
    /// # Errors
    /// If the lock cannot be requested.
    fn acquire_write_lock(&self, wait: Duration) -> Result<bool, BackendError>;

    /// Releases the lock of a reader.
    ///
    /// # Errors
    /// If this value is not a reader, or if the release fails.
    fn release_read_lock(&self) -> Result<(), BackendError>;

    /// Releases the lock of the writer.
    ///
    /// # Errors
    /// If this value is not the writer, or if the release fails.
    fn release_write_lock(&self) -> Result<(), BackendError>;

    /// Returns whether this value holds the lock, as reader or writer.
    fn is_held(&self) -> bool;
}

const _: fn(&dyn AbstractFileLock) = |_| {};

/// How a holder holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    Nothing,
    Read,
    Write,
}

/// The current [`Hold`] of one holder.
#[derive(Debug, Default)]
pub(crate) struct Held(AtomicU8);

impl Held {
    pub(crate) fn set(&self, hold: Hold) {
        self.0.store(hold as u8, Ordering::Release);
    }

    pub(crate) fn is(&self, hold: Hold) -> bool {
        self.0.load(Ordering::Acquire) == hold as u8
    }

    /// Changes `hold` to nothing, or returns an error if the holder does not hold the lock in that way.
    pub(crate) fn release(&self, hold: Hold, path: &Path) -> Result<(), BackendError> {
        let (held, nothing) = (hold as u8, Hold::Nothing as u8);
        if self.0.compare_exchange(held, nothing, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            return Ok(());
        }
        let what = if hold == Hold::Read { "read" } else { "write" };
        let message = format!("cannot release the {what} lock on {path:?}: this holder does not hold it");
        Err(BackendError::new(ErrorKind::NotHeld, message).during("release"))
    }
}
