//! [`ThreadLock`]: a lock within one process, identified by a path.

use std::path::{Path, PathBuf, absolute};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, WeakRegistry};

use crate::lock::{AbstractFileLock, Held, Hold};

/// A lock between the threads of this process. It does not affect other processes, and its file need not exist.
// Source: dogpile.cache `util/readwrite_lock.py`, `ReadWriteMutex`, from which its documentation builds such a lock.
#[derive(Debug)]
pub struct ThreadLock {
    shared: Arc<Shared>,
    path: PathBuf,
    held: Held,
}

#[derive(Debug, Default)]
struct Shared {
    users: Mutex<Users>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Users {
    readers: usize,
    writer: bool,
}

impl Shared {
    /// Locks the users. No holder panics, so poison carries no meaning.
    fn users(&self) -> MutexGuard<'_, Users> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ThreadLock {
    /// Creates a holder of the lock that `path` identifies.
    pub fn of(path: impl AsRef<Path>) -> Self {
        static LOCKS: WeakRegistry<PathBuf, Shared> = WeakRegistry::new();
        let path = absolute(path.as_ref()).unwrap_or_else(|_| path.as_ref().to_owned());
        let shared = LOCKS.get_or_create(path.clone(), Shared::default);
        ThreadLock { shared, path, held: Held::default() }
    }

    fn acquire(&self, hold: Hold, wait: Duration, enter: fn(&mut Users) -> bool) -> bool {
        if !self.held.is(Hold::Nothing) {
            return false;
        }
        let start = Instant::now();
        let mut users = self.shared.users();
        while !enter(&mut users) {
            let left = wait.saturating_sub(start.elapsed());
            if left.is_zero() {
                return false;
            }
            users = self.shared.changed.wait_timeout(users, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        self.held.set(hold);
        true
    }

    fn leave(&self, hold: Hold) {
        let mut users = self.shared.users();
        match hold {
            Hold::Read => users.readers -= 1,
            Hold::Write => users.writer = false,
            Hold::Nothing => {}
        }
        drop(users);
        self.shared.changed.notify_all();
    }
}

impl AbstractFileLock for ThreadLock {
    fn acquire_read_lock(&self, wait: Duration) -> Result<bool, BackendError> {
        let enter = |users: &mut Users| {
            users.readers += usize::from(!users.writer);
            !users.writer
        };
        Ok(self.acquire(Hold::Read, wait, enter))
    }

    fn acquire_write_lock(&self, wait: Duration) -> Result<bool, BackendError> {
        let enter = |users: &mut Users| {
            let free = !users.writer && users.readers == 0;
            users.writer |= free;
            free
        };
        Ok(self.acquire(Hold::Write, wait, enter))
    }

    fn release_read_lock(&self) -> Result<(), BackendError> {
        self.held.release(Hold::Read, &self.path)?;
        self.leave(Hold::Read);
        Ok(())
    }

    fn release_write_lock(&self) -> Result<(), BackendError> {
        self.held.release(Hold::Write, &self.path)?;
        self.leave(Hold::Write);
        Ok(())
    }

    fn is_held(&self) -> bool {
        !self.held.is(Hold::Nothing)
    }
}

impl Drop for ThreadLock {
    fn drop(&mut self) {
        for hold in [Hold::Read, Hold::Write] {
            if self.held.is(hold) {
                self.leave(hold);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_one_file_share_a_lock() {
        let (one, two) = (ThreadLock::of("a lock"), ThreadLock::of("./a lock"));
        let other = ThreadLock::of("another lock");
        assert!(Arc::ptr_eq(&one.shared, &two.shared) && !Arc::ptr_eq(&one.shared, &other.shared));
    }
}
