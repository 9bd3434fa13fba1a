//! No call panics, whatever its arguments. A panic of a caller does not damage the backend.
//!
//! A panic of a plugin library reaches the host as an error of the kind `Panicked`, which fails a case too.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Instant;

use dogpile_sdk::{BackendError, CacheBackend, CachedValue, Entry, ErrorKind, Object, Payload, StoreOptions};

use crate::bad_input::{unusual, works_on};
use crate::expect::{Outcome, Stop, ensure, ensure_absent, ensure_stored, panic_text, shortened};
use crate::multi::{as_entries, ensure_all, fresh};
use crate::setup::Setup;
use crate::store::{non_ascii, similar};

/// Reading may fail, but it does not panic, and the backend keeps working.
pub fn reading_never_panics(setup: &Setup) -> Outcome {
    never_panics(setup, |backend, key, _| {
        contained("get", key, || backend.get(key))?;
        contained("get_multi", key, || backend.get_multi(&[key, "", key]))
    })
}

/// Storing may fail, but it does not panic, and the backend keeps working.
pub fn storing_never_panics(setup: &Setup) -> Outcome {
    never_panics(setup, |backend, key, value| {
        contained("set", key, || backend.set(key, value.clone(), &StoreOptions::new()))?;
        let entries = vec![Entry::new(key, value.clone()), Entry::new(key, value.clone())];
        contained("set_multi", key, || backend.set_multi(entries))
    })
}

/// Deleting may fail, but it does not panic, and the backend keeps working.
pub fn deleting_never_panics(setup: &Setup) -> Outcome {
    never_panics(setup, |backend, key, _| {
        contained("delete", key, || backend.delete(key))?;
        contained("delete_multi", key, || backend.delete_multi(&[key, key]))
    })
}

/// The calls of a mutex may fail, but do not panic. The backend keeps working.
pub fn mutex_calls_never_panic(setup: &Setup) -> Outcome {
    setup.mutex(&*setup.backend()?, &setup.fresh_key())?;
    never_panics(setup, |backend, key, _| {
        contained("get_mutex", key, || {
            let Some(mutex) = backend.get_mutex(key) else { return Ok(()) };
            let _ = (mutex.locked()?, mutex.is_lost());
            for _ in 0..2 {
                let acquired = mutex.try_acquire()?;
                if acquired {
                    mutex.release()?;
                }
                if mutex.acquire_until(Instant::now())? {
                    mutex.release()?;
                }
            }
            Ok(())
        })
    })
}

/// Mangling a key does not panic. It returns one mangled key for one key, and another one for another key.
pub fn key_mangler_never_panics(setup: &Setup) -> Outcome {
    let mangler = setup.backend()?.key_mangler();
    let mangler = mangler.ok_or_else(|| Stop::skipped("the backend has no key mangler"))?;
    let key = setup.fresh_key();
    let keys = [hostile(setup), similar(&key), non_ascii(&key)].concat();
    let mut keys_by_mangled = HashMap::new();
    for key in &keys {
        let mut mangled = Vec::new();
        contained("its key mangler", key, || {
            mangled.extend([mangler.mangle(key), mangler.mangle(key)]);
            Ok(())
        })?;
        ensure(mangled[0] == mangled[1], || {
            format!("expected one mangled key for one key, got {mangled:?}")
        })?;
        let same = mangled.pop().and_then(|mangled| keys_by_mangled.insert(mangled, key));
        ensure(same.is_none(), || {
            let same = same.map_or("", |same| same.as_str());
            format!("expected two mangled keys for {} and {}, got one", shortened(same), shortened(key))
        })?;
    }
    Ok(())
}

/// A panic of the visitor of `get_with` passes the backend, and does not damage it.
pub fn panic_of_a_visitor_passes_the_backend(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let value = setup.value(&*backend, b"x");
    backend.set(&key, value.clone(), &StoreOptions::new())?;
    let visit = || backend.get_with(&key, &mut |_| std::panic::resume_unwind(Box::new("visited")));
    let panicked = catch_unwind(AssertUnwindSafe(visit)).is_err_and(|panic| panic_text(&*panic) == "visited");
    ensure(panicked, || "expected a panic of the visitor of get_with to pass the backend".to_owned())?;
    ensure_stored(&*backend, &key, &value)?;
    works_on(setup, &*backend)
}

/// A value of the host that panics on drop does not damage the backend.
pub fn value_that_panics_on_drop_does_no_harm(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    if backend.capabilities().serializer.is_some() {
        return Err(Stop::skipped("the backend stores bytes and never drops a value of the host"));
    }
    let harmless = setup.value(&*backend, b"x");
    for _ in 0..3 {
        let bomb = CachedValue { payload: Payload::Object(Object::new(Bomb)), ..harmless.clone() };
        backend.set(&key, bomb.clone(), &StoreOptions::new())?;
        contained("set", &key, || backend.set(&key, harmless.clone(), &StoreOptions::new()))?;
        ensure_stored(&*backend, &key, &harmless)?;
        backend.set(&key, bomb, &StoreOptions::new())?;
        contained("delete", &key, || backend.delete(&key))?;
        ensure_absent(&*backend, &key)?;
    }
    works_on(setup, &*backend)
}

