//! [`Unreadable`]: reports values that cannot be read.
//!
//! Such a value is a miss, and normal where a type was changed. It deserves a warning in three cases: this process stored
//! the value itself, another program stored it with another serializer, or a store of objects has a value of another
//! type. Each warning is rare, however often a value is read.

use std::any::type_name;
use std::collections::HashSet;
use std::error::Error;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use dogpile_sdk::{CachedValue, Payload};
use foldhash::fast::FixedState;
use parking_lot::Mutex;

use crate::log_targets::REGION;
use crate::redacted::Redacted;
use crate::serializer::{Serializer, guess_format, shown_name};
use crate::shorten::Shortened;

/// How long the warning about own values is not repeated.
const PAUSE: Duration = Duration::from_secs(60);

/// How many of the keys that this process stored are remembered.
const KEYS: usize = 256;

/// The most pairs of types that are reported.
const PAIRS: usize = 64;

/// What a store remembers in order to report values that it cannot read.
#[derive(Debug)]
pub(crate) struct Unreadable {
    /// Hashes of the keys that this process stored last.
    stored: Box<[AtomicU64]>,
    /// When an own value was reported.
    own: Mutex<Option<Instant>>,
    is_foreign_reported: AtomicBool,
    /// Pairs of types: the type of a value that was found, and the requested type.
    mismatches: Mutex<HashSet<(&'static str, &'static str)>>,
}

impl Default for Unreadable {
    fn default() -> Self {
        Unreadable {
            stored: (0..KEYS).map(|_| AtomicU64::new(0)).collect(),
            own: Mutex::default(),
            is_foreign_reported: AtomicBool::new(false),
            mismatches: Mutex::default(),
        }
    }
}

impl Unreadable {
    /// Remembers that this process stores serialized values under `mangled`.
    #[inline]
    pub(super) fn note_stored(&self, mangled: &str) {
        let hash = hash_of(mangled);
        self.stored[slot(hash)].store(hash, Relaxed);
    }

    fn is_own(&self, mangled: &str) -> bool {
        let hash = hash_of(mangled);
        self.stored[slot(hash)].load(Relaxed) == hash
    }

    /// Reports that the value `found` is not a `T` in the format of `serializer`.
    #[cold]
    pub(super) fn report<T>(
        &self,
        region: &str,
        mangled: &str,
        found: &CachedValue,
        serializer: Option<&dyn Serializer>,
        error: Option<&(dyn Error + Send + Sync + 'static)>,
    ) {
        let (key, value_type) = (Shortened(mangled), type_name::<T>());
        // The reason may be as large as the value.
        let error = error.map(|error| tracing::field::display(Shortened(Redacted(error))));
        if let Some(problem) = self.problem(mangled, found, serializer, value_type) {
            tracing::warn!(target: REGION, region, key = %key, value_type, error, "{problem}");
        } else {
            tracing::debug!(target: REGION, region, key = %key, value_type, error, "the value for key cannot be read");
        }
    }

    /// Returns the message of a warning, if one is due.
    fn problem(
        &self,
        mangled: &str,
        found: &CachedValue,
        serializer: Option<&dyn Serializer>,
        value_type: &'static str,
    ) -> Option<String> {
        match &found.payload {
            Payload::Object(object) => self.is_new_mismatch(object.type_name(), value_type).then(|| {
                let stored = object.type_name();
                format!("the value for key is of type {stored} and counts as missing; read it as that type")
            }),
            Payload::Bytes(_) if self.is_own(mangled) => self.may_report_own(Instant::now()).then(|| {
                "the value for key was stored by this process, cannot be read, and counts as missing"
                    .to_owned()
            }),
            Payload::Bytes(bytes) => {
                let (own, format) = (serializer?, self.foreign(bytes, serializer?)?);
                let own = shown_name(own);
                Some(format!(
                    "the value for key seems to be {format}, but the region reads {own}; set serializer = {format:?} \
                     to share values with the program that stored it, or use keys of its own"
                ))
            }
        }
    }

    fn is_new_mismatch(&self, stored: &'static str, asked: &'static str) -> bool {
        let mut mismatches = self.mismatches.lock();
        mismatches.len() < PAIRS && mismatches.insert((stored, asked))
    }

    fn may_report_own(&self, now: Instant) -> bool {
        let mut own = self.own.lock();
        let is_due = own.is_none_or(|last| now.saturating_duration_since(last) >= PAUSE);
        if is_due {
            *own = Some(now);
        }
        is_due
    }

    /// Returns the format of a value of another program, the first time.
    fn foreign(&self, bytes: &[u8], serializer: &dyn Serializer) -> Option<&'static str> {
        if self.is_foreign_reported.load(Relaxed) {
            return None;
        }
        let format = guess_format(bytes).filter(|format| *format != shown_name(serializer))?;
        (!self.is_foreign_reported.swap(true, Relaxed)).then_some(format)
    }
}

fn hash_of(mangled: &str) -> u64 {
    FixedState::default().hash_one(mangled)
}

fn slot(hash: u64) -> usize {
    hash as usize % KEYS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_values_are_reported_once_a_minute() {
        let (unreadable, began) = (Unreadable::default(), Instant::now());
        let reported = [0, 1, 59, 60, 61, 119, 120];
        let reported = reported.map(|second| unreadable.may_report_own(began + Duration::from_secs(second)));
        assert_eq!(reported, [true, false, false, true, false, false, true]);
    }

    #[test]
    fn last_keys_are_remembered() {
        let unreadable = Unreadable::default();
        unreadable.note_stored("own");
        assert!(unreadable.is_own("own") && !unreadable.is_own("other"));
    }

    #[test]
    fn pairs_of_types_are_reported_once() {
        let unreadable = Unreadable::default();
        assert!(unreadable.is_new_mismatch("u32", "u64") && unreadable.is_new_mismatch("u64", "u32"));
        assert!(!unreadable.is_new_mismatch("u32", "u64"));
    }
}
