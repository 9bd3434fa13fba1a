//! Many values at once: `get_multi`, `set_multi`, and `delete_multi`.

use dogpile_sdk::{CacheBackend, CachedValue, Entry, StoreOptions};

use crate::expect::{Outcome, ensure, ensure_absent, ensure_stored, ensure_value};
use crate::setup::Setup;
use crate::store::ENVELOPE_BYTES;

/// `get_multi` returns one entry per key, in the order of the request.
///
/// Behavior: `multi-get-keeps-request-order`
pub fn values_are_in_the_order_of_the_keys(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let entries = stored(setup, &*backend, 3)?;
    let asked = [&entries[2], &entries[0], &entries[1]];
    ensure_multi(&*backend, &asked.map(|(key, value)| (key.as_str(), Some(value))))
}

/// A key without a value has an empty entry in the result.
///
/// Behavior: `multi-get-holes-are-no-value`
pub fn absent_keys_yield_none(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let (entries, absent) = (stored(setup, &*backend, 3)?, setup.fresh_keys(4));
    ensure_multi(&*backend, &absent.iter().map(|key| (key.as_str(), None)).collect::<Vec<_>>())?;
    let mut asked = Vec::new();
    for ((key, value), absent) in entries.iter().zip(&absent) {
        asked.extend([(key.as_str(), Some(value)), (absent.as_str(), None)]);
    }
    ensure_multi(&*backend, &asked)?;
    asked.reverse();
    ensure_multi(&*backend, &asked)
}

/// A key that appears twice in the request has two entries in the result.
pub fn repeated_key_has_repeated_entries(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let (entries, absent) = (stored(setup, &*backend, 2)?, setup.fresh_key());
    let [one, two] = [&entries[0], &entries[1]].map(|(key, value)| (key.as_str(), Some(value)));
    let none = (absent.as_str(), None);
    ensure_multi(&*backend, &[one, two, one, none, none, two, one])
}

/// An empty request has an empty result.
///
/// Behavior: `multi-get-no-keys`
pub fn reading_no_keys_gives_no_values(setup: &Setup) -> Outcome {
    ensure_multi(&*setup.backend()?, &[])
}

/// Setting nothing is not an error.
///
/// Behavior: `multi-set-nothing`
pub fn setting_nothing_succeeds(setup: &Setup) -> Outcome {
    Ok(setup.backend()?.set_multi(Vec::new())?)
}

/// Deleting nothing is not an error.
pub fn deleting_no_keys_succeeds(setup: &Setup) -> Outcome {
    Ok(setup.backend()?.delete_multi(&[])?)
}

/// Values of one `set_multi` are found by single reads.
///
/// Behavior: `multi-set-then-get-each`
pub fn set_multi_values_are_read_by_get(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let entries = stored(setup, &*backend, 5)?;
    entries.iter().try_for_each(|(key, value)| ensure_stored(&*backend, key, value))
}

/// Values of single `set` calls are found by one `get_multi`.
pub fn set_values_are_read_by_get_multi(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let entries = fresh(setup, &*backend, 5);
    entries.iter().try_for_each(|(key, value)| backend.set(key, value.clone(), &StoreOptions::new()))?;
    ensure_all(&*backend, &entries)
}

/// Values of `set_multi` replace earlier values.
pub fn setting_together_replaces_values(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let mut entries = stored(setup, &*backend, 3)?;
    for (_, value) in &mut entries[1..] {
        *value = setup.value(&*backend, b"new");
    }
    backend.set_multi(as_entries(&entries[1..]))?;
    ensure_all(&*backend, &entries)
}

/// `delete_multi` removes the given keys that exist, and no others.
///
/// Behavior: `multi-delete-skips-unknown`, `multi-delete-then-get-no-value`
pub fn deleting_together_skips_absent_keys(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let (entries, absent) = (stored(setup, &*backend, 4)?, setup.fresh_key());
    backend.delete_multi(&[&entries[0].0, &absent, &entries[2].0])?;
    ensure_absent(&*backend, &entries[0].0)?;
    let [one, three] = [&entries[1], &entries[3]].map(|(key, value)| (key.as_str(), Some(value)));
    ensure_multi(&*backend, &[(&entries[0].0, None), one, (&entries[2].0, None), three])
}

/// Deleting keys that were never set is not an error. They can be set afterwards.
///
/// Behavior: `multi-delete-before-set-ok`
pub fn deleting_absent_keys_together_succeeds(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let entries = fresh(setup, &*backend, 5);
    backend.delete_multi(&entries.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>())?;
    backend.set_multi(as_entries(&entries))?;
    ensure_all(&*backend, &entries)
}

/// In a large request, no key gets the value of another key.
pub fn five_hundred_keys_get_their_own_values(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let entries = fresh(setup, &*backend, 500);
    let present = entries.iter().enumerate().filter(|(place, _)| place % 7 != 3);
    backend.set_multi(present.map(|(_, entry)| entry.clone().into()).collect())?;
    let expected: Vec<_> = entries
        .iter()
        .enumerate()
        .map(|(place, (key, value))| (key.as_str(), (place % 7 != 3).then_some(value)))
        .collect();
    ensure_multi(&*backend, &expected)
}

