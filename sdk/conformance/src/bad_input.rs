//! Unusual keys and values. A backend refuses each with the right kind of error, or stores it unchanged.

use std::sync::{Mutex, PoisonError};

use dogpile_sdk::{
    BackendError, CacheBackend, CachedValue, CreationTime, ErrorKind, Object, Payload, StoreOptions,
};

use crate::expect::{
    Outcome, Stop, described, ensure, ensure_absent, ensure_stored, ensure_value, shortened,
};
use crate::multi::{as_entries, fresh};
use crate::setup::Setup;
use crate::value::LONGEST_VALUE;

/// An empty key is refused, or works like any other key.
pub fn empty_key_is_refused_or_kept(setup: &Setup) -> Outcome {
    // Setups over one store share this key, and cases of several setups run at the same time.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one_at_a_time = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    each_is_refused_or_kept(setup, &[String::new()])
}

/// A key of 1 MiB is refused, or stored whole.
pub fn key_of_1_mib_is_refused_or_kept(setup: &Setup) -> Outcome {
    let key = format!("{}{}", setup.fresh_key(), "k".repeat(1 << 20));
    each_is_refused_or_kept(setup, std::slice::from_ref(&key))?;
    // Clean up, because the key is large. Deleting it may fail if it was refused.
    let _ = setup.backend()?.delete(&key);
    Ok(())
}

/// Commands, paths, and patterns of other systems are plain keys.
pub fn keys_with_special_meaning_elsewhere_are_plain_keys(setup: &Setup) -> Outcome {
    let key = setup.fresh_key();
    let marks = [
        "\r\nset x 0 0 1\r\n1",
        "\r\n*1\r\n$8\r\nFLUSHALL",
        "\n",
        "/../../x",
        "../",
        "\\..\\",
        "%s%n",
        "%00",
        "'; DROP TABLE x",
        "${HOME}",
        "*",
        "?",
        "[a-z]",
        "{a}",
        "{}",
        " ",
        "#",
        "\u{202e}",
        "\u{feff}",
        "\0",
    ];
    each_is_refused_or_kept(setup, &marks.map(|mark| format!("{key}{mark}")))
}

/// A key that the backend does not admit is refused or stored. It affects no other key.
pub fn unadmitted_key_is_refused_or_kept(setup: &Setup) -> Outcome {
    each_is_refused_or_kept(setup, &not_admitted(setup)?)
}

/// Reading or deleting a key that is not admitted is refused or finds nothing.
pub fn unadmitted_key_has_no_value(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    for key in not_admitted(setup)? {
        let asked = format!("get of key {}", shortened(&key));
        if let Some(found) = refused_as(ErrorKind::InvalidKey, &asked, backend.get(&key))? {
            ensure_value(&asked, found.as_ref(), None)?;
        }
        let asked = format!("delete of key {}", shortened(&key));
        refused_as(ErrorKind::InvalidKey, &asked, backend.delete(&key))?;
    }
    Ok(())
}

/// A request with one key that is not admitted fails or succeeds as a whole.
///
/// The other keys keep their old values or have their new ones.
pub fn unadmitted_key_does_not_affect_other_keys(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    for bad in not_admitted(setup)? {
        let good = fresh(setup, &*backend, 4);
        let mut entries = good.clone();
        entries.insert(2, (bad.clone(), setup.value(&*backend, b"bad")));
        let asked = "set_multi with a key that is not admitted";
        let stored = refused_as(ErrorKind::InvalidKey, asked, backend.set_multi(as_entries(&entries)))?;
        if stored.is_some() {
            // A success means that each of them was stored.
            entries.iter().try_for_each(|(key, value)| ensure_stored(&*backend, key, value))?;
        }
        for (key, value) in &good {
            let found = backend.get(key)?;
            ensure(found.as_ref().is_none_or(|found| found == value), || {
                format!(
                    "expected the value set together with a bad key or none, got {}",
                    described(found.as_ref())
                )
            })?;
            backend.set(key, value.clone(), &StoreOptions::new())?;
        }
        asked_among(&*backend, &good, &bad)?;
        deleted_among(&*backend, &good, &bad)?;
    }
    Ok(())
}

