//! [`StripeLocks`]: the locks of the stripes of a file between processes.

use std::path::PathBuf;
use std::time::Duration;

use dogpile_sdk::BackendError;

use crate::config::with_ending;
use crate::lock::AbstractFileLock;
use crate::lock_factory::LockFactory;
#[cfg(target_os = "linux")]
use crate::range_lock::{Range, RangeLocks};

/// The locks of the stripes. The holder of a stripe holds it exclusively and the lock file shared.
///
/// On Linux, the stripes of locks on files are bytes of the lock file. Locks of other kinds have a path for each
/// stripe. A single stripe is the lock file itself.
#[derive(Debug)]
pub(crate) struct StripeLocks {
    path: PathBuf,
    factory: LockFactory,
    count: u32,
    #[cfg(target_os = "linux")]
    ranges: Option<RangeLocks>,
}

/// The lock of a stripe that is held.
#[derive(Debug)]
pub(crate) enum StripeLock {
    Paths(PathLocks),
    #[cfg(target_os = "linux")]
    Range(Range),
}

impl StripeLocks {
    pub(crate) fn new(path: PathBuf, count: u32, factory: LockFactory) -> Self {
        #[cfg(target_os = "linux")]
        let ranges =
            factory.file_mode().filter(|_| count > 1).map(|mode| RangeLocks::new(path.clone(), mode));
        // Elsewhere, each stripe would need a file of its own.
        #[cfg(not(target_os = "linux"))]
        let count = if factory.file_mode().is_some() { 1 } else { count };
        StripeLocks {
            path,
            factory,
            count,
            #[cfg(target_os = "linux")]
            ranges,
        }
    }

    /// Returns the number of stripes.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Acquires a stripe without waiting, or returns `None`. `open` keeps what a waiter needs for its next attempt.
    pub(crate) fn acquire(
        &self,
        number: usize,
        open: &mut Option<PathLocks>,
    ) -> Result<Option<StripeLock>, BackendError> {
        #[cfg(target_os = "linux")]
        if let Some(ranges) = &self.ranges {
            return Ok(ranges.acquire(number)?.map(StripeLock::Range));
        }
        let locks = match open.take() {
            Some(locks) => locks,
            None => self.paths(number)?,
        };
        if locks.acquire()? {
            return Ok(Some(StripeLock::Paths(locks)));
        }
        *open = Some(locks);
        Ok(None)
    }

    /// Returns whether another holder prevents [`acquire`](Self::acquire).
    pub(crate) fn is_held(&self, number: usize) -> Result<bool, BackendError> {
        #[cfg(target_os = "linux")]
        if let Some(ranges) = &self.ranges {
            return ranges.is_held(number);
        }
        self.paths(number)?.are_held()
    }

    fn paths(&self, number: usize) -> Result<PathLocks, BackendError> {
        let whole = self.factory.make(&self.path)?;
        let path = with_ending(&self.path, &format!(".{number}"));
        let stripe = (self.count > 1).then(|| self.factory.make(&path)).transpose()?;
        Ok(PathLocks { whole, stripe })
    }
}

impl StripeLock {
    pub(crate) fn release(self) -> Result<(), BackendError> {
        match self {
            StripeLock::Paths(locks) => locks.release(),
            #[cfg(target_os = "linux")]
            StripeLock::Range(range) => range.release(),
        }
    }
}

/// The locks of one stripe that have paths.
#[derive(Debug)]
pub(crate) struct PathLocks {
    whole: Box<dyn AbstractFileLock>,
    /// `None` if `whole` is the only stripe.
    stripe: Option<Box<dyn AbstractFileLock>>,
}

impl PathLocks {
    /// Acquires both locks or none, without waiting, and returns whether it succeeded.
    fn acquire(&self) -> Result<bool, BackendError> {
        let Some(stripe) = &self.stripe else { return self.whole.acquire_write_lock(Duration::ZERO) };
        if !self.whole.acquire_read_lock(Duration::ZERO)? {
            return Ok(false);
        }
        let acquired = stripe.acquire_write_lock(Duration::ZERO);
        if !matches!(acquired, Ok(true)) {
            self.whole.release_read_lock()?;
        }
        acquired
    }

    /// Releases both locks.
    ///
    /// Closing their files is not enough. Another thread may be starting a program, and until the program begins, its
    /// process has the files open as well.
    fn release(&self) -> Result<(), BackendError> {
        let Some(stripe) = &self.stripe else { return self.whole.release_write_lock() };
        let released = stripe.release_write_lock();
        self.whole.release_read_lock().and(released)
    }

    /// Returns whether another holder prevents `acquire`. To find out, it shares the locks for a moment.
    fn are_held(&self) -> Result<bool, BackendError> {
        for lock in [Some(&self.whole), self.stripe.as_ref()].into_iter().flatten() {
            if !lock.acquire_read_lock(Duration::ZERO)? {
                return Ok(true);
            }
            lock.release_read_lock()?;
        }
        Ok(false)
    }
}
