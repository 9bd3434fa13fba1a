//! [`LockFactory`]: makes the locks of a backend.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use dogpile_sdk::BackendError;

use crate::file_lock::FileLock;
use crate::lock::AbstractFileLock;
use crate::mode;
use crate::thread_lock::ThreadLock;

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
pub struct LockFactory(Kind);

#[derive(Clone)]
enum Kind {
    /// Locks on files that are created with this mode.
    File(u32),
    Other(Arc<Make>),
}

impl LockFactory {
    /// Creates a factory from `make`, which gets the path of the lock file. It need not create that file.
    ///
    /// Locks of a backend with such a factory exclude only those of backends with the same kind of factory.
    pub fn new(
        make: impl Fn(&Path) -> Result<Box<dyn AbstractFileLock>, BackendError> + Send + Sync + 'static,
    ) -> Self {
        LockFactory(Kind::Other(Arc::new(make)))
    }

    /// Creates a factory of locks on files, which processes share: [`FileLock`].
    pub fn file() -> Self {
        Self::file_with_mode(mode::default())
    }

    /// Creates a factory of locks on files that are created with the permissions `mode`.
    pub(crate) fn file_with_mode(mode: u32) -> Self {
        LockFactory(Kind::File(mode))
    }

    /// Creates a factory of locks within this process: [`ThreadLock`].
    pub fn thread() -> Self {
        LockFactory::new(|path| Ok(Box::new(ThreadLock::of(path))))
    }

    /// Makes a lock for one holder.
    ///
    /// # Errors
    /// If the lock cannot be made.
    pub fn make(&self, path: &Path) -> Result<Box<dyn AbstractFileLock>, BackendError> {
        match &self.0 {
            Kind::File(mode) => Ok(Box::new(FileLock::with_mode(path, *mode)?)),
            Kind::Other(make) => make(path),
        }
    }

    /// Returns the mode of created files if the locks are on files.
    pub(crate) fn file_mode(&self) -> Option<u32> {
        match self.0 {
            Kind::File(mode) => Some(mode),
            Kind::Other(_) => None,
        }
    }
}

impl fmt::Debug for LockFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockFactory")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use std::thread;
    use std::time::Duration;

    use dogpile_sdk::ErrorKind;

    use super::*;

    const AT_ONCE: Duration = Duration::ZERO;
    const LONG: Duration = Duration::from_secs(20);

    /// Runs `test` with three holders of one lock, for each kind of lock.
    fn each_kind(test: impl Fn([Box<dyn AbstractFileLock>; 3])) {
        for factory in [LockFactory::file(), LockFactory::thread()] {
            let folder = tempfile::tempdir().unwrap();
            test([(); 3].map(|()| factory.make(&folder.path().join("lock")).unwrap()));
        }
    }

    #[test]
    fn readers_share_a_lock_and_a_writer_excludes_all() {
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
    fn second_acquire_and_release_without_hold_fail() {
        each_kind(|[one, two, _]| {
            assert_eq!(one.release_write_lock().unwrap_err().kind(), ErrorKind::NotHeld);
            assert!(one.acquire_read_lock(AT_ONCE).unwrap());
            assert!(!one.acquire_read_lock(AT_ONCE).unwrap() && !one.acquire_write_lock(AT_ONCE).unwrap());
            let error = one.release_write_lock().unwrap_err();
            assert!(error.to_string().starts_with("cannot release the write lock on "), "{error}");
            assert_eq!(two.release_read_lock().unwrap_err().kind(), ErrorKind::NotHeld);
            one.release_read_lock().unwrap();
            assert_eq!(one.release_read_lock().unwrap_err().kind(), ErrorKind::NotHeld);
            assert!(two.acquire_write_lock(AT_ONCE).unwrap());
        });
    }

    #[test]
    fn waiter_acquires_after_release_and_after_drop() {
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
}