/// If a call stores one key twice, the last of its values remains.
pub fn last_value_of_a_repeated_key_is_stored(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let values = fresh(setup, &*backend, 3);
    let [one, two] = [&values[0], &values[1]].map(|(_, value)| value.clone());
    let (key, other) = (&values[0].0, &values[2]);
    let repeated = [(key.clone(), one), other.clone(), (key.clone(), two.clone())];
    backend.set_multi(as_entries(&repeated))?;
    ensure_multi(&*backend, &[(key, Some(&two)), (&other.0, Some(&other.1))])
}

/// A request to delete may name a key twice, or one that is already deleted.
pub fn repeated_keys_are_deleted(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let (entries, absent) = (stored(setup, &*backend, 4)?, setup.fresh_key());
    let [one, two, three, four] = [0, 1, 2, 3].map(|place| entries[place].0.as_str());
    backend.delete_multi(&[one, two, one, &absent, two, &absent])?;
    ensure_multi(&*backend, &[(one, None), (two, None), (three, Some(&entries[2].1))])?;
    backend.delete_multi(&[two, three, one])?;
    ensure_multi(&*backend, &[(one, None), (two, None), (three, None), (four, Some(&entries[3].1))])
}

/// Large values of single calls are read by multi calls, and the reverse.
///
/// A proxy that compresses values, or a store that splits them, must do so in each form of a call.
pub fn large_values_pass_between_single_and_multi_calls(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let mut entries = fresh_large(setup, &*backend, 3);
    entries.iter().try_for_each(|(key, value)| backend.set(key, value.clone(), &StoreOptions::new()))?;
    ensure_all(&*backend, &entries)?;
    // Each key gets a large value that it did not have before.
    let first = entries[0].1.clone();
    for place in 0..entries.len() {
        entries[place].1 = entries.get(place + 1).map_or_else(|| first.clone(), |(_, next)| next.clone());
    }
    backend.set_multi(as_entries(&entries))?;
    entries.iter().try_for_each(|(key, value)| ensure_stored(&*backend, key, value))?;
    ensure_all(&*backend, &entries)
}

/// Returns `count` new keys with large values that are easy to compress and are not yet stored.
///
/// They have 64 KiB or more, or as many bytes as the backend stores.
pub(crate) fn fresh_large(
    setup: &Setup,
    backend: &dyn CacheBackend,
    count: u8,
) -> Vec<(String, CachedValue)> {
    let limit = backend.capabilities().max_value_bytes.unwrap_or(u64::MAX).saturating_sub(ENVELOPE_BYTES);
    let value = |number: u8| {
        let size = (64_u64 << 10) + 1000 * u64::from(number);
        setup.value(backend, &vec![b'a' + number; size.min(limit) as usize])
    };
    setup.fresh_keys(count.into()).into_iter().zip((0..count).map(value)).collect()
}

/// Returns `count` new keys with values that are not yet stored.
pub(crate) fn fresh(setup: &Setup, backend: &dyn CacheBackend, count: usize) -> Vec<(String, CachedValue)> {
    let keys = setup.fresh_keys(count).into_iter();
    keys.map(|key| {
        let value = setup.value(backend, format!("value of {key}").as_bytes());
        (key, value)
    })
    .collect()
}

/// Returns the entries for `set_multi`.
pub(crate) fn as_entries(values: &[(String, CachedValue)]) -> Vec<Entry> {
    values.iter().cloned().map(Entry::from).collect()
}

fn stored(
    setup: &Setup,
    backend: &dyn CacheBackend,
    count: usize,
) -> Result<Vec<(String, CachedValue)>, crate::Stop> {
    let entries = fresh(setup, backend, count);
    backend.set_multi(as_entries(&entries))?;
    Ok(entries)
}

/// Fails unless one read of all `entries` returns their values.
pub(crate) fn ensure_all(backend: &dyn CacheBackend, entries: &[(String, CachedValue)]) -> Outcome {
    let expected: Vec<_> = entries.iter().map(|(key, value)| (key.as_str(), Some(value))).collect();
    ensure_multi(backend, &expected)
}

pub(crate) fn ensure_multi(backend: &dyn CacheBackend, expected: &[(&str, Option<&CachedValue>)]) -> Outcome {
    let keys: Vec<&str> = expected.iter().map(|(key, _)| *key).collect();
    let found = backend.get_multi(&keys)?;
    ensure(found.len() == keys.len(), || {
        format!("expected get_multi of {} keys to return as many entries, got {}", keys.len(), found.len())
    })?;
    for (place, (found, (key, value))) in found.iter().zip(expected).enumerate() {
        let asked = format!("get_multi of {} keys, at index {place} for key {key:?},", keys.len());
        ensure_value(&asked, found.as_ref(), *value)?;
    }
    Ok(())
}
