//! The capabilities that a backend reports are true.

use dogpile_sdk::{ErrorKind, StoreOptions};

use crate::bad_input::unusual;
use crate::expect::{Outcome, Stop, described, ensure};
use crate::setup::Setup;
use crate::store::keep_apart;

/// The longest key that is tried if there is no limit.
const LONGEST_KEY: usize = 4096;
/// The largest value limit that is tried.
const LONGEST_VALUE: u64 = 16 << 20;

/// A key as long as the limit is stored whole. A key that differs only in its last character is another key.
pub fn longest_admitted_key_is_kept(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let length = backend.capabilities().max_key_bytes.unwrap_or(LONGEST_KEY).min(LONGEST_KEY);
    let padding = "k".repeat(length.saturating_sub(key.len() + 1));
    keep_apart(setup, &*backend, ["a", "b", ""].map(|last| format!("{key}{padding}{last}")).into())
}

/// Every admitted key can be stored, whatever its characters.
pub fn unusual_admitted_keys_are_kept(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    keep_apart(setup, &*backend, unusual(&key))
}

/// A value above the limit is refused or not kept. A part of it is never returned.
pub fn oversized_value_is_never_truncated(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let limit = match backend.capabilities().max_value_bytes {
        Some(limit) if limit <= LONGEST_VALUE => limit,
        _ => return Err(Stop::skipped("the backend accepts values of 16 MiB and more")),
    };
    let value = setup.value(&*backend, &vec![b'x'; usize::try_from(limit).unwrap_or(usize::MAX) + 1]);
    if let Err(error) = backend.set(&key, value.clone(), &StoreOptions::new()) {
        ensure(error.kind() == ErrorKind::InvalidValue, || {
            format!(
                "expected a value above the limit to be refused as InvalidValue, got {:?}: {error}",
                error.kind()
            )
        })?;
    }
    let found = backend.get(&key)?;
    ensure(found.as_ref().is_none_or(|found| *found == value), || {
        format!(
            "expected a value above the limit of {limit} bytes whole or not at all, got {}",
            described(found.as_ref())
        )
    })
}
