//! What a backend says of itself is true.

use dogpile_sdk::{CacheBackend, CachedValue, ErrorKind};

use crate::expect::{Outcome, Stop, described, ensure, ensure_stored};
use crate::setup::Setup;
use crate::store::keep_apart;

/// Keys are tried up to this length where there is no limit, and values up to [`LONGEST_VALUE`].
const LONGEST_KEY: usize = 4096;
const LONGEST_VALUE: u64 = 16 << 20;

/// A key as long as the limit is kept whole: another that differs in its last character only is another key.
pub fn the_longest_key_admitted_is_kept(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let length = backend.capabilities().max_key_bytes.unwrap_or(LONGEST_KEY).min(LONGEST_KEY);
    let padding = "k".repeat(length.saturating_sub(key.len() + 1));
    keep_apart(setup, &*backend, ["a", "b", ""].map(|last| format!("{key}{padding}{last}")).into())
}

/// A key that is said to be admitted can be stored under, whatever its characters.
pub fn unusual_keys_that_are_admitted_are_kept(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    keep_apart(setup, &*backend, unusual(&key))
}

/// A key that is not admitted is refused with an error of its kind or kept under itself, and does no harm.
pub fn a_key_that_is_not_admitted_is_refused_or_kept(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let capabilities = backend.capabilities();
    let mut refused: Vec<_> = unusual(&key).into_iter().filter(|key| !capabilities.admits_key(key)).collect();
    refused.extend(capabilities.max_key_bytes.map(|limit| "k".repeat(limit + 1)));
    if refused.is_empty() {
        return Err(Stop::skipped("the backend admits any key"));
    }
    let (plain, value) = (setup.fresh_key(), setup.value(&*backend, b"x"));
    backend.set(&plain, value.clone())?;
    for key in refused {
        refused_or_kept(&*backend, &key, &value)?;
        ensure_stored(&*backend, &plain, &value)?;
    }
    Ok(())
}

fn refused_or_kept(backend: &dyn CacheBackend, key: &str, value: &CachedValue) -> Outcome {
    match backend.set(key, value.clone()) {
        Ok(()) => ensure_stored(backend, key, value),
        Err(error) => ensure(error.kind() == ErrorKind::InvalidKey, || {
            format!(
                "expected set of key {key:?} to be refused as InvalidKey, got {:?}: {error}",
                error.kind()
            )
        }),
    }
}

/// A value above the limit is refused or not kept; half of it is never given back.
pub fn a_value_above_the_limit_is_never_cut(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let limit = match backend.capabilities().max_value_bytes {
        Some(limit) if limit <= LONGEST_VALUE => limit,
        _ => return Err(Stop::skipped("the backend takes values of 16 MiB and more")),
    };
    let value = setup.value(&*backend, &vec![b'x'; usize::try_from(limit).unwrap_or(usize::MAX) + 1]);
    if let Err(error) = backend.set(&key, value.clone()) {
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

/// Keys with characters that some stores cannot take.
fn unusual(key: &str) -> Vec<String> {
    let marks =
        [" ", "  ", "\t", "\n", "\r\n", "\0", "\u{7f}", "\u{85}", "\u{a0}", "\u{3000}", "\"", "'", ";", "`"];
    marks.map(|mark| format!("{key}{mark}x")).into()
}