/// Reads `good` together with the key `bad`.
fn asked_among(backend: &dyn CacheBackend, good: &[(String, CachedValue)], bad: &str) -> Outcome {
    let mut keys: Vec<&str> = good.iter().map(|(key, _)| key.as_str()).collect();
    keys.insert(2, bad);
    let asked = "get_multi with a key that is not admitted";
    let Some(mut found) = refused_as(ErrorKind::InvalidKey, asked, backend.get_multi(&keys))? else {
        return Ok(());
    };
    ensure(found.len() == keys.len(), || {
        format!("expected {asked} to return {} entries, got {}", keys.len(), found.len())
    })?;
    found.remove(2);
    good.iter()
        .zip(&found)
        .try_for_each(|((_, value), found)| ensure_value(asked, found.as_ref(), Some(value)))
}

/// Deletes `good` together with the key `bad`. A success means that each of them was deleted.
fn deleted_among(backend: &dyn CacheBackend, good: &[(String, CachedValue)], bad: &str) -> Outcome {
    let mut keys: Vec<&str> = good.iter().map(|(key, _)| key.as_str()).collect();
    keys.insert(2, bad);
    let asked = "delete_multi with a key that is not admitted";
    if refused_as(ErrorKind::InvalidKey, asked, backend.delete_multi(&keys))?.is_some() {
        good.iter().try_for_each(|(key, _)| ensure_absent(backend, key))?;
    }
    Ok(())
}

/// If `set_multi` succeeds, it stored each value. One that the backend refuses does not silently end the call.
pub fn refused_value_does_not_hide_the_others(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    for refused in doubtful_values(setup, &*backend) {
        let good = fresh(setup, &*backend, 4);
        let mut entries = good.clone();
        entries.insert(2, (setup.fresh_key(), refused));
        let asked = "set_multi with a value that may be refused";
        let stored = refused_as(ErrorKind::InvalidValue, asked, backend.set_multi(as_entries(&entries)))?;
        if stored.is_some() {
            let asked = |key: &str| {
                format!("get of key {key:?}, which set_multi stored together with another value,")
            };
            good.iter().try_for_each(|(key, value)| {
                ensure_value(&asked(key), backend.get(key)?.as_ref(), Some(value))
            })?;
        }
    }
    works_on(setup, &*backend)
}

/// Returns values that some backends refuse: with an invalid creation time, larger than the limit, and of the wrong form.
fn doubtful_values(setup: &Setup, backend: &dyn CacheBackend) -> Vec<CachedValue> {
    let plain = setup.value(backend, b"x");
    let mut timeless = plain.clone();
    timeless.metadata.creation_time = CreationTime::from_seconds(f64::NAN);
    let mut values = vec![timeless];
    let limit = backend.capabilities().max_value_bytes.filter(|limit| *limit <= LONGEST_VALUE);
    values.extend(limit.map(|limit| setup.value(backend, &vec![b'x'; limit as usize + 1])));
    if backend.capabilities().serializer.is_some() {
        values.push(CachedValue { payload: Payload::Object(Object::new(1)), ..plain });
    }
    values
}

/// A value with an invalid creation time comes back unchanged, or is refused.
pub fn invalid_creation_time_is_refused_or_kept(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    for seconds in [-1.0, f64::MAX, f64::MIN_POSITIVE, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
        let mut value = setup.value(&*backend, b"x");
        value.metadata.creation_time = CreationTime::from_seconds(seconds);
        let asked = format!("set of a value made at {seconds:?}");
        if refused_as(ErrorKind::InvalidValue, &asked, backend.set(&key, value, &StoreOptions::new()))?
            .is_none()
        {
            continue;
        }
        let found = backend.get(&key)?.map(|found| found.metadata.creation_time.as_seconds());
        // A miss is fine too: the region creates the value again.
        ensure(found.is_none_or(|found| found.to_bits() == seconds.to_bits()), || {
            format!("expected the creation time {seconds:?} or no value, got {found:?}")
        })?;
    }
    works_on(setup, &*backend)
}

