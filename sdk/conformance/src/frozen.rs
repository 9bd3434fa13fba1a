//! A store that does not reply, as a server does that is overloaded or stopped. The level is skipped if the setup
//! cannot freeze its store.

use std::thread;
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, Completion, ErrorKind, Running, StoreOptions};

use crate::bad_input::works_on;
use crate::begun::Begun;
use crate::expect::{Outcome, Stop, ensure, ensure_stored, joined};
use crate::multi::{as_entries, fresh};
use crate::mutex::{release, try_acquire};
use crate::setup::Setup;

/// A blocking call, whose result does not matter.
type Call<'c> = Box<dyn Fn() -> Result<(), BackendError> + Send + Sync + 'c>;

/// The number of times that each call is made while the store is frozen. The first one may use an open connection; the
/// second one needs a new one.
const ROUNDS: usize = 2;

/// The time by which a call may end after its deadline. It is long, because the machine may be busy.
const LATE: Duration = Duration::from_millis(700);

/// Each call for values ends within the bound, with any outcome.
pub fn calls_to_a_frozen_store_end_in_time(setup: &Setup) -> Outcome {
    let (freezer, backend) = (setup.freezer()?, setup.backend()?);
    let entries = fresh(setup, &*backend, 3);
    backend.set_multi(as_entries(&entries))?;
    let (key, value) = (entries[0].0.as_str(), &entries[0].1);
    let keys: Vec<&str> = entries.iter().map(|(key, _)| key.as_str()).collect();
    let calls: [(&str, Call<'_>); 7] = [
        ("get", Box::new(|| backend.get(&entries[2].0).map(drop))),
        ("set", Box::new(|| backend.set(key, value.clone(), &StoreOptions::new()))),
        ("delete", Box::new(|| backend.delete(&entries[1].0))),
        ("get_multi", Box::new(|| backend.get_multi(&keys).map(drop))),
        ("set_multi", Box::new(|| backend.set_multi(as_entries(&entries)))),
        ("delete_multi", Box::new(|| backend.delete_multi(&keys))),
        ("health", Box::new(|| backend.health())),
    ];
    freezer.freeze();
    all_within(freezer.bound, &calls)
}

/// A call ends within the bound, although other threads wait for the store too.
pub fn threads_on_a_frozen_store_do_not_wait_in_turn(setup: &Setup) -> Outcome {
    let (freezer, backend) = (setup.freezer()?, setup.backend()?);
    let entries = fresh(setup, &*backend, 8);
    backend.set_multi(as_entries(&entries))?;
    let calls: Vec<(&str, Call<'_>)> =
        entries.iter().map(|(key, _)| ("get", Box::new(|| backend.get(key).map(drop)) as Call<'_>)).collect();
    freezer.freeze();
    all_within(freezer.bound, &calls)
}

/// Each call of a mutex ends within the bound.
pub fn mutex_calls_to_a_frozen_store_end_in_time(setup: &Setup) -> Outcome {
    let (freezer, backend) = (setup.freezer()?, setup.backend()?);
    let mutex = || setup.mutex(&*backend, &setup.fresh_key());
    let (held, free, other) = (mutex()?, mutex()?, mutex()?);
    try_acquire(&*held, true, "of a free mutex")?;
    let bound = freezer.bound;
    let calls: [(&str, Call<'_>); 4] = [
        ("try_acquire", Box::new(|| free.try_acquire().map(drop))),
        ("acquire_until", Box::new(|| other.acquire_until(Instant::now() + bound / 2).map(drop))),
        ("locked", Box::new(|| held.locked().map(drop))),
        ("release", Box::new(|| held.release())),
    ];
    freezer.freeze();
    all_within(bound, &calls)
}

/// `acquire_until` ends shortly after its deadline, although one exchange with the store may take longer.
pub fn acquire_until_of_a_frozen_store_ends_by_its_deadline(setup: &Setup) -> Outcome {
    let (freezer, backend) = (setup.freezer()?, setup.backend()?);
    let (key, held) = (setup.fresh_key(), setup.fresh_key());
    let (free, held, waiting) =
        (setup.mutex(&*backend, &key)?, setup.mutex(&*backend, &held)?, setup.mutex(&*backend, &held)?);
    try_acquire(&*held, true, "of a free mutex")?;
    let wait = freezer.bound / 8;
    let calls: [(&str, Call<'_>); 2] = [
        ("acquire_until", Box::new(|| free.acquire_until(Instant::now() + wait).map(drop))),
        ("acquire_until", Box::new(|| waiting.acquire_until(Instant::now() + wait).map(drop))),
    ];
    freezer.freeze();
    all_within(wait + LATE, &calls)
}

/// `acquire` of a lease store ends by its deadline. Its other calls end within the bound.
pub fn lease_store_calls_to_a_frozen_store_end_in_time(setup: &Setup) -> Outcome {
    let (freezer, store, key) = (setup.freezer()?, setup.lease_store()?, setup.fresh_key());
    let lease = Duration::from_secs(600);
    let acquired = store.acquire(&key, "ours", lease, Instant::now() + setup.time_limit())?;
    ensure(acquired, || "expected acquire() of a free lock to return true, got false".to_owned())?;
    let (free, wait) = (setup.fresh_key(), freezer.bound / 8);
    let acquire = || store.acquire(&free, "ours", lease, Instant::now() + wait).map(drop);
    freezer.freeze();
    all_within(wait + LATE, &[("acquire", Box::new(acquire))])?;
    let calls: [(&str, Call<'_>); 3] = [
        ("renew", Box::new(|| store.renew(&key, "ours", lease).map(drop))),
        ("locked", Box::new(|| store.locked(&key).map(drop))),
        ("release", Box::new(|| store.release(&key, "ours").map(drop))),
    ];
    all_within(freezer.bound, &calls)
}

/// Each asynchronous call returns at once, and completes within the bound.
pub fn begun_calls_to_a_frozen_store_complete_in_time(setup: &Setup) -> Outcome {
    let (freezer, backend) = (setup.freezer()?, setup.backend()?);
    let calls = backend.operations();
    let calls = calls.ok_or_else(|| Stop::skipped("the backend has no asynchronous calls"))?;
    let entries = fresh(setup, &*backend, 3);
    backend.set_multi(as_entries(&entries))?;
    let (key, value) = (entries[0].0.as_str(), &entries[0].1);
    let keys: Vec<&str> = entries.iter().map(|(key, _)| key.as_str()).collect();
    freezer.freeze();
    for _ in 0..ROUNDS {
        let bound = freezer.bound;
        let begun = Instant::now();
        let get = began("begin_get", bound, |done| calls.begin_get(&entries[2].0, done))?;
        let get_multi = began("begin_get_multi", bound, |done| calls.begin_get_multi(&keys, done))?;
        let writes = [
            began("begin_set", bound, |done| {
                calls.begin_set(key, value.clone(), &StoreOptions::new(), done)
            })?,
            began("begin_set_multi", bound, |done| calls.begin_set_multi(as_entries(&entries), done))?,
            began("begin_delete", bound, |done| calls.begin_delete(&entries[1].0, done))?,
            began("begin_delete_multi", bound, |done| calls.begin_delete_multi(&keys, done))?,
        ];
        completed(&get, begun, bound)?;
        completed(&get_multi, begun, bound)?;
        writes.iter().try_for_each(|write| completed(write, begun, bound))?;
    }
    Ok(())
}

/// The first call after the store replies again succeeds. No key gets a late reply to a call for another key.
pub fn first_calls_after_a_thaw_succeed(setup: &Setup) -> Outcome {
    let (freezer, backend) = (setup.freezer()?, setup.backend()?);
    let mut entries = fresh(setup, &*backend, 6);
    backend.set_multi(as_entries(&entries))?;
    freezer.freeze();
    thread::scope(|scope| {
        let read = |key: &str| {
            // An error is expected. A value is one that the backend has without asking the store.
            let _ = backend.get(key);
        };
        entries.iter().for_each(|(key, _)| drop(scope.spawn(move || read(key))));
    });
    thaw(setup)?;
    entries.rotate_left(1);
    entries.iter().try_for_each(|(key, value)| ensure_stored(&*backend, key, value))?;
    works_on(setup, &*backend)
}

/// The first call of a mutex after the store replies again succeeds. A mutex that was not acquired stays free.
pub fn mutex_works_after_a_thaw(setup: &Setup) -> Outcome {
    let (freezer, backend) = (setup.freezer()?, setup.backend()?);
    let (key, wanted) = (setup.fresh_key(), setup.fresh_key());
    let (free, tried) = (setup.mutex(&*backend, &key)?, setup.mutex(&*backend, &wanted)?);
    freezer.freeze();
    let acquired = tried.try_acquire();
    thaw(setup)?;
    try_acquire(&*free, true, "of a free mutex, after the store replies again")?;
    release(&*free)?;
    if acquired.is_ok_and(|acquired| acquired) {
        return release(&*tried);
    }
    // The store may have granted the attempt later. The backend then releases it, in the background.
    let deadline = Instant::now() + setup.time_limit() / 4;
    let acquired = setup.mutex(&*backend, &wanted)?.acquire_until(deadline)?;
    ensure(acquired, || {
        "expected a mutex whose acquisition failed to be free after the store replies again, it is held"
            .to_owned()
    })
}

/// Makes the store reply again, and waits until the backend uses it again.
fn thaw(setup: &Setup) -> Outcome {
    setup.freezer()?.thaw();
    thread::sleep(setup.recovery());
    Ok(())
}

/// Makes all calls on threads of their own, twice in turn. Fails if one takes longer than `bound`, or panics.
fn all_within(bound: Duration, calls: &[(&str, Call<'_>)]) -> Outcome {
    thread::scope(|scope| {
        let make = |(name, call): &(&str, Call<'_>)| (0..ROUNDS).try_for_each(|_| within(bound, name, call));
        let threads: Vec<_> = calls.iter().map(|call| scope.spawn(move || make(call))).collect();
        threads.into_iter().map(|thread| joined(thread.join())).fold(Ok(()), Result::and)
    })
}

fn within(bound: Duration, name: &str, call: &Call<'_>) -> Outcome {
    let begun = Instant::now();
    let outcome = call();
    let took = begun.elapsed();
    contained(name, outcome)?;
    ensure(took <= bound, || {
        format!("expected {name}() of a frozen store to end within {bound:?}, it took {took:?}")
    })
}

fn contained<T>(name: &str, outcome: Result<T, BackendError>) -> Outcome {
    match outcome {
        Err(error) if error.kind() == ErrorKind::Panicked => {
            Err(Stop::failed(format!("expected {name}() of a frozen store not to panic, it did: {error}")))
        }
        _ => Ok(()),
    }
}

/// Begins a call, which returns long before the bound.
fn began<T: Send + 'static>(
    name: &'static str,
    bound: Duration,
    begin: impl FnOnce(Completion<T>) -> Running,
) -> Result<Begun<T>, Stop> {
    let begun = Instant::now();
    let call = Begun::new(name, begin)?;
    let took = begun.elapsed();
    ensure(took < bound / 2, || {
        format!("expected {name}() of a frozen store to return at once, it took {took:?}")
    })?;
    Ok(call)
}

/// Waits until `call` completes, until `bound` after the moment `begun`.
fn completed<T: Send + 'static>(call: &Begun<T>, begun: Instant, bound: Duration) -> Outcome {
    let name = call.name();
    match call.outcome_within(bound.saturating_sub(begun.elapsed())) {
        Some(outcome) => contained(name, outcome),
        None => Err(Stop::failed(format!(
            "expected {name}() of a frozen store to complete within {bound:?}, it has not"
        ))),
    }
}
