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

/// The store drops a value after its own lifetime, and no other value.
///
/// One case covers all ways to store a value, so that the suite waits only once.
pub fn each_value_expires_after_its_own_lifetime(setup: &Setup) -> Outcome {
    let (backend, keys) = (setup.backend()?, setup.fresh_keys(7));
    let value = setup.value(&*backend, b"x");
    let [short, shortest, together, longer, endless, prolonged, freed] = &keys[..] else { return Ok(()) };
    let set = |key: &str, options: &StoreOptions| backend.set(key, value.clone(), options);
    set(shortest, &kept_for(Duration::from_nanos(1)))?;
    for key in [short, prolonged, freed] {
        set(key, &kept_for(SHORT))?;
    }
    // Setting again replaces the lifetime.
    set(prolonged, &kept_for(LONG))?;
    set(freed, &StoreOptions::new())?;
    let some = [(together, kept_for(SHORT)), (longer, kept_for(LONG)), (endless, StoreOptions::new())];
    let entries = some.map(|(key, options)| Entry::new(key, value.clone()).with_options(options));
    backend.set_multi(entries.into())?;
    [short, shortest, together].into_iter().try_for_each(|key| ensure_expires(&*backend, key))?;
    [longer, endless, prolonged, freed].into_iter().try_for_each(|key| ensure_stored(&*backend, key, &value))
}

/// A lifetime that is longer than the store can express is as good as none.
pub fn longest_lifetime_is_accepted(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let value = setup.value(&*backend, b"x");
    backend.set(&key, value.clone(), &kept_for(Duration::MAX))?;
    ensure_stored(&*backend, &key, &value)
}
