//! The primitives of the gates: the standard library's, or loom's under `--cfg dogpile_loom`.

use std::sync::PoisonError;

#[cfg(dogpile_loom)]
use loom::sync;
#[cfg(not(dogpile_loom))]
use std::sync;

#[cfg(dogpile_loom)]
pub(crate) use loom::thread_local;
#[cfg(not(dogpile_loom))]
pub(crate) use std::thread_local;

pub(crate) use sync::MutexGuard;
pub(crate) use sync::atomic::AtomicBool;

/// A mutex that a panic does not poison. Its contents are consistent whenever it is unlocked.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Mutex(sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
