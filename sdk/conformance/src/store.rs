//! Single values: get, set, and delete.

use std::time::Duration;

use dogpile_sdk::{Bytes, CacheBackend, CachedValue, Payload, StoreOptions};

use crate::expect::{Outcome, Stop, ensure, ensure_absent, ensure_stored, ensure_value, shortened};
use crate::setup::Setup;

/// More bytes than the envelope around a payload takes.
pub(crate) const ENVELOPE_BYTES: u64 = 256;

/// A key that was never set has no value. Reading it is not an error.
///
/// Behavior: `backend-miss-is-no-value`
pub fn reading_an_absent_key_is_a_miss(setup: &Setup) -> Outcome {
    ensure_absent(&*setup.backend()?, &setup.fresh_key())
}

/// A value comes back with its payload and metadata.
///
/// Behavior: `backend-bytes-round-trip`
pub fn stored_value_is_read_back(setup: &Setup) -> Outcome {
    keeps(setup, b"ten bytes!")
}

/// A second value replaces the first.
pub fn setting_again_replaces_the_value(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let (long, short) = (setup.value(&*backend, &[1; 500]), setup.value(&*backend, &[2; 5]));
    for value in [&long, &short, &long] {
        backend.set(&key, value.clone(), &StoreOptions::new())?;
        ensure_stored(&*backend, &key, value)?;
    }
    Ok(())
}

/// A value that was deleted is gone.
///
/// Behavior: `backend-delete-removes`
pub fn deleting_removes_the_value(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    backend.set(&key, setup.value(&*backend, b"x"), &StoreOptions::new())?;
    backend.delete(&key)?;
    ensure_absent(&*backend, &key)
}

/// Deleting a key that was never set is not an error.
///
/// Behavior: `backend-delete-missing-ok`
pub fn deleting_an_absent_key_succeeds(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    backend.delete(&key)?;
    ensure_absent(&*backend, &key)
}

/// Deleting a key a second time is not an error.
pub fn deleting_twice_succeeds(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    backend.set(&key, setup.value(&*backend, b"x"), &StoreOptions::new())?;
    backend.delete(&key)?;
    backend.delete(&key)?;
    ensure_absent(&*backend, &key)
}

/// A deletion affects only the present value.
pub fn deleted_key_can_be_set_again(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    backend.set(&key, setup.value(&*backend, b"old"), &StoreOptions::new())?;
    backend.delete(&key)?;
    let value = setup.value(&*backend, b"new");
    backend.set(&key, value.clone(), &StoreOptions::new())?;
    ensure_stored(&*backend, &key, &value)
}

/// A payload without bytes is a value, not a miss.
pub fn empty_payload_is_a_value(setup: &Setup) -> Outcome {
    keeps(setup, b"")
}

/// A payload may contain any bytes, including zeros and invalid UTF-8.
pub fn every_byte_is_kept(setup: &Setup) -> Outcome {
    keeps(setup, &(0..=255).collect::<Vec<u8>>())
}

/// Bars after the envelope and the line ends of protocols are data in a payload.
pub fn bars_and_line_ends_in_a_payload_are_kept(setup: &Setup) -> Outcome {
    keeps(setup, b"|{\"ct\": 1.0, \"v\": 2}||\r\nEND\r\n\0|")
}

/// A payload larger than the usual buffers comes back whole.
pub fn payload_of_64_kib_and_a_byte_is_kept_whole(setup: &Setup) -> Outcome {
    keeps_large(setup, (64 << 10) + 1)
}

/// A payload of 1 MiB comes back whole. The case is skipped if the value limit is lower.
pub fn payload_of_1_mib_is_kept_whole(setup: &Setup) -> Outcome {
    keeps_large(setup, 1 << 20)
}

/// A payload of a little more than 2 MiB comes back whole. The case is skipped if the value limit is lower.
pub fn payload_of_more_than_2_mib_is_kept_whole(setup: &Setup) -> Outcome {
    keeps_large(setup, (2 << 20) + 1)
}

/// `get_with` lends the value that `get` returns, once. A region makes this call for each hit.
pub fn lent_value_is_the_stored_one(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    ensure_lent(&*backend, &key, None)?;
    let mut value = setup.value(&*backend, b"first");
    value.metadata.version = 3;
    for value in [value, setup.value(&*backend, b""), setup.value(&*backend, &[7; 5000])] {
        backend.set(&key, value.clone(), &StoreOptions::new())?;
        ensure_lent(&*backend, &key, Some(&value))?;
        ensure_stored(&*backend, &key, &value)?;
    }
    backend.delete(&key)?;
    ensure_lent(&*backend, &key, None)
}

/// The visitor of `get_with` may call the backend again, also for the same key.
pub fn visitor_may_call_the_backend(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let (old, new) = (setup.value(&*backend, b"old"), setup.value(&*backend, b"new"));
    backend.set(&key, old.clone(), &StoreOptions::new())?;
    let mut visited =
        Err(Stop::failed("expected get_with of a stored value to call its visitor, it did not"));
    backend.get_with(&key, &mut |lent| {
        visited = (|| {
            ensure_value("get of a key that get_with lends", backend.get(&key)?.as_ref(), Some(&old))?;
            backend.set(&key, new.clone(), &StoreOptions::new())?;
            ensure_value("get of a key that get_with lends", backend.get(&key)?.as_ref(), Some(&new))?;
            ensure_value("get_with, while its key is set,", Some(lent), Some(&old))?;
            Ok(backend.delete(&key)?)
        })();
    })?;
    visited?;
    ensure_absent(&*backend, &key)
}

