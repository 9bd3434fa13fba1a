//! The primitives that the gates are made of: the standard library's, or modelled ones under `--cfg dogpile_loom`.
//!
//! Not parking_lot's: its condition variable lets the waiters go one after another, each woken by the one before,
//! where a gate is to free all of them at once.

use std::sync::PoisonError;

#[cfg(dogpile_loom)]
use loom::{sync, thread};
#[cfg(not(dogpile_loom))]
use std::{sync, thread};

pub(crate) use sync::{Condvar, MutexGuard};
pub(crate) use thread::{ThreadId, current};

/// A mutex that a panic does not poison: what the gates keep under it is whole at any time.
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

pub(crate) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condvar.wait(guard).unwrap_or_else(PoisonError::into_inner)
}
