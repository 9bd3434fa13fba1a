//! Stores that check fences store a created value only while its mutex is held.

use std::sync::Arc;

use dogpile_sdk::{CacheBackend, CacheMutex, Entry, ErrorKind, StoreOptions};

use crate::expect::{Outcome, Stop, ensure, ensure_absent, ensure_stored};
use crate::setup::Setup;

/// Acquires a mutex for `key`.
pub(crate) fn acquired(
    setup: &Setup,
    backend: &dyn CacheBackend,
    key: &str,
) -> Result<Arc<dyn CacheMutex>, Stop> {
    let mutex = setup.mutex(backend, key)?;
    ensure(mutex.try_acquire()?, || format!("expected the new mutex of {key:?} to be acquired, it is held"))?;
    Ok(mutex)
}

/// Returns store options with the fence of `mutex`, which is held.
pub(crate) fn fenced(mutex: &dyn CacheMutex) -> Result<StoreOptions, Stop> {
    let fence =
        mutex.fence().ok_or_else(|| Stop::failed("expected a held mutex to have a fence, got none"))?;
    Ok(StoreOptions::new().with_fence(fence))
}

pub(crate) fn ensure_fenced(stored: Result<(), dogpile_sdk::BackendError>) -> Outcome {
    match stored {
        Err(error) if error.kind() == ErrorKind::Fenced => Ok(()),
        Err(error) => {
            Err(Stop::failed(format!("expected an error of kind Fenced, got {:?}: {error}", error.kind())))
        }
        Ok(()) => Err(Stop::failed("expected an error of kind Fenced, but the value was stored")),
    }
}

/// A value is stored while its mutex is held.
pub fn value_is_stored_while_its_mutex_is_held(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let mutex = acquired(setup, &*backend, &key)?;
    let value = setup.value(&*backend, b"x");
    backend.set(&key, value.clone(), &fenced(&*mutex)?)?;
    ensure_stored(&*backend, &key, &value)?;
    Ok(mutex.release()?)
}

/// A mutex that is not held has no fence and cannot guard a store.
pub fn mutex_that_is_not_held_has_no_fence(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let mutex = setup.mutex(&*backend, &key)?;
    let none = |when: &str| ensure(mutex.fence().is_none(), || format!("expected no fence {when}, got one"));
    none("before the mutex is acquired")?;
    ensure(mutex.try_acquire()?, || "expected the new mutex to be acquired, it is held".to_owned())?;
    mutex.release()?;
    none("after the mutex is released")
}

/// A value is not stored after its mutex was released.
pub fn value_is_not_stored_after_its_mutex_is_released(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let mutex = acquired(setup, &*backend, &key)?;
    let options = fenced(&*mutex)?;
    mutex.release()?;
    ensure_fenced(backend.set(&key, setup.value(&*backend, b"late"), &options))?;
    ensure_absent(&*backend, &key)
}

/// A value does not replace the one that the next holder of its mutex stored.
pub fn late_value_does_not_replace_the_next_holders(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let mutex = acquired(setup, &*backend, &key)?;
    let options = fenced(&*mutex)?;
    mutex.release()?;
    let next = acquired(setup, &*backend, &key)?;
    let value = setup.value(&*backend, b"of the next holder");
    backend.set(&key, value.clone(), &fenced(&*next)?)?;
    ensure_fenced(backend.set(&key, setup.value(&*backend, b"late"), &options))?;
    ensure_stored(&*backend, &key, &value)?;
    Ok(next.release()?)
}

/// Of several values, those are stored whose mutex is held, and those without a fence.
pub fn values_stored_together_are_fenced_separately(setup: &Setup) -> Outcome {
    let (backend, keys) = (setup.backend()?, setup.fresh_keys(4));
    let value = setup.value(&*backend, b"x");
    let (mut mutexes, mut entries) = (Vec::new(), vec![Entry::new(&keys[3], value.clone())]);
    for key in &keys[..3] {
        let mutex = acquired(setup, &*backend, key)?;
        entries.push(Entry::new(key, value.clone()).with_options(fenced(&*mutex)?));
        mutexes.push(mutex);
    }
    mutexes.remove(1).release()?;
    ensure_fenced(backend.set_multi(entries))?;
    ensure_absent(&*backend, &keys[1])?;
    [0, 2, 3].into_iter().try_for_each(|number| ensure_stored(&*backend, &keys[number], &value))?;
    mutexes.iter().try_for_each(|mutex| Ok(mutex.release()?))
}
