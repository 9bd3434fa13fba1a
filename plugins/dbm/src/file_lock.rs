//! [`AbstractFileLock`]: a lock that processes share by the name of a file, and [`FileLock`], which flock keeps.
//!
//! Source: dogpile.cache `backends/file.py`, `AbstractFileLock` and `FileLock`.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, ErrorKind};

use crate::thread_lock::ThreadLock;

/// A lock that many readers share, or one writer has.
///
/// # For implementors
/// * A value is one holder: it has the lock once or not at all, and may be used by one thread after another. The values
///   that a [`LockFactory`] makes for one path exclude each other.
/// * `wait` is the longest that a call may block; with none it answers at once.
/// * Whoever holds the lock already is answered `false`, and who releases what it does not hold an error of kind
///   [`NotHeld`](ErrorKind::NotHeld).
/// * Dropping a value releases what it holds.
///
/// Source: dogpile.cache `backends/file.py`, `AbstractFileLock`.
pub trait AbstractFileLock: fmt::Debug + Send + Sync + 'static {
    /// Shares the lock with other readers. Answers whether it did.
    ///
    /// # Errors
    /// If the lock cannot be asked for.
    fn acquire_read_lock(&self, wait: Duration) -> Result<bool, BackendError>;

    /// Takes the lock alone. Answers whether it did.
    ///
    /// # Errors
    /// If the lock cannot be asked for.
    fn acquire_write_lock(&self, wait: Duration) -> Result<bool, BackendError>;

    /// Gives a reader's share back.
    ///
    /// # Errors
    /// If there is none, or it cannot be given back.
    fn release_read_lock(&self) -> Result<(), BackendError>;

    /// Gives the writer's lock back.
    ///
    /// # Errors
    /// If it is not held, or cannot be given back.
    fn release_write_lock(&self) -> Result<(), BackendError>;

    /// Whether this value holds the lock, in either way.
    fn is_held(&self) -> bool;
}

const _: fn(&dyn AbstractFileLock) = |_| {};

type Make = dyn Fn(&Path) -> Result<Box<dyn AbstractFileLock>, BackendError> + Send + Sync;

/// Makes the locks of a backend, one for each holder.
///
/// ```
/// use std::time::Duration;
///
/// use dogpile_dbm::{DbmBackend, DbmConfig, FileLock, LockFactory};
///
/// # let folder = tempfile::tempdir()?;
/// let factory = LockFactory::new(|path| {
///     println!("a lock on {}", path.display());
///     Ok(Box::new(FileLock::open(path)?))
/// });
/// let config = DbmConfig::new(folder.path().join("cache.db"));
/// let backend = DbmBackend::with_lock_factory(config, factory)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct LockFactory(Arc<Make>);

impl LockFactory {
    /// A factory that calls `make` with the path of the lock file, which need not be used as one.
    pub fn new(
        make: impl Fn(&Path) -> Result<Box<dyn AbstractFileLock>, BackendError> + Send + Sync + 'static,
    ) -> Self {
        LockFactory(Arc::new(make))
    }

    /// Locks on files, shared with other processes: [`FileLock`].
    pub fn file() -> Self {
        LockFactory::new(|path| Ok(Box::new(FileLock::open(path)?)))
    }

    /// Locks within this process: [`ThreadLock`].
    pub fn thread() -> Self {
        LockFactory::new(|path| Ok(Box::new(ThreadLock::of(path))))
    }

    /// A lock for one holder.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn make(&self, path: &Path) -> Result<Box<dyn AbstractFileLock>, BackendError> {
        (self.0)(path)
    }
}

impl fmt::Debug for LockFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockFactory")
    }
}

/// How a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    Nothing,
    Read,
    Write,
}

/// What one holder has: a [`Hold`].
#[derive(Debug, Default)]
pub(crate) struct Held(AtomicU8);

impl Held {
    pub(crate) fn set(&self, hold: Hold) {
        self.0.store(hold as u8, Ordering::Release);
    }

    pub(crate) fn is(&self, hold: Hold) -> bool {
        self.0.load(Ordering::Acquire) == hold as u8
    }

    /// Lets go of `hold`, which is an error if it is not what is held.
    pub(crate) fn release(&self, hold: Hold, path: &Path) -> Result<(), BackendError> {
        let (held, nothing) = (hold as u8, Hold::Nothing as u8);
        if self.0.compare_exchange(held, nothing, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            return Ok(());
        }
        let what = if hold == Hold::Read { "reader's" } else { "writer's" };
        let message =
            format!("the {what} lock on {} is released, but is not held by this holder", path.display());
        Err(BackendError::new(ErrorKind::NotHeld, message).during("release"))
    }
}

/// The longest pause between two tries: what a waiter may come late by.
const LONGEST_PAUSE: Duration = Duration::from_millis(2);