/// The mutex of a key that the backend does not admit is refused, or works.
pub fn mutex_of_unadmitted_key_is_refused_or_works(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    setup.mutex(&*backend, &setup.fresh_key())?;
    for key in not_admitted(setup)? {
        let Some(mutex) = backend.get_mutex(&key) else { continue };
        let asked = format!("try_acquire of the mutex of key {}", shortened(&key));
        if refused_as(ErrorKind::InvalidKey, &asked, mutex.try_acquire())? == Some(true) {
            mutex.release()?;
        }
    }
    Ok(())
}

/// Returns keys that the backend does not admit, according to its capabilities.
fn not_admitted(setup: &Setup) -> Result<Vec<String>, Stop> {
    let capabilities = setup.backend()?.capabilities();
    let key = setup.fresh_key();
    let mut keys = unusual(&key);
    // A key that does not fit into memory tests nothing.
    let longest = capabilities.max_key_bytes.filter(|limit| *limit < 16 << 20);
    keys.extend(longest.map(|limit| format!("{key}{}", "k".repeat((limit + 1).saturating_sub(key.len())))));
    keys.retain(|key| !capabilities.admits_key(key));
    if keys.is_empty() { Err(Stop::skipped("the backend admits any key")) } else { Ok(keys) }
}

/// Returns keys with characters that some stores do not accept.
pub(crate) fn unusual(key: &str) -> Vec<String> {
    let marks =
        [" ", "  ", "\t", "\n", "\r\n", "\0", "\u{7f}", "\u{85}", "\u{a0}", "\u{3000}", "\"", "'", ";", "`"];
    marks.map(|mark| format!("{key}{mark}x")).into()
}

fn each_is_refused_or_kept(setup: &Setup, keys: &[String]) -> Outcome {
    let backend = setup.backend()?;
    let (plain, value) = (setup.fresh_key(), setup.value(&*backend, b"x"));
    backend.set(&plain, value.clone(), &StoreOptions::new())?;
    for key in keys {
        refused_or_kept(&*backend, key, &value)?;
        ensure_stored(&*backend, &plain, &value)?;
    }
    Ok(())
}

fn refused_or_kept(backend: &dyn CacheBackend, key: &str, value: &CachedValue) -> Outcome {
    let asked = format!("set of key {}", shortened(key));
    match refused_as(ErrorKind::InvalidKey, &asked, backend.set(key, value.clone(), &StoreOptions::new()))? {
        Some(()) => ensure_stored(backend, key, value)?,
        None => return Ok(()),
    }
    // The key must have been stored whole: without its last character, it is another key.
    let Some((last, _)) = key.char_indices().next_back() else { return Ok(()) };
    let shorter = &key[..last];
    let asked = format!("get of key {}, of which only a longer one was set,", shortened(shorter));
    let found = refused_as(ErrorKind::InvalidKey, &asked, backend.get(shorter))?;
    ensure_value(&asked, found.flatten().as_ref(), None)
}

/// Returns the result, or `None` for an error of `kind`. Any other error fails the case.
fn refused_as<T>(kind: ErrorKind, asked: &str, result: Result<T, BackendError>) -> Result<Option<T>, Stop> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == kind => Ok(None),
        Err(error) => Err(Stop::failed(format!(
            "expected {asked} to succeed or to be refused as {kind:?}, got {:?}: {error}",
            error.kind()
        ))),
    }
}

/// Fails unless `backend` still stores values.
pub(crate) fn works_on(setup: &Setup, backend: &dyn CacheBackend) -> Outcome {
    let (key, value) = (setup.fresh_key(), setup.value(backend, b"works"));
    backend.set(&key, value.clone(), &StoreOptions::new())?;
    ensure_stored(backend, &key, &value)
}
