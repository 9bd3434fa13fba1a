//! Metadata: creation times and versions.

use dogpile_sdk::{Attributes, CachedValue, CreationTime, Metadata, StoreOptions};

use crate::expect::{Outcome, Stop, ensure, ensure_stored};
use crate::multi::{as_entries, ensure_all, fresh};
use crate::setup::Setup;

/// A creation time is not rounded, because invalidation compares it.
pub fn creation_time_keeps_every_bit(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let precise = 1_700_000_000.123_456_7_f64;
    for seconds in [precise, precise.next_up(), 0.1 + 0.2, 0.0, 1.0, 4e9, 1e-7, 253_402_300_799.999_97] {
        let metadata = Metadata::new(CreationTime::from_seconds(seconds));
        backend.set(&key, CachedValue { metadata, ..setup.value(&*backend, b"x") }, &StoreOptions::new())?;
        let found =
            backend.get(&key)?.ok_or_else(|| Stop::failed("expected the value just set, got none"))?;
        let found = found.metadata.creation_time.as_seconds();
        ensure(found.to_bits() == seconds.to_bits(), || {
            format!("expected the creation time {seconds:?}, got {found:?}")
        })?;
    }
    Ok(())
}

/// The region decides whether it serves a version. The backend returns any.
pub fn version_is_kept(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    for version in [1, 2, 3, 0, -1, i64::from(i32::MAX) + 1] {
        let mut value = setup.value(&*backend, b"x");
        value.metadata.version = version;
        backend.set(&key, value.clone(), &StoreOptions::new())?;
        ensure_stored(&*backend, &key, &value)?;
    }
    Ok(())
}

/// A second value replaces the metadata of the first.
pub fn setting_again_replaces_the_metadata(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let old = setup.value(&*backend, b"x");
    let metadata = Metadata::new(CreationTime::from_seconds(7.5)).with_version(3);
    let new = CachedValue { metadata, ..old.clone() };
    backend.set(&key, old, &StoreOptions::new())?;
    backend.set(&key, new.clone(), &StoreOptions::new())?;
    ensure_stored(&*backend, &key, &new)
}

/// Each value of a multi call has its own metadata.
pub fn multi_calls_keep_metadata(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let mut entries = fresh(setup, &*backend, 5);
    for (number, (_, value)) in (1_u8..).zip(&mut entries) {
        let creation_time = CreationTime::from_seconds(1e9 + f64::from(number) / 7.0);
        value.metadata = Metadata::new(creation_time).with_version(number.into());
    }
    backend.set_multi(as_entries(&entries))?;
    ensure_all(&*backend, &entries)?;
    entries.iter().try_for_each(|(key, value)| ensure_stored(&*backend, key, value))
}

/// Attributes are returned unchanged, and do not remain when a value without attributes replaces theirs.
pub fn attributes_are_kept(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let mut entries = fresh(setup, &*backend, 3);
    let plain = entries.clone();
    let members = [r#""d.a": 1.50"#, r#""d.text": "\u007c", "other": {"b": [null, true]}"#];
    for (members, (_, value)) in members.into_iter().zip(&mut entries) {
        value.metadata.attributes = Attributes::from_members(members);
    }
    backend.set_multi(as_entries(&entries))?;
    ensure_all(&*backend, &entries)?;
    for values in [&plain, &entries] {
        values.iter().try_for_each(|(key, value)| backend.set(key, value.clone(), &StoreOptions::new()))?;
        values.iter().try_for_each(|(key, value)| ensure_stored(&*backend, key, value))?;
    }
    Ok(())
}
