//! What a proxy passes on. The level is skipped for backends.
//!
//! The proxy is wrapped around a store that fails, and around one that notes its keys.

use std::sync::Arc;
use std::time::Instant;

use dogpile_sdk::{BackendError, CacheBackend, CacheMutex, Completion, Entry, Running, StoreOptions};

use crate::begun::Begun;
use crate::expect::{Outcome, Stop, ensure, shortened};
use crate::reference::Watched;
use crate::setup::Setup;

/// A call fails if the store fails. A failure that looks like a miss, or like a success, hides an outage.
pub fn failures_of_the_store_are_passed_on(setup: &Setup) -> Outcome {
    let proxy = around_failures(setup)?;
    let (value, options) = (setup.value(&*proxy, b"x"), StoreOptions::new());
    // Each call has a key of its own, of which the proxy cannot know anything.
    let key = || setup.fresh_key();
    fails("get", &proxy.get(&key()))?;
    fails("get_with", &proxy.get_with(&key(), &mut |_| ()))?;
    fails("get_multi", &proxy.get_multi(&[&key(), &key()]))?;
    fails("set", &proxy.set(&key(), value.clone(), &options))?;
    fails("set_multi", &proxy.set_multi(vec![Entry::new(key(), value.clone()), Entry::new(key(), value)]))?;
    fails("delete", &proxy.delete(&key()))?;
    fails("delete_multi", &proxy.delete_multi(&[&key(), &key()]))?;
    fails("health", &proxy.health())?;
    fails("close", &proxy.close())
}

/// A mutex of the proxy fails if that of the store fails.
pub fn failures_of_mutexes_are_passed_on(setup: &Setup) -> Outcome {
    let proxy = around_failures(setup)?;
    let mutex = mutex_of(&*proxy, &setup.fresh_key())?;
    fails("try_acquire", &mutex.try_acquire())?;
    fails("acquire_until", &mutex.acquire_until(Instant::now()))?;
    fails("locked", &mutex.locked())
}

/// An asynchronous call fails if the store fails. The case is skipped if the proxy has no such calls.
pub fn failures_of_begun_calls_are_passed_on(setup: &Setup) -> Outcome {
    let proxy = around_failures(setup)?;
    let calls = proxy.operations();
    let calls = calls.ok_or_else(|| Stop::skipped("the proxy has no asynchronous calls"))?;
    let (value, options) = (setup.value(&*proxy, b"x"), StoreOptions::new());
    let key = || setup.fresh_key();
    let entries = vec![Entry::new(key(), value.clone())];
    begun_fails(setup, "begin_get", |done| calls.begin_get(&key(), done))?;
    begun_fails(setup, "begin_get_multi", |done| calls.begin_get_multi(&[&key()], done))?;
    begun_fails(setup, "begin_set", |done| calls.begin_set(&key(), value, &options, done))?;
    begun_fails(setup, "begin_set_multi", |done| calls.begin_set_multi(entries, done))?;
    begun_fails(setup, "begin_delete", |done| calls.begin_delete(&key(), done))?;
    begun_fails(setup, "begin_delete_multi", |done| calls.begin_delete_multi(&[&key()], done))
}

/// `store_key` returns the key under which the store keeps the value.
///
/// Otherwise creators of one key in two regions over the store do not exclude each other.
pub fn store_key_is_the_key_of_the_value(setup: &Setup) -> Outcome {
    let store = Arc::new(Watched::default());
    let (proxy, single, multi) = (setup.proxy_around(store.clone())?, setup.fresh_key(), setup.fresh_key());
    let value = setup.value(&*proxy, b"x");
    proxy.set(&single, value.clone(), &StoreOptions::new())?;
    proxy.set_multi(vec![Entry::new(&*multi, value)])?;
    let stored = store.keys_set();
    for key in [single, multi] {
        let found = proxy.store_key(&key);
        ensure(stored.iter().any(|stored| *stored == *found), || {
            let (key, found) = (shortened(&key), shortened(&found));
            format!(
                "expected store_key of key {key} to return a key that the store was given, {stored:?}, got {found}"
            )
        })?;
    }
    Ok(())
}

/// The mutex of a key is that of its store key.
pub fn mutex_is_that_of_the_store_key(setup: &Setup) -> Outcome {
    let store = Arc::new(Watched::default());
    let (proxy, key) = (setup.proxy_around(store.clone())?, setup.fresh_key());
    let mutex = mutex_of(&*proxy, &key)?;
    ensure(mutex.try_acquire()?, || {
        "expected try_acquire() of a free mutex to return true, got false".to_owned()
    })?;
    let (locked, expected) = (store.keys_of_mutexes(), proxy.store_key(&key));
    ensure(locked.iter().any(|locked| *locked == *expected), || {
        let (key, expected) = (shortened(&key), shortened(&expected));
        format!(
            "expected get_mutex of key {key} to request the mutex of its store key {expected}, got {locked:?}"
        )
    })?;
    Ok(mutex.release()?)
}

/// Returns the proxy around a store that fails. The case is skipped if the proxy handles failures itself.
fn around_failures(setup: &Setup) -> Result<Arc<dyn CacheBackend>, Stop> {
    if setup.handles_failures {
        return Err(Stop::skipped("the proxy handles failures of its store (`Setup::handling_failures`)"));
    }
    setup.proxy_around(Arc::new(Watched::failing()))
}

/// Returns the proxy's mutex for `key`. The store has mutexes.
fn mutex_of(proxy: &dyn CacheBackend, key: &str) -> Result<Arc<dyn CacheMutex>, Stop> {
    let mutex = proxy.get_mutex(key);
    mutex.ok_or_else(|| {
        Stop::failed("expected get_mutex of the proxy to return a mutex, as its store does, got none")
    })
}

fn begun_fails<T: Send + 'static>(
    setup: &Setup,
    call: &'static str,
    begin: impl FnOnce(Completion<T>) -> Running,
) -> Outcome {
    fails(call, &Begun::new(call, begin)?.outcome(setup)?)
}

/// Fails unless `outcome` is an error. A proxy may change its kind.
fn fails<T>(call: &str, outcome: &Result<T, BackendError>) -> Outcome {
    ensure(outcome.is_err(), || {
        format!("expected {call} of the proxy to fail as its store does, it succeeded")
    })
}
