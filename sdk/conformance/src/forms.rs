//! The single, lending, and multi forms of a call agree with each other.

use dogpile_sdk::{CachedValue, StoreOptions};

use crate::expect::{Outcome, ensure_absent, ensure_stored};
use crate::multi::{as_entries, ensure_multi};
use crate::setup::Setup;
use crate::store::{ensure_lent, non_ascii, similar};

/// Each form of a read finds what each form of a write stored or deleted.
///
/// A backend that remembers what one form read must forget it when another form writes.
pub fn each_form_of_a_read_sees_each_form_of_a_write(setup: &Setup) -> Outcome {
    let (backend, key, other) = (setup.backend()?, setup.fresh_key(), setup.fresh_key());
    let all_read = |expected: Option<&CachedValue>| {
        ensure_multi(&*backend, &[(&other, None), (&key, expected)])?;
        ensure_lent(&*backend, &key, expected)?;
        match expected {
            Some(value) => ensure_stored(&*backend, &key, value),
            None => ensure_absent(&*backend, &key),
        }
    };
    all_read(None)?;
    for number in 0..8 {
        let value = setup.value(&*backend, format!("value {number}").as_bytes());
        match number % 2 {
            0 => backend.set(&key, value.clone(), &StoreOptions::new())?,
            _ => backend.set_multi(as_entries(&[(key.clone(), value.clone())]))?,
        }
        all_read(Some(&value))?;
        match number % 4 {
            2 => backend.delete(&key)?,
            3 => backend.delete_multi(&[&key, &other])?,
            _ => continue,
        }
        all_read(None)?;
    }
    Ok(())
}

/// A payload without bytes is a value in every form of a call.
pub fn empty_payloads_pass_between_single_and_multi_calls(setup: &Setup) -> Outcome {
    let (backend, one, two) = (setup.backend()?, setup.fresh_key(), setup.fresh_key());
    let empty = setup.value(&*backend, b"");
    backend.set(&one, empty.clone(), &StoreOptions::new())?;
    backend.set_multi(as_entries(&[(two.clone(), empty.clone())]))?;
    ensure_multi(&*backend, &[(&one, Some(&empty)), (&two, Some(&empty))])?;
    ensure_stored(&*backend, &two, &empty)?;
    ensure_lent(&*backend, &two, Some(&empty))
}

/// Keys that differ in case, at an end, or in an accent are different keys.
pub fn similar_keys_are_distinct_in_multi_calls(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let (capabilities, mut keys) = (backend.capabilities(), similar(&key));
    keys.extend(non_ascii(&key));
    keys.retain(|key| capabilities.admits_key(key));
    let entries: Vec<_> = keys
        .into_iter()
        .map(|key| {
            let value = setup.value(&*backend, key.as_bytes());
            (key, value)
        })
        .collect();
    backend.set_multi(as_entries(&entries))?;
    let mut expected: Vec<_> = entries.iter().map(|(key, value)| (key.as_str(), Some(value))).collect();
    ensure_multi(&*backend, &expected)?;
    let deleted: Vec<&str> = expected.iter().step_by(2).map(|(key, _)| *key).collect();
    backend.delete_multi(&deleted)?;
    expected.iter_mut().step_by(2).for_each(|(_, value)| *value = None);
    ensure_multi(&*backend, &expected)
}