/// A panic of a thread between two calls leaves the backend usable. Other threads can release a mutex that the thread
/// held.
pub fn panicking_thread_leaves_backend_usable(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let mutex = setup.mutex(&*backend, &key).ok();
    let entries = fresh(setup, &*backend, 3);
    thread::scope(|scope| {
        let thread = scope.spawn(|| -> Outcome {
            backend.set_multi(as_entries(&entries))?;
            if let Some(mutex) = &mutex {
                mutex.try_acquire()?;
            }
            // `resume_unwind` prints no message on the standard error.
            std::panic::resume_unwind(Box::new("the creator panicked"))
        });
        thread.join().unwrap_or(Ok(()))
    })?;
    entries.iter().try_for_each(|(key, value)| ensure_stored(&*backend, key, value))?;
    if let Some(mutex) = mutex {
        ensure(mutex.locked()?, || {
            "expected the mutex of a thread that panicked to be still held".to_owned()
        })?;
        mutex.release()?;
        ensure(mutex.try_acquire()?, || "expected the mutex to be free after its release".to_owned())?;
        mutex.release()?;
    }
    works_on(setup, &*backend)
}

/// The backend can be built, used, and dropped inside an asynchronous runtime.
///
/// A blocking client that starts a runtime of its own for each call panics there.
pub fn calls_work_inside_an_async_runtime(setup: &Setup) -> Outcome {
    runtime()?.block_on(async { use_and_drop(setup) })
}

/// Starts a runtime that runs tasks on this thread.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Stop> {
    let started = tokio::runtime::Builder::new_current_thread().build();
    started.map_err(|error| Stop::failed(format!("expected a tokio runtime to start: {error}")))
}

/// Builds a backend, makes each kind of blocking call, and drops the backend.
fn use_and_drop(setup: &Setup) -> Outcome {
    let (backend, key) = (setup.backend()?, setup.fresh_key());
    let entries = fresh(setup, &*backend, 3);
    works_on(setup, &*backend)?;
    backend.set_multi(as_entries(&entries))?;
    ensure_all(&*backend, &entries)?;
    backend.delete_multi(&[&entries[0].0, &entries[1].0])?;
    backend.delete(&entries[2].0)?;
    if let Some(mutex) = backend.get_mutex(&key) {
        ensure(mutex.acquire_until(Instant::now() + setup.time_limit())?, || {
            "expected acquire_until() of a free mutex to return true, got false".to_owned()
        })?;
        ensure(mutex.locked()? && !mutex.try_acquire()?, || "expected the mutex to be held".to_owned())?;
        mutex.release()?;
    }
    backend.health()?;
    Ok(backend.close()?)
}

/// A value that panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        // A panic during a panic would end the process.
        if !thread::panicking() {
            std::panic::resume_unwind(Box::new("a value of the host panicked when it was dropped"));
        }
    }
}

/// Runs `call` with each hostile key on one backend, which must store values afterwards.
fn never_panics(setup: &Setup, call: impl Fn(&dyn CacheBackend, &str, &CachedValue) -> Outcome) -> Outcome {
    let backend = setup.backend()?;
    let value = setup.value(&*backend, b"x");
    for key in hostile(setup) {
        call(&*backend, &key, &value)?;
        works_on(setup, &*backend)?;
    }
    Ok(())
}

/// Returns keys that a careless backend mishandles.
pub(crate) fn hostile(setup: &Setup) -> Vec<String> {
    let key = setup.fresh_key();
    let mut keys = unusual(&key);
    keys.extend(["", " ", "\0", "/", "..", "\u{10ffff}", "\u{301}"].map(str::to_owned));
    // Keys around the sizes of buffers and of length fields. The last character has two bytes.
    keys.extend([127, 255, 256, 65_535, 65_536].map(|size| format!("{key}{}\u{e9}", "k".repeat(size))));
    keys
}

/// Fails if `run` panics, in this process's code or in a loaded library. Any other error is allowed.
fn contained<T>(call: &str, key: &str, run: impl FnOnce() -> Result<T, BackendError>) -> Outcome {
    let message = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Err(error)) if error.kind() == ErrorKind::Panicked => error.to_string(),
        Ok(_) => return Ok(()),
        Err(panic) => panic_text(&*panic).to_owned(),
    };
    Err(Stop::failed(format!("expected {call} of key {} not to panic, it did: {message}", shortened(key))))
}
