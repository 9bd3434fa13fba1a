//! [`end`]: notes how a call with a creator ended.

use std::fmt;

use dogpile_sdk::Metadata;

use super::configured::Configured;
use crate::engine::Settled;
use crate::error::{CreateError, RegionError};
use crate::observe::{EventKind, Request};
use crate::outcome::{Outcome, Served};

/// Notes how a call with a creator ended, and returns its values.
pub(super) fn end<T, E: fmt::Display>(
    request: Request<'_>,
    ended: Result<Vec<Settled<T>>, CreateError<E>>,
) -> Result<Vec<Settled<T>>, CreateError<E>> {
    match &ended {
        Ok(settled) => request.served(settled.iter().map(|settled| settled.outcome)),
        Err(error) => {
            let is_timeout = matches!(error, CreateError::Region(error) if error.is_creation_timeout());
            request.failed(error, is_timeout);
        }
    }
    ended
}

/// Notes how a call for one key ended, and returns its value.
pub(super) fn end_one<T, E: fmt::Display>(
    request: Request<'_>,
    ended: Result<Settled<T>, CreateError<E>>,
) -> Result<Settled<T>, CreateError<E>> {
    match &ended {
        Ok(settled) => request.served([settled.outcome]),
        Err(error) => {
            let is_timeout = matches!(error, CreateError::Region(error) if error.is_creation_timeout());
            request.failed(error, is_timeout);
        }
    }
    ended
}

/// Notes how a call without a creator ended, and returns what it found.
pub(super) fn end_read<T>(
    request: Request<'_>,
    ended: Result<Vec<Option<T>>, RegionError>,
) -> Result<Vec<Option<T>>, RegionError> {
    match &ended {
        Ok(found) => request.read(found.iter().map(Option::is_some)),
        Err(error) => request.failed(error, false),
    }
    ended
}

/// Returns a fresh value that was found, or that was kept because the backend fails.
pub(super) fn fresh<T>(value: T, metadata: Option<Metadata>, is_degraded: bool) -> Settled<T> {
    let outcome = if is_degraded { Outcome::Degraded } else { Outcome::Fresh };
    Settled { value, outcome, metadata }
}

impl Configured {
    /// Returns a value as a call returns it with its outcome.
    pub(super) fn served<T>(&self, settled: Settled<T>) -> Served<T> {
        let Settled { value, outcome, metadata } = settled;
        let age = metadata.map(|metadata| metadata.creation_time.age(self.clock.present()));
        Served { value, outcome, age: age.unwrap_or_default() }
    }

    /// Notes a fresh value of `key`.
    #[inline(always)]
    pub(super) fn note_hit(&self, key: &str) {
        if self.notes_hits {
            self.watch.hit(key);
        }
    }

    /// Notes that a call without a creator found a value, or none.
    #[cold]
    pub(super) fn note_read(&self, key: &str, is_found: bool) {
        if is_found {
            self.note_hit(key);
        } else if self.watch.is_on() {
            self.watch.note(&[key], EventKind::Miss);
        }
    }

    /// Notes a fresh value that was kept because the backend fails.
    #[cold]
    pub(super) fn note_degraded(&self, key: &str) {
        self.watch.note(&[key], EventKind::Degraded);
    }

    /// Notes that `key` could not be read, and returns the error.
    #[cold]
    pub(super) fn note_failed(&self, key: &str, error: RegionError) -> RegionError {
        self.watch.note(&[key], EventKind::Failed { error: &error });
        error
    }
}
