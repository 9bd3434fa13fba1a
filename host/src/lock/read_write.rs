//! [`ReadWriteMutex`]: many readers or one writer, with tries that answer at once.
//!
//! Source: dogpile.cache `util/readwrite_lock.py`, `ReadWriteMutex`, whose surplus release of a reader lets a
//! writer in beside another; here a release is a guard's end, so that there is no surplus one.

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A lock that many readers share, or one writer has.
///
/// ```
/// use dogpile::lock::ReadWriteMutex;
///
/// let mutex = ReadWriteMutex::new();
/// let (one, two) = (mutex.read(), mutex.try_read());
/// assert!(two.is_some() && mutex.try_write().is_none());
/// drop((one, two));
/// assert!(mutex.try_write().is_some());
/// ```
#[derive(Debug, Default)]
pub struct ReadWriteMutex(RwLock<()>);

/// A reader's share, until it is dropped.
pub type ReadGuard<'a> = RwLockReadGuard<'a, ()>;

/// The writer's hold, until it is dropped.
pub type WriteGuard<'a> = RwLockWriteGuard<'a, ()>;

impl ReadWriteMutex {
    /// A lock that nobody has.
    pub const fn new() -> Self {
        ReadWriteMutex(RwLock::new(()))
    }

    /// Shares the lock; blocks while a writer has it. A thread may share it again, even while a writer waits.
    pub fn read(&self) -> ReadGuard<'_> {
        self.0.read_recursive()
    }

    /// Shares the lock, unless a writer has it.
    pub fn try_read(&self) -> Option<ReadGuard<'_>> {
        self.0.try_read_recursive()
    }

    /// Takes the lock; blocks while anybody has it.
    pub fn write(&self) -> WriteGuard<'_> {
        self.0.write()
    }

    /// Takes the lock, unless anybody has it.
    pub fn try_write(&self) -> Option<WriteGuard<'_>> {
        self.0.try_write()
    }
}