/// A backend that stores objects also stores bytes, because its region may have a serializer.
///
/// Behavior: `memory-with-serializer`
pub fn object_store_keeps_bytes(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    if backend.capabilities().serializer.is_some() {
        return Err(Stop::skipped("the backend stores only bytes"));
    }
    let payload = Payload::Bytes(Bytes::from(b"0123456789".to_vec()));
    let value = CachedValue { payload, ..setup.value(&*backend, b"") };
    backend.set(&key, value.clone(), &StoreOptions::new())?;
    ensure_stored(&*backend, &key, &value)
}

/// Keys that differ only in case or at their end are different keys.
pub fn similar_keys_are_distinct(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    keep_apart(setup, &*backend, similar(&key))
}

/// Keys are Unicode strings and are not normalized.
pub fn non_ascii_keys_are_distinct(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    keep_apart(setup, &*backend, non_ascii(&key))
}

/// An equal string at another address is the same key.
pub fn key_is_found_by_its_text(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let value = setup.value(&*backend, b"x");
    let longer = format!("{key} and more");
    backend.set(&longer[..key.len()], value.clone(), &StoreOptions::new())?;
    drop(longer);
    ensure_stored(&*backend, &key.clone(), &value)
}

/// Reads, writes, and deletions of one key take effect in the order of the calls.
pub fn calls_on_one_key_take_effect_in_order(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    for number in 0..50_u8 {
        let value = setup.value(&*backend, &[number]);
        backend.set(&key, value.clone(), &StoreOptions::new())?;
        ensure_stored(&*backend, &key, &value)?;
        if number % 5 == 0 {
            backend.delete(&key)?;
            ensure_absent(&*backend, &key)?;
        }
    }
    Ok(())
}

/// A value with a lifetime is stored. A store without native expiry ignores the lifetime.
pub fn lifetime_is_accepted(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let value = setup.value(&*backend, b"x");
    backend.set(&key, value.clone(), &StoreOptions::new().with_keep_for(Duration::from_secs(3600)))?;
    ensure_stored(&*backend, &key, &value)
}

/// A backend that was closed opens again with the next call, and keeps its values.
pub fn closed_backend_stays_usable(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let value = setup.value(&*backend, b"x");
    backend.set(&key, value.clone(), &StoreOptions::new())?;
    backend.health()?;
    backend.close()?;
    ensure_stored(&*backend, &key, &value)?;
    Ok(backend.health()?)
}

/// Returns keys that differ from `key` only at their ends, or in case.
pub(crate) fn similar(key: &str) -> Vec<String> {
    let suffixes =
        ["a", "A", "aa", "", "a0", "a-", "a_", "a.", "a:", "a/", "a%", "a\\", "a*", "a|", " ", "a "];
    let prefixes = [" ", "a", "-", "0", "/", "./"];
    let with_suffix = suffixes.map(|suffix| format!("{key}{suffix}"));
    with_suffix.into_iter().chain(prefixes.map(|prefix| format!("{prefix}{key}"))).collect()
}

/// Returns keys that some stores consider equal, or do not distinguish.
pub(crate) fn non_ascii(key: &str) -> Vec<String> {
    let suffixes =
        ["\u{e9}", "e\u{301}", "\u{c9}", "e", "\u{65e5}\u{672c}", "\u{1f415}", "\u{1f408}", "\u{df}", "ss"];
    suffixes.map(|suffix| format!("{key}{suffix}")).into()
}

/// Fails unless `get_with` lends `expected` once, or returns false if there is none.
pub(crate) fn ensure_lent(backend: &dyn CacheBackend, key: &str, expected: Option<&CachedValue>) -> Outcome {
    let mut lent = Vec::new();
    let found = backend.get_with(key, &mut |value| lent.push(value.clone()))?;
    let asked = format!("get_with of key {}", shortened(key));
    ensure(lent.len() <= 1, || {
        format!("expected {asked} to call its visitor once, it did {} times", lent.len())
    })?;
    ensure_value(&asked, lent.first(), expected)?;
    ensure(found == expected.is_some(), || {
        format!("expected {asked} to return {}, got {found}", expected.is_some())
    })
}

fn keeps(setup: &Setup, bytes: &[u8]) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let value = setup.value(&*backend, bytes);
    backend.set(&key, value.clone(), &StoreOptions::new())?;
    ensure_stored(&*backend, &key, &value)
}

fn keeps_large(setup: &Setup, size: usize) -> Outcome {
    let limit = setup.backend()?.capabilities().max_value_bytes;
    if limit.is_some_and(|limit| size as u64 + ENVELOPE_BYTES > limit) {
        return Err(Stop::skipped(format!(
            "the backend accepts values of at most {} bytes",
            limit.unwrap_or(0)
        )));
    }
    // The period is prime, so that no buffer size is a multiple of it.
    keeps(setup, &(0..size).map(|place| (place % 251) as u8).collect::<Vec<u8>>())
}

/// Fails unless each admitted key among `keys` has a value of its own.
pub(crate) fn keep_apart(setup: &Setup, backend: &dyn CacheBackend, keys: Vec<String>) -> Outcome {
    let capabilities = backend.capabilities();
    let entries: Vec<_> = keys
        .into_iter()
        .filter(|key| capabilities.admits_key(key))
        .map(|key| {
            let value = setup.value(backend, key.as_bytes());
            (key, value)
        })
        .collect();
    for (key, value) in &entries {
        backend.set(key, value.clone(), &StoreOptions::new())?;
    }
    entries.iter().try_for_each(|(key, value)| ensure_stored(backend, key, value))?;
    // Deleting one key must not affect the others.
    let Some(((first, _), rest)) = entries.split_first() else { return Ok(()) };
    backend.delete(first)?;
    ensure_absent(backend, first)?;
    rest.iter().try_for_each(|(key, value)| ensure_stored(backend, key, value))
}
