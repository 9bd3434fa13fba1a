//! [`end`]: notes how a call with a creator ended.

use std::fmt;

use dogpile_sdk::Metadata;

use super::configured::Configured;
use crate::decision::Reading;
use crate::engine::{Found, Settled};
use crate::error::{CreateError, RegionError};
use crate::observe::{EventKind, Request};
use crate::outcome::{Outcome, Served};
use crate::policy::Policy;

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

/// Notes how a call without a creator ended, and returns what it found under `policy`.
pub(super) fn end_read<T>(
    request: Request<'_>,
    policy: &Policy,
    ended: Result<Vec<Option<T>>, RegionError>,
) -> Result<Vec<Option<T>>, RegionError> {
    match &ended {
        Ok(found) => request.read(found.iter().map(|found| found.as_ref().map(|_| found_by(policy)))),
        Err(error) => request.failed(error, false),
    }
    ended
}

/// Returns the outcome of a call with `policy` that found a fresh value.
fn found_by(policy: &Policy) -> Outcome {
    policy.outcome(Outcome::Fresh)
}

/// Returns a fresh value that a call with `policy` found.
pub(super) fn fresh<T>(value: T, metadata: Option<Metadata>, policy: &Policy) -> Settled<T> {
    Settled { value, outcome: found_by(policy), metadata, is_stored: false }
}

/// Returns all values that a call with `policy` found if they are fresh, and otherwise what it found.
pub(super) fn all_fresh<T>(found: Vec<Found<T>>, policy: &Policy) -> Result<Vec<Settled<T>>, Vec<Found<T>>> {
    if !found.iter().all(|found| matches!(found.reading, Reading::Fresh(_))) {
        return Err(found);
    }
    let value = |Found { reading, metadata }| Some(fresh(reading.into_fresh()?, metadata, policy));
    Ok(found.into_iter().filter_map(value).collect())
}

impl Configured {
    /// Returns a value as a call returns it with its outcome.
    pub(super) fn served<T>(&self, settled: Settled<T>) -> Served<T> {
        let Settled { value, outcome, metadata, is_stored } = settled;
        let age = metadata.map(|metadata| metadata.creation_time.age(self.clock.present()));
        Served { value, outcome, age: age.unwrap_or_default(), is_stored }
    }

    /// Notes a fresh value of `key`.
    #[inline(always)]
    pub(super) fn note_hit(&self, key: &str) {
        if self.notes_hits {
            self.watch.hit(key);
        }
    }

    /// Notes a fresh value of `key` that a call with `policy` found.
    #[cold]
    pub(super) fn note_found(&self, key: &str, policy: &Policy) {
        match found_by(policy) {
            Outcome::Degraded => self.watch.note(&[key], EventKind::Degraded),
            _ => self.note_hit(key),
        }
    }

    /// Notes that a call without a creator found no value of `key`.
    #[cold]
    pub(super) fn note_absent(&self, key: &str) {
        if self.watch.is_on() {
            self.watch.note(&[key], EventKind::Miss);
        }
    }

    /// Notes that `key` could not be read, and returns the error.
    #[cold]
    pub(super) fn note_failed(&self, key: &str, error: RegionError) -> RegionError {
        self.watch.note(&[key], EventKind::Failed { error: &error });
        error
    }
}
