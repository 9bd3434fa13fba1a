//! Stores that drop values by themselves honor the lifetime of each value.

use std::thread;
use std::time::{Duration, Instant};

use dogpile_sdk::{CacheBackend, Entry, StoreOptions};

use crate::expect::{Outcome, ensure, ensure_stored};
use crate::setup::Setup;

/// The lifetime of values that must expire. Some stores round it up to seconds.
const SHORT: Duration = Duration::from_millis(100);

/// The time within which a value with a [`SHORT`] lifetime must be gone.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The lifetime of values that must not expire during a case.
const LONG: Duration = Duration::from_secs(3600);

fn kept_for(lifetime: Duration) -> StoreOptions {
    StoreOptions::new().with_keep_for(lifetime)
}

/// Waits until the store has dropped the value of `key`.
fn ensure_expires(backend: &dyn CacheBackend, key: &str) -> Outcome {
    let begun = Instant::now();
    while backend.get(key)?.is_some() {
        ensure(begun.elapsed() < LONGEST_WAIT, || {
            format!(
                "expected a value stored for {SHORT:?} to be gone within {LONGEST_WAIT:?}, it is still there"
            )
        })?;
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// The store drops a value after its lifetime.
pub fn value_expires_after_its_lifetime(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    backend.set(&key, setup.value(&*backend, b"x"), &kept_for(SHORT))?;
    ensure_expires(&*backend, &key)
}

/// The lifetime of one value does not affect the others of the same call.
pub fn values_stored_together_expire_separately(setup: &Setup) -> Outcome {
    let (backend, keys) = (setup.backend()?, setup.fresh_keys(3));
    let value = setup.value(&*backend, b"x");
    let lifetimes = [kept_for(SHORT), kept_for(LONG), StoreOptions::new()];
    let entry =
        |(key, options): (&String, StoreOptions)| Entry::new(key, value.clone()).with_options(options);
    backend.set_multi(keys.iter().zip(lifetimes).map(entry).collect())?;
    ensure_expires(&*backend, &keys[0])?;
    keys[1..].iter().try_for_each(|key| ensure_stored(&*backend, key, &value))
}

/// A value that is stored again has the new lifetime only.
pub fn setting_again_replaces_the_lifetime(setup: &Setup) -> Outcome {
    let (backend, keys) = (setup.backend()?, setup.fresh_keys(3));
    let value = setup.value(&*backend, b"x");
    for key in &keys {
        backend.set(key, value.clone(), &kept_for(SHORT))?;
    }
    backend.set(&keys[0], value.clone(), &kept_for(LONG))?;
    backend.set(&keys[1], value.clone(), &StoreOptions::new())?;
    ensure_expires(&*backend, &keys[2])?;
    keys[..2].iter().try_for_each(|key| ensure_stored(&*backend, key, &value))
}

/// Any lifetime is accepted, however short or long.
pub fn extreme_lifetimes_are_accepted(setup: &Setup) -> Outcome {
    let (backend, keys) = (setup.backend()?, setup.fresh_keys(2));
    let value = setup.value(&*backend, b"x");
    backend.set(&keys[0], value.clone(), &kept_for(Duration::MAX))?;
    ensure_stored(&*backend, &keys[0], &value)?;
    backend.set(&keys[1], value, &kept_for(Duration::from_nanos(1)))?;
    ensure_expires(&*backend, &keys[1])
}
