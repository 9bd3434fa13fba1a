//! The asynchronous calls pass on the options and the metadata of values.

use std::sync::Arc;
use std::time::Duration;

use dogpile_sdk::{
    Attributes, BackendError, CacheMutex, CachedValue, CreationTime, Entry, Metadata, StoreOptions,
};

use crate::asynchronous::Subject;
use crate::begun::Begun;
use crate::expect::{Outcome, Stop, ensure, ensure_absent, ensure_stored, ensure_value};
use crate::expiry::{ensure_expires, kept_for};
use crate::fencing::{acquired, ensure_fenced, fenced};
use crate::multi::ensure_all;
use crate::setup::Setup;

const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(3600);

/// Begins to store `value`, by itself or as one of many, and waits for the outcome.
fn begun_set(
    setup: &Setup,
    subject: &Subject,
    key: &str,
    value: &CachedValue,
    (options, is_multi): (&StoreOptions, bool),
) -> Result<Result<(), BackendError>, Stop> {
    let call = if is_multi {
        let entry = Entry::new(key, value.clone()).with_options(options.clone());
        subject.set_multi(vec![entry])?
    } else {
        Begun::new("begin_set", |done| subject.calls.begin_set(key, value.clone(), options, done))?
    };
    call.outcome(setup)
}

/// Values that `begin_set` and `begin_set_multi` stored expire after their lifetimes, and no others.
pub fn begun_sets_pass_on_lifetimes(setup: &Setup) -> Outcome {
    let subject = Subject::new(setup)?;
    if !subject.backend.capabilities().native_expiry {
        return Err(Stop::skipped("the backend does not claim native expiry"));
    }
    let value = setup.value(&*subject.backend, b"x");
    let mut stored = Vec::new();
    for is_multi in [false, true] {
        for (expires, options) in
            [(true, kept_for(SHORT)), (false, kept_for(LONG)), (false, StoreOptions::new())]
        {
            let key = setup.fresh_key();
            begun_set(setup, &subject, &key, &value, (&options, is_multi))??;
            stored.push((key, expires));
        }
    }
    let (short, long): (Vec<_>, Vec<_>) = stored.into_iter().partition(|(_, expires)| *expires);
    short.iter().try_for_each(|(key, _)| ensure_expires(&*subject.backend, key))?;
    long.iter().try_for_each(|(key, _)| ensure_stored(&*subject.backend, key, &value))
}

/// `begin_set` and `begin_set_multi` store a value only while the mutex of its fence is held.
pub fn begun_sets_pass_on_fences(setup: &Setup) -> Outcome {
    let subject = Subject::new(setup)?;
    if !subject.backend.capabilities().fencing {
        return Err(Stop::skipped("the backend does not claim fencing"));
    }
    for is_multi in [false, true] {
        let key = setup.fresh_key();
        let mutex = acquired(setup, &*subject.backend, &key)?;
        let options = fenced(&*mutex)?;
        let value = setup.value(&*subject.backend, b"of the holder");
        begun_set(setup, &subject, &key, &value, (&options, is_multi))??;
        ensure_stored(&*subject.backend, &key, &value)?;
        mutex.release()?;
        subject.backend.delete(&key)?;
        let late = setup.value(&*subject.backend, b"late");
        ensure_fenced(begun_set(setup, &subject, &key, &late, (&options, is_multi))?)?;
        ensure_absent(&*subject.backend, &key)?;
    }
    Ok(())
}

/// A mutex that `begin_try_acquire` acquired has a fence, until it is released.
pub fn begun_acquisition_has_a_fence(setup: &Setup) -> Outcome {
    let (subject, key) = (Subject::new(setup)?, setup.fresh_key());
    if !subject.backend.capabilities().fencing {
        return Err(Stop::skipped("the backend does not claim fencing"));
    }
    let mutex: Arc<dyn CacheMutex> = setup.mutex(&*subject.backend, &key)?;
    let calls = mutex.operations();
    let calls = calls.ok_or_else(|| Stop::skipped("the backend's mutex has no asynchronous calls"))?;
    let acquired = Begun::new("begin_try_acquire", |done| calls.begin_try_acquire(done))?.value(setup)?;
    ensure(acquired, || "expected begin_try_acquire() of a free mutex to complete with true".to_owned())?;
    let options = fenced(&*mutex)?;
    let value = setup.value(&*subject.backend, b"x");
    subject.backend.set(&key, value.clone(), &options)?;
    ensure_stored(&*subject.backend, &key, &value)?;
    Begun::new("begin_release", |done| calls.begin_release(done))?.value(setup)?;
    ensure_fenced(subject.backend.set(&key, setup.value(&*subject.backend, b"late"), &options))
}

/// Values pass the asynchronous calls with their creation time, their version, and their attributes.
pub fn begun_calls_keep_metadata(setup: &Setup) -> Outcome {
    let subject = Subject::new(setup)?;
    let mut value = setup.value(&*subject.backend, b"x");
    let creation_time = CreationTime::from_seconds(1_700_000_000.123_456_7);
    value.metadata = Metadata::new(creation_time).with_version(3);
    value.metadata.attributes = Attributes::from_members(r#""d.a": 1.50"#);
    let keys = setup.fresh_keys(2);
    for (key, is_multi) in keys.iter().zip([false, true]) {
        begun_set(setup, &subject, key, &value, (&StoreOptions::new(), is_multi))??;
        subject.ensure_begun_get(setup, key, Some(&value))?;
    }
    let found = subject.get_multi(&[&keys[1], &keys[0]])?.value(setup)?;
    for found in &found {
        ensure_value("begin_get_multi", found.as_ref(), Some(&value))?;
    }
    let entries: Vec<_> = keys.into_iter().map(|key| (key, value.clone())).collect();
    ensure_all(&*subject.backend, &entries)
}
