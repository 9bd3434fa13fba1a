//! The primitives that the gates are made of: the real ones, or modelled ones under `--cfg dogpile_loom`.

#[cfg(not(dogpile_loom))]
mod primitives {
    pub(crate) use std::thread::{ThreadId, current};

    pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};

    pub(crate) fn wait<'a, T>(condvar: &Condvar, mut guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        condvar.wait(&mut guard);
        guard
    }
}

#[cfg(dogpile_loom)]
mod primitives {
    pub(crate) use loom::sync::{Condvar, MutexGuard};
    pub(crate) use loom::thread::{ThreadId, current};

    /// loom's mutex with parking_lot's interface.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
        }
    }

    pub(crate) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        condvar.wait(guard).unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

pub(crate) use primitives::{Condvar, Mutex, ThreadId, current, wait};
