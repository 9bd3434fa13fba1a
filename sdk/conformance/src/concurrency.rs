//! Threads that share a backend.

use std::sync::Barrier;
use std::thread;

use dogpile_sdk::{CacheBackend, CachedValue, CreationTime, Entry, Metadata, StoreOptions};

use crate::expect::{Outcome, described, ensure, ensure_absent, ensure_stored, joined};
use crate::multi::{as_entries, ensure_all, fresh};
use crate::setup::Setup;

const THREADS: u8 = 4;

/// Other threads see the calls of one thread.
pub fn value_set_by_one_thread_is_read_by_others(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let value = setup.value(&*backend, b"x");
    let other = |run: &(dyn Fn() -> Outcome + Sync)| thread::scope(|scope| joined(scope.spawn(run).join()));
    other(&|| Ok(backend.set(&key, value.clone(), &StoreOptions::new())?))?;
    ensure_stored(&*backend, &key, &value)?;
    other(&|| ensure_stored(&*backend, &key, &value))?;
    other(&|| Ok(backend.delete(&key)?))?;
    ensure_absent(&*backend, &key)
}

/// While threads overwrite a value, each read returns a whole value with its own metadata.
pub fn value_is_never_torn(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let values: Vec<_> = (0..THREADS).map(|thread| of_thread(setup, &*backend, thread)).collect();
    backend.set(&key, values[0].clone(), &StoreOptions::new())?;
    together(|thread| {
        for _ in 0..50 {
            backend.set(&key, values[thread].clone(), &StoreOptions::new())?;
            let found = backend.get(&key)?;
            ensure(found.as_ref().is_some_and(|found| values.contains(found)), || {
                format!("expected one of the values being set, whole, got {}", described(found.as_ref()))
            })?;
        }
        Ok(())
    })
}

/// Returns a value that differs from those of other threads in each byte, in length, and in metadata.
fn of_thread(setup: &Setup, backend: &dyn CacheBackend, thread: u8) -> CachedValue {
    let payload = vec![b'a' + thread; 3000 + 1000 * usize::from(thread)];
    let metadata = Metadata::new(CreationTime::from_seconds(1e9 + f64::from(thread)));
    CachedValue { metadata, ..setup.value(backend, &payload) }
}

/// Threads that write different keys do not affect each other.
pub fn threads_on_their_own_keys_lose_nothing(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let entries: Vec<_> = (0..THREADS).map(|_| fresh(setup, &*backend, 50)).collect();
    together(|thread| {
        for (key, value) in &entries[thread] {
            backend.set(key, value.clone(), &StoreOptions::new())?;
            ensure_stored(&*backend, key, value)?;
        }
        Ok(())
    })?;
    ensure_all(&*backend, &entries.concat())
}

/// Threads that write different keys with `set_multi` do not affect each other.
pub fn threads_that_set_many_keys_together_lose_nothing(setup: &Setup) -> Outcome {
    let backend = setup.backend()?;
    let entries: Vec<_> = (0..THREADS).map(|_| fresh(setup, &*backend, 50)).collect();
    together(|thread| {
        for some in entries[thread].chunks(10) {
            backend.set_multi(as_entries(some))?;
            ensure_all(&*backend, some)?;
        }
        Ok(())
    })?;
    ensure_all(&*backend, &entries.concat())
}

/// `set_multi` calls with the same keys in different orders neither fail nor deadlock. Each key ends with one of its
/// values.
pub fn overlapping_set_multi_calls_leave_one_value_per_key(setup: &Setup) -> Outcome {
    let (backend, keys) = (setup.backend()?, setup.fresh_keys(40));
    let values: Vec<_> = (0..THREADS).map(|thread| of_thread(setup, &*backend, thread)).collect();
    together(|thread| {
        let order = order_of_thread(&keys, thread);
        for _ in 0..10 {
            let entries = order.iter().map(|key| Entry::new(*key, values[thread].clone()));
            backend.set_multi(entries.collect())?;
        }
        Ok(())
    })?;
    for key in &keys {
        let found = backend.get(key)?;
        ensure(found.as_ref().is_some_and(|found| values.contains(found)), || {
            format!(
                "expected one of the values that calls stored together, got {}",
                described(found.as_ref())
            )
        })?;
    }
    Ok(())
}

/// `delete_multi` and `get_multi` neither fail nor deadlock with a `set_multi`. All have the same keys, in different
/// orders.
pub fn overlapping_multi_calls_do_not_fail(setup: &Setup) -> Outcome {
    let (backend, keys) = (setup.backend()?, setup.fresh_keys(40));
    let values: Vec<_> = (0..THREADS).map(|thread| of_thread(setup, &*backend, thread)).collect();
    let entries = |keys: &[&str], thread: usize| -> Vec<Entry> {
        keys.iter().map(|key| Entry::new(*key, values[thread].clone())).collect()
    };
    together(|thread| {
        let mut order = order_of_thread(&keys, thread);
        for _ in 0..10 {
            match thread {
                0 => backend.set_multi(entries(&order, thread))?,
                1 => {
                    let found = backend.get_multi(&order)?;
                    ensure(found.iter().flatten().all(|found| values.contains(found)), || {
                        "expected get_multi to return values that another call stored, got others".to_owned()
                    })?;
                }
                _ => backend.delete_multi(&order)?,
            }
            order.rotate_left(7);
        }
        Ok(())
    })?;
    let order = order_of_thread(&keys, 0);
    backend.set_multi(entries(&order, 0))?;
    order.iter().try_for_each(|key| ensure_stored(&*backend, key, &values[0]))
}

/// Returns the keys in an order of this thread's own.
fn order_of_thread(keys: &[String], thread: usize) -> Vec<&str> {
    let mut order: Vec<&str> = keys.iter().map(String::as_str).collect();
    order.rotate_left(thread / 2 * keys.len() / 3);
    if thread % 2 == 1 {
        order.reverse();
    }
    order
}

/// Runs `run` on [`THREADS`] threads that start together. Returns the first failure.
fn together(run: impl Fn(usize) -> Outcome + Sync) -> Outcome {
    let start = Barrier::new(THREADS.into());
    thread::scope(|scope| {
        let (run, start) = (&run, &start);
        let threads: Vec<_> = (0..usize::from(THREADS))
            .map(|thread| {
                scope.spawn(move || {
                    start.wait();
                    run(thread)
                })
            })
            .collect();
        threads.into_iter().map(|thread| joined(thread.join())).fold(Ok(()), Result::and)
    })
}