/// Calls `attempt` until it answers `true`, for at most `wait`; answers whether it did.
pub(crate) fn until_taken(
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

/// An advisory lock (flock) on a file that is created when it is missing, respected by dogpile.cache in Python. It is
/// gone with its process, however that ends.
///
/// Source: dogpile.cache `backends/file.py`, `FileLock`.
#[derive(Debug)]
pub struct FileLock {
    file: File,
    path: PathBuf,
    held: Held,
}

impl FileLock {
    /// Opens the lock file; takes no lock.
    ///
    /// # Errors
    /// If the file can be neither opened nor created.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, BackendError> {
        let path = path.into();
        let mut options = OpenOptions::new();
        match options.read(true).write(true).create(true).truncate(false).open(&path) {
            Ok(file) => Ok(FileLock { file, path, held: Held::default() }),
            Err(error) => {
                let message = format!(
                    "lock file {} cannot be opened: {error}; its folder must exist, and both must be writable",
                    path.display()
                );
                Err(BackendError::new(ErrorKind::Unavailable, message).with_source(error))
            }
        }
    }

    fn acquire(
        &self,
        hold: Hold,
        wait: Duration,
        lock: fn(&File) -> Result<(), TryLockError>,
    ) -> Result<bool, BackendError> {
        if !self.held.is(Hold::Nothing) {
            // flock would turn the one hold into the other, and let others in between.
            return Ok(false);
        }
        let taken = until_taken(wait, || self.attempt(lock))?;
        if taken {
            self.held.set(hold);
        }
        Ok(taken)
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
        let message = format!("lock file {} cannot be locked: {error}", self.path.display());
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;

    const AT_ONCE: Duration = Duration::ZERO;
    const LONG: Duration = Duration::from_secs(20);

    /// Three holders of one lock, of each kind.
    fn each_kind(test: impl Fn([Box<dyn AbstractFileLock>; 3])) {
        for factory in [LockFactory::file(), LockFactory::thread()] {
            let folder = tempfile::tempdir().unwrap();
            test([(); 3].map(|()| factory.make(&folder.path().join("lock")).unwrap()));
        }
    }

    #[test]
    fn readers_share_it_and_a_writer_has_it_alone() {
        each_kind(|[one, two, three]| {
            assert!(one.acquire_read_lock(AT_ONCE).unwrap() && two.acquire_read_lock(LONG).unwrap());
            assert!(!three.acquire_write_lock(AT_ONCE).unwrap());
            assert!(!three.acquire_write_lock(Duration::from_millis(3)).unwrap());
            one.release_read_lock().unwrap();
            assert!(!three.acquire_write_lock(AT_ONCE).unwrap());
            two.release_read_lock().unwrap();
            assert!(three.acquire_write_lock(AT_ONCE).unwrap() && three.is_held());
            assert!(!one.acquire_read_lock(AT_ONCE).unwrap());
            assert!(!two.acquire_write_lock(AT_ONCE).unwrap());
            three.release_write_lock().unwrap();
            assert!(one.acquire_write_lock(LONG).unwrap());
        });
    }

    #[test]
    fn a_holder_that_has_it_is_refused_and_one_that_has_not_cannot_release() {
        each_kind(|[one, two, _]| {
            assert_eq!(one.release_write_lock().unwrap_err().kind(), ErrorKind::NotHeld);
            assert!(one.acquire_read_lock(AT_ONCE).unwrap());
            assert!(!one.acquire_read_lock(AT_ONCE).unwrap() && !one.acquire_write_lock(AT_ONCE).unwrap());
            let error = one.release_write_lock().unwrap_err();
            assert!(error.to_string().starts_with("the writer's lock on "), "{error}");
            assert_eq!(two.release_read_lock().unwrap_err().kind(), ErrorKind::NotHeld);
            one.release_read_lock().unwrap();
            assert_eq!(one.release_read_lock().unwrap_err().kind(), ErrorKind::NotHeld);
            assert!(two.acquire_write_lock(AT_ONCE).unwrap());
        });
    }

    #[test]
    fn whoever_waits_gets_it_after_its_release_and_after_its_holder_was_dropped() {
        each_kind(|[one, two, three]| {
            thread::scope(|scope| {
                assert!(one.acquire_write_lock(AT_ONCE).unwrap());
                let waiting = scope.spawn(move || two.acquire_read_lock(LONG).unwrap().then_some(two));
                one.release_write_lock().unwrap();
                let two = waiting.join().unwrap().unwrap();
                let waiting = scope.spawn(move || three.acquire_write_lock(LONG).unwrap());
                drop(two);
                assert!(waiting.join().unwrap());
            });
        });
    }

    #[test]
    fn a_lock_file_that_cannot_be_made_is_named() {
        let error = FileLock::open("/nowhere/lock").unwrap_err();
        assert!(
            error.to_string().starts_with("lock file /nowhere/lock cannot be opened: No such file"),
            "{error}"
        );
        assert!(error.is_transient());
    }
}
