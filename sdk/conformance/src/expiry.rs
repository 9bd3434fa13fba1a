//! Stores that drop values by themselves honor the lifetime of each value.

use std::thread;
use std::time::{Duration, Instant};

use dogpile_sdk::{CacheBackend, Entry, StoreOptions};

use crate::expect::{Outcome, ensure, ensure_stored, ensure_value};
use crate::multi::ensure_multi;
use crate::setup::Setup;
use crate::store::ensure_lent;

/// The lifetime of values that must expire. Some stores round it up to seconds.
const SHORT: Duration = Duration::from_millis(100);

/// The time within which a value with a [`SHORT`] lifetime must be gone.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The lifetime of values that must not expire during a case.
const LONG: Duration = Duration::from_secs(3600);

pub(crate) fn kept_for(lifetime: Duration) -> StoreOptions {
    StoreOptions::new().with_keep_for(lifetime)
}

/// Waits until the store has dropped the value of `key`.
pub(crate) fn ensure_expires(backend: &dyn CacheBackend, key: &str) -> Outcome {
    let begun = Instant::now();
    while backend.get(key)?.is_some() {
        ensure(begun.elapsed() < LONGEST_WAIT, || {
            format!(
                "expected a value stored for {SHORT:?} to be gone within {LONGEST_WAIT:?}, it is still there"
            )
        })?;
        thread::sleep(Duration::from_millis(10));
    }
    // An expired value is gone in each form of a read.
    ensure_multi(backend, &[(key, None)])?;
    ensure_lent(backend, key, None)
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

/// A value is not dropped before its lifetime has passed. A store that counts whole seconds rounds up.
pub fn value_is_kept_for_its_whole_lifetime(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    // A store may drop a value at any time, for example if its machine is busy, but not each time.
    (0..2).fold(kept_once(setup, &*backend), |kept, _| kept.or_else(|_| kept_once(setup, &*backend)))
}

/// Stores values for a few lifetimes, and fails if one is dropped earlier.
fn kept_once(setup: &Setup, backend: &dyn CacheBackend) -> Outcome {
    let keys = setup.fresh_keys(3);
    let value = setup.value(backend, b"x");
    let lifetimes = [400, 999, 1900].map(Duration::from_millis);
    let begun = Instant::now();
    let entries = keys.iter().zip(lifetimes);
    for (number, (key, lifetime)) in entries.clone().enumerate() {
        let entry = Entry::new(key, value.clone()).with_options(kept_for(lifetime));
        match number % 2 {
            0 => backend.set(key, value.clone(), &entry.options)?,
            _ => backend.set_multi(vec![entry])?,
        }
    }
    for (key, lifetime) in entries {
        loop {
            let found = backend.get(key)?;
            // The lifetime began later than that.
            let passed = begun.elapsed();
            if passed >= lifetime {
                break;
            }
            let asked = format!("get of key {key:?}, {passed:?} after it was stored for {lifetime:?},");
            ensure_value(&asked, found.as_ref(), Some(&value))?;
            thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}

/// Long lifetimes are kept. One that is longer than the store can express is as good as none.
///
/// memcached takes more than 30 days for a date. Some stores have no dates after January 2038.
pub fn longest_lifetime_is_accepted(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let value = setup.value(&*backend, b"x");
    let days =
        [30, 31, 400, 20 * 365, 100 * 365, 10_000 * 365].map(|days| Duration::from_secs(days * 86_400));
    let seconds = [u64::from(u32::MAX) + 1, i64::MAX as u64, u64::MAX].map(Duration::from_secs);
    for lifetime in days.into_iter().chain(seconds).chain([Duration::MAX]) {
        let key = setup.fresh_key();
        backend.set(&key, value.clone(), &kept_for(lifetime))?;
        let asked = format!("get of key {key:?}, which was stored for {lifetime:?},");
        ensure_value(&asked, backend.get(&key)?.as_ref(), Some(&value))?;
    }
    Ok(())
}
