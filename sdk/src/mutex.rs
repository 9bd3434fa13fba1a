//! [`CacheMutex`]: one mutex per key, so that one creator runs at a time.

// Source: dogpile.cache `api.py`, `CacheMutex`.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::error::BackendError;
use crate::operations::MutexOperations;
use crate::options::Fence;

/// A mutex for one key, often shared by processes and machines.
///
/// # For implementors
/// * Any thread may make any call, several at a time. Any thread may release the mutex, not only the one that acquired
///   it.
/// * A region acquires the mutex before it calls a creator, asks [`is_lost`](Self::is_lost) and [`fence`](Self::fence)
///   when the creator has returned, stores the value, and releases the same object. A release that fails is logged, and
///   the caller gets its value nevertheless.
/// * The mutex is not re-entrant. While it is held, `try_acquire` returns `false`, even on the thread that acquired it.
/// * The mutex of a holder that died must become free, for example because its lease ends. The mutex itself renews its
///   lease while it is held.
/// * Dropping a held mutex does not release it. A region whose caller was dropped or panicked releases the mutex on a
///   thread of its own.
/// * A child that was forked while the mutex was held does not hold it, and must not release it.
pub trait CacheMutex: fmt::Debug + Send + Sync + 'static {
    /// Acquires the mutex if it is free, and returns whether it succeeded.
    ///
    /// This call never waits for another holder. It may wait for a reply from the store, up to a timeout of the
    /// backend.
    ///
    /// # Errors
    /// If the store fails. The caller does not release the mutex then, so free it if it may have been acquired, or let
    /// its lease end. A region serves the old value or goes on without the mutex if its settings say so, and otherwise
    /// returns the error.
    fn try_acquire(&self) -> Result<bool, BackendError>;

    /// Acquires the mutex, waiting until `deadline` if needed, and returns whether it succeeded.
    ///
    /// It returns `false` if the mutex is still held at `deadline`, or at an earlier limit that the mutex has been
    /// configured with (such as `lock_blocking_timeout`). If `deadline` has passed, it tries once, as
    /// [`try_acquire`](Self::try_acquire) does.
    ///
    /// If the store does not reply, this call ends shortly after `deadline`: the caller has agreed to wait no longer.
    ///
    /// # Errors
    /// If the store fails. See [`try_acquire`](Self::try_acquire).
    fn acquire_until(&self, deadline: Instant) -> Result<bool, BackendError>;

    /// Releases the mutex.
    ///
    /// # Errors
    /// [`ErrorKind::NotHeld`](crate::ErrorKind::NotHeld) if this object does not hold the mutex, or no longer holds it;
    /// another kind if the store fails.
    fn release(&self) -> Result<(), BackendError>;

    /// Returns whether any object holds the mutex, without acquiring it. A mutex whose lease ended is not held.
    ///
    /// # Errors
    /// If the store fails.
    fn locked(&self) -> Result<bool, BackendError>;

    /// Returns whether this object acquired the mutex and is known to have lost it since.
    ///
    /// A mutex is lost when its lease ended, when another holder took it, or when this process was forked while its parent
    /// held the mutex. A region asks before it stores a created value, and does not store the value under a lost mutex.
    /// The result may become `false` again only if the store proves that no other holder has had the mutex.
    ///
    /// This call performs no I/O and never blocks. It returns `false` before the mutex is acquired and after it is
    /// released. The default is `false`, for mutexes that cannot be lost.
    fn is_lost(&self) -> bool {
        false
    }

    /// Returns a token with which the store can check that this object still holds the mutex.
    ///
    /// A region passes it to `set` with the created value. See [`StoreOptions::fence`](crate::StoreOptions::fence).
    /// This call performs no I/O and never blocks. The default is `None`: the store cannot check.
    fn fence(&self) -> Option<Fence> {
        None
    }

    /// Returns the asynchronous calls of the mutex.
    ///
    /// With `None`, the default, an asynchronous host runs the blocking calls on threads of its own.
    fn operations(&self) -> Option<Arc<dyn MutexOperations>> {
        None
    }
}

const _: fn(&dyn CacheMutex) = |_| {};
