//! The capabilities that a backend reports are true.

use std::sync::Arc;

use dogpile_sdk::{ErrorKind, StoreOptions};

use crate::bad_input::unusual;
use crate::expect::{Outcome, Stop, described, ensure, ensure_stored, ensure_value};
use crate::setup::Setup;
use crate::store::{ENVELOPE_BYTES, keep_apart};
use crate::value::LONGEST_VALUE;

/// The longest key that is tried if there is no limit.
const LONGEST_KEY: usize = 4096;

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

/// A value as large as the limit is stored whole. The case is skipped if there is no limit below 16 MiB.
pub fn largest_admitted_value_is_kept(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let limit = backend.capabilities().max_value_bytes.filter(|limit| *limit <= LONGEST_VALUE);
    let limit = limit.ok_or_else(|| Stop::skipped("the backend accepts values of 16 MiB and more"))?;
    let size = limit.saturating_sub(ENVELOPE_BYTES) as usize;
    let value = setup.value(&*backend, &(0..size).map(|place| (place % 251) as u8).collect::<Vec<u8>>());
    backend.set(&key, value.clone(), &StoreOptions::new())?;
    let asked = format!("get of a value of {size} bytes, within the limit of {limit},");
    ensure_value(&asked, backend.get(&key)?.as_ref(), Some(&value))?;
    Ok(backend.delete(&key)?)
}

/// The capabilities never change. A region reads them once.
pub fn capabilities_never_change(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let first = backend.capabilities();
    backend.set(&key, setup.value(&*backend, b"x"), &StoreOptions::new())?;
    let again = backend.capabilities();
    ensure(first == again, || {
        format!("expected capabilities() to return the same each time, got {first:?}, and later {again:?}")
    })
}

/// Two backends with one scope find each other's values, and exclude each other's creators.
///
/// Regions over them wait for each other's creators, and hand over what these create.
pub fn backends_of_one_scope_share_their_store(setup: &Setup) -> Outcome {
    let (one, two, key) = (setup.backend()?, setup.backend()?, setup.fresh_key());
    let (scope, other) = (one.capabilities().scope, two.capabilities().scope);
    if scope.is_none() || scope != other || Arc::ptr_eq(&one, &two) {
        return Err(Stop::skipped("no two backends of the setup have one scope"));
    }
    let value = setup.value(&*one, b"x");
    one.set(&key, value.clone(), &StoreOptions::new())?;
    let asked = format!("get of a value that another backend of the scope {scope:?} set");
    ensure_value(&asked, two.get(&key)?.as_ref(), Some(&value))?;
    two.delete(&key)?;
    ensure_value(&asked, one.get(&key)?.as_ref(), None)?;
    two.set(&key, value.clone(), &StoreOptions::new())?;
    ensure_stored(&*one, &key, &value)?;
    let (Some(held), Some(wanted)) = (one.get_mutex(&key), two.get_mutex(&key)) else { return Ok(()) };
    let acquired = (held.try_acquire()?, wanted.try_acquire()?);
    ensure(acquired == (true, false), || {
        format!(
            "expected one of two backends of the scope {scope:?} to acquire the mutex of a key, got {acquired:?}"
        )
    })?;
    Ok(held.release()?)
}
