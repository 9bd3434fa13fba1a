//! [`CacheMutex`]: what keeps creators of one key apart.

use std::fmt;

use crate::error::BackendError;

/// A mutex for one key, often shared by processes and machines.
///
/// Source: dogpile.cache `api.py`, `CacheMutex`.
///
/// # For implementors
/// * It may be released by another thread than the one that acquired it.
/// * It is not re-entrant: while it is held, `acquire(false)` answers `false`, the holding thread's included.
/// * A blocking `acquire` must end: by a time-out of the mutex (answer `false`), or since its holder's lease ran
///   out. A lease is renewed by the mutex itself for as long as it is held.
/// * Dropping a held mutex does not release it.
pub trait CacheMutex: fmt::Debug + Send + Sync + 'static {
    /// Takes the mutex. With `wait`, blocks until it can, or until the mutex gives up; without, answers at once.
    /// Answers whether it was taken.
    ///
    /// # Errors
    /// If the store fails.
    fn acquire(&self, wait: bool) -> Result<bool, BackendError>;

    /// Gives the mutex back.
    ///
    /// # Errors
    /// [`ErrorKind::NotHeld`](crate::ErrorKind::NotHeld) if the caller does not hold it, or not any more;
    /// any other if the store fails.
    fn release(&self) -> Result<(), BackendError>;

    /// Whether anybody holds it. Asking takes nothing.
    ///
    /// # Errors
    /// If the store fails.
    fn locked(&self) -> Result<bool, BackendError>;
}

const _: fn(&dyn CacheMutex) = |_| {};
