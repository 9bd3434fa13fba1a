//! [`ReadWriteMutex`]: a lock for many readers or one writer. A waiting writer goes before readers that arrive later.
// Source: dogpile.cache `util/readwrite_lock.py`, `ReadWriteMutex`. There, one release too many of a reader lets a writer
// in beside another reader. Here, dropping a guard is the only release.

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A lock that many readers share or one writer holds.
///
/// A waiting writer goes before readers that arrive later, so that readers cannot starve it. Therefore a thread that
/// holds a [`ReadGuard`] must not call [`read`](Self::read) again: if a writer waits, the thread waits for the writer, and
/// the writer waits for the thread.
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

/// A reader's share of a [`ReadWriteMutex`]. Dropping it releases the share.
#[derive(Debug)]
#[must_use = "dropping the guard releases the mutex"]
pub struct ReadGuard<'a> {
    _guard: RwLockReadGuard<'a, ()>,
}

/// A writer's exclusive hold of a [`ReadWriteMutex`]. Dropping it releases the mutex.
#[derive(Debug)]
#[must_use = "dropping the guard releases the mutex"]
pub struct WriteGuard<'a> {
    /// Always `Some`, except at the end of `drop`.
    guard: Option<RwLockWriteGuard<'a, ()>>,
}

impl ReadWriteMutex {
    /// Creates a mutex that is not held.
    pub const fn new() -> Self {
        ReadWriteMutex(RwLock::new(()))
    }

    /// Acquires the mutex for reading, blocking while a writer holds it or waits for it.
    ///
    /// A thread that already holds a [`ReadGuard`] may deadlock here. See [`ReadWriteMutex`].
    pub fn read(&self) -> ReadGuard<'_> {
        ReadGuard { _guard: self.0.read() }
    }

    /// Acquires the mutex for reading, or returns `None` if a writer holds or awaits it.
    pub fn try_read(&self) -> Option<ReadGuard<'_>> {
        Some(ReadGuard { _guard: self.0.try_read()? })
    }

    /// Acquires the mutex for writing, blocking while any reader or writer holds it.
    ///
    /// Readers that arrive meanwhile wait until the returned guard is dropped.
    pub fn write(&self) -> WriteGuard<'_> {
        WriteGuard { guard: Some(self.0.write()) }
    }

    /// Acquires the mutex for writing, or returns `None` if a reader or writer holds it.
    ///
    /// A failed attempt does not hold up readers.
    pub fn try_write(&self) -> Option<WriteGuard<'_>> {
        Some(WriteGuard { guard: Some(self.0.try_write()?) })
    }
}

impl Drop for WriteGuard<'_> {
    fn drop(&mut self) {
        // Hand the mutex to the first one in the queue. Otherwise a reader that arrives now could overtake a writer that
        // waits there.
        if let Some(guard) = self.guard.take() {
            RwLockWriteGuard::unlock_fair(guard);
        }
    }
}
