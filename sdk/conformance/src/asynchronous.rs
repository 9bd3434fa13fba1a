//! The asynchronous calls of the backend. The level is skipped if the backend has none.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use dogpile_sdk::{
    BackendError, CacheBackend, CachedValue, Completion, Entry, ErrorKind, Operations, Pending, StoreOptions,
};

use crate::bad_input::{unusual, works_on};
use crate::begun::Begun;
use crate::containment::{hostile, runtime};
use crate::expect::{
    Outcome, Stop, described, ensure, ensure_absent, ensure_stored, ensure_value, shortened,
};
use crate::multi::{as_entries, ensure_all, fresh, fresh_large};
use crate::setup::Setup;
use crate::store::ENVELOPE_BYTES;

/// The number of calls that are in flight at once.
const MANY: usize = 100;

/// What a case needs: the backend, and its asynchronous calls.
pub(crate) struct Subject {
    pub(crate) backend: Arc<dyn CacheBackend>,
    pub(crate) calls: Arc<dyn Operations>,
}

impl Subject {
    pub(crate) fn new(setup: &Setup) -> Result<Self, Stop> {
        let backend = setup.backend()?;
        let calls = backend.operations();
        let calls = calls.ok_or_else(|| Stop::skipped("the backend has no asynchronous calls"))?;
        Ok(Subject { backend, calls })
    }

    /// Returns a payload of a mebibyte, or of as many bytes as the backend stores.
    fn large(&self) -> Vec<u8> {
        let limit = self.backend.capabilities().max_value_bytes.unwrap_or(u64::MAX);
        vec![b'x'; limit.saturating_sub(ENVELOPE_BYTES).min(1 << 20) as usize]
    }

    pub(crate) fn get(&self, key: &str) -> Result<Begun<Option<CachedValue>>, Stop> {
        Begun::new("begin_get", |done| self.calls.begin_get(key, done))
    }

    pub(crate) fn get_multi(&self, keys: &[&str]) -> Result<Begun<Vec<Option<CachedValue>>>, Stop> {
        Begun::new("begin_get_multi", |done| self.calls.begin_get_multi(keys, done))
    }

    pub(crate) fn set(&self, key: &str, value: &CachedValue) -> Result<Begun<()>, Stop> {
        let (value, options) = (value.clone(), StoreOptions::new());
        Begun::new("begin_set", |done| self.calls.begin_set(key, value, &options, done))
    }

    pub(crate) fn set_multi(&self, entries: Vec<Entry>) -> Result<Begun<()>, Stop> {
        Begun::new("begin_set_multi", |done| self.calls.begin_set_multi(entries, done))
    }

    pub(crate) fn delete(&self, key: &str) -> Result<Begun<()>, Stop> {
        Begun::new("begin_delete", |done| self.calls.begin_delete(key, done))
    }

    pub(crate) fn delete_multi(&self, keys: &[&str]) -> Result<Begun<()>, Stop> {
        Begun::new("begin_delete_multi", |done| self.calls.begin_delete_multi(keys, done))
    }

    pub(crate) fn ensure_begun_get(
        &self,
        setup: &Setup,
        key: &str,
        expected: Option<&CachedValue>,
    ) -> Outcome {
        let found = self.get(key)?.value(setup)?;
        ensure_value(&format!("begin_get of key {}", shortened(key)), found.as_ref(), expected)
    }
}

/// `begin_get` returns what `get` returns: a value with its metadata, or none.
pub fn begun_get_returns_what_get_returns(setup: &Setup) -> Outcome {
    let (subject, key) = (Subject::new(setup)?, setup.fresh_key());
    subject.ensure_begun_get(setup, &key, None)?;
    for bytes in [&b"first"[..], b"", &subject.large()] {
        let value = setup.value(&*subject.backend, bytes);
        subject.backend.set(&key, value.clone(), &StoreOptions::new())?;
        subject.ensure_begun_get(setup, &key, Some(&value))?;
    }
    subject.backend.delete(&key)?;
    subject.ensure_begun_get(setup, &key, None)
}

/// What `begin_set` stored is read by `get` as soon as the call has completed.
pub fn begun_set_is_read_by_get(setup: &Setup) -> Outcome {
    let (subject, key) = (Subject::new(setup)?, setup.fresh_key());
    for bytes in [&b"first"[..], b"", &subject.large()] {
        let value = setup.value(&*subject.backend, bytes);
        subject.set(&key, &value)?.value(setup)?;
        ensure_stored(&*subject.backend, &key, &value)?;
    }
    Ok(())
}

/// `begin_delete` deletes a value. Deleting a missing key succeeds.
pub fn begun_delete_removes_the_value(setup: &Setup) -> Outcome {
    let (subject, key) = (Subject::new(setup)?, setup.fresh_key());
    subject.backend.set(&key, setup.value(&*subject.backend, b"x"), &StoreOptions::new())?;
    for _ in 0..2 {
        subject.delete(&key)?.value(setup)?;
        ensure_absent(&*subject.backend, &key)?;
    }
    Ok(())
}

/// `begin_get_multi` returns one entry per key, in order.
pub fn begun_get_multi_returns_what_get_multi_returns(setup: &Setup) -> Outcome {
    let subject = Subject::new(setup)?;
    let mut entries = fresh(setup, &*subject.backend, 4);
    subject.backend.set_multi(as_entries(&entries))?;
    entries.reverse();
    let missing = setup.fresh_key();
    let [first, second, third, fourth] = [0, 1, 2, 3].map(|place| entries[place].0.as_str());
    for keys in [&[][..], &[first, &missing, second, first, fourth, third]] {
        let (found, expected) = (subject.get_multi(keys)?.value(setup)?, subject.backend.get_multi(keys)?);
        ensure(found.len() == expected.len(), || {
            format!(
                "expected begin_get_multi of {} keys to return as many entries, got {}",
                keys.len(),
                found.len()
            )
        })?;
        for (place, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let asked = format!("begin_get_multi, at index {place} for key {:?},", keys[place]);
            ensure_value(&asked, found.as_ref(), expected.as_ref())?;
        }
    }
    Ok(())
}

/// What `begin_set_multi` stored is read by `get_multi`. `begin_delete_multi` deletes it.
pub fn begun_set_multi_and_delete_multi_take_effect(setup: &Setup) -> Outcome {
    let subject = Subject::new(setup)?;
    let entries = fresh(setup, &*subject.backend, 5);
    subject.set_multi(Vec::new())?.value(setup)?;
    subject.set_multi(as_entries(&entries))?.value(setup)?;
    ensure_all(&*subject.backend, &entries)?;
    let missing = setup.fresh_key();
    let deleted: Vec<&str> =
        entries.iter().skip(1).map(|(key, _)| key.as_str()).chain([missing.as_str()]).collect();
    subject.delete_multi(&deleted)?.value(setup)?;
    deleted.iter().try_for_each(|key| ensure_absent(&*subject.backend, key))?;
    ensure_stored(&*subject.backend, &entries[0].0, &entries[0].1)?;
    subject.delete_multi(&[])?.value(setup)
}

/// If `begin_set_multi` stores one key twice, the last of its values remains. `begin_delete_multi` accepts a repeated key.
pub fn begun_multi_calls_accept_repeated_keys(setup: &Setup) -> Outcome {
    let subject = Subject::new(setup)?;
    let values = fresh(setup, &*subject.backend, 3);
    let [one, two] = [&values[0], &values[1]].map(|(_, value)| value.clone());
    let (key, other) = (&values[0].0, &values[2]);
    let repeated = [(key.clone(), one), other.clone(), (key.clone(), two.clone())];
    subject.set_multi(as_entries(&repeated))?.value(setup)?;
    ensure_all(&*subject.backend, &[(key.clone(), two), other.clone()])?;
    subject.delete_multi(&[key, &other.0, key])?.value(setup)?;
    [key, &other.0].into_iter().try_for_each(|key| ensure_absent(&*subject.backend, key))
}

/// Large values of single calls are read by multi calls, and the reverse. This holds for blocking and other calls.
pub fn begun_multi_calls_pass_large_values(setup: &Setup) -> Outcome {
    let subject = Subject::new(setup)?;
    let entries = fresh_large(setup, &*subject.backend, 3);
    subject.set_multi(as_entries(&entries))?.value(setup)?;
    ensure_all(&*subject.backend, &entries)?;
    let entries = fresh_large(setup, &*subject.backend, 3);
    subject.backend.set_multi(as_entries(&entries))?;
    entries.iter().try_for_each(|(key, value)| subject.ensure_begun_get(setup, key, Some(value)))?;
    let keys: Vec<&str> = entries.iter().map(|(key, _)| key.as_str()).collect();
    let found = subject.get_multi(&keys)?.value(setup)?;
    ensure(found.len() == keys.len(), || {
        format!(
            "expected begin_get_multi of {} keys to return as many entries, got {}",
            keys.len(),
            found.len()
        )
    })?;
    for ((key, value), found) in entries.iter().zip(&found) {
        ensure_value(&format!("begin_get_multi, for key {key:?},"), found.as_ref(), Some(value))?;
    }
    Ok(())
}

/// A key that `set` and `get` refuse is refused by `begin_set` and `begin_get`. The errors have the same kind.
pub fn begun_calls_fail_as_blocking_calls_do(setup: &Setup) -> Outcome {
    let subject = Subject::new(setup)?;
    let value = setup.value(&*subject.backend, b"x");
    let kind = |outcome: Result<(), BackendError>| outcome.err().map(|error| error.kind());
    for key in unusual(&setup.fresh_key()) {
        let set = kind(subject.backend.set(&key, value.clone(), &StoreOptions::new()));
        let begun = kind(subject.set(&key, &value)?.outcome(setup)?);
        same_kind("set", &key, set, begun)?;
        let got = kind(subject.backend.get(&key).map(drop));
        let begun = kind(subject.get(&key)?.outcome(setup)?.map(drop));
        same_kind("get", &key, got, begun)?;
    }
    Ok(())
}

fn same_kind(call: &str, key: &str, blocking: Option<ErrorKind>, begun: Option<ErrorKind>) -> Outcome {
    ensure(blocking == begun, || {
        let key = shortened(key);
        format!(
            "expected begin_{call}() of key {key} to end as {call}() did, with {blocking:?}, got {begun:?}"
        )
    })
}

/// Each of the six calls completes once. If it completes before `begin_*` returns, nothing else follows, such as a panic.
pub fn each_call_completes_once(setup: &Setup) -> Outcome {
    let (subject, key) = (Subject::new(setup)?, setup.fresh_key());
    let value = setup.value(&*subject.backend, b"x");
    for _ in 0..3 {
        subject.set(&key, &value)?.value(setup)?;
        subject.get(&key)?.value(setup)?;
        subject.get_multi(&[&key, &key])?.value(setup)?;
        subject.delete(&key)?.value(setup)?;
        subject.set_multi(vec![Entry::new(&*key, value.clone())])?.value(setup)?;
        subject.delete_multi(&[&key])?.value(setup)?;
    }
    Ok(())
}

/// A completion may begin the next call. The backend holds none of its locks while it completes a call.
pub fn completion_may_begin_the_next_call(setup: &Setup) -> Outcome {
    let (subject, key) = (Subject::new(setup)?, setup.fresh_key());
    let value = setup.value(&*subject.backend, b"x");
    let (sender, ended) = mpsc::channel();
    chain(&subject.calls, &key, &value, 10, &sender);
    drop(sender);
    let limit = setup.time_limit() / 4;
    let last = ended.recv_timeout(limit).map_err(|_| {
        let expected = "expected a completion to be able to begin the next call";
        Stop::failed(format!("{expected}; the last of 10 has not completed within {limit:?}"))
    })?;
    last?;
    ensure_stored(&*subject.backend, &key, &value)
}

/// Begins `left` calls, each in the completion of the one before. Sends the last outcome, or the first error.
fn chain(
    calls: &Arc<dyn Operations>,
    key: &str,
    value: &CachedValue,
    left: u8,
    ended: &mpsc::Sender<Result<(), BackendError>>,
) {
    let (next, ended) = (Arc::clone(calls), ended.clone());
    let (next_key, next_value) = (key.to_owned(), value.clone());
    let completion = Completion::new(move |outcome: Result<(), BackendError>| match outcome {
        Ok(()) if left > 1 => chain(&next, &next_key, &next_value, left - 1, &ended),
        // The receiver is gone if the case has failed.
        outcome => drop(ended.send(outcome)),
    });
    drop(calls.begin_set(key, value.clone(), &StoreOptions::new(), completion));
}

/// With many calls in flight, each gets its own outcome.
pub fn hundred_calls_in_flight_get_their_own_outcomes(setup: &Setup) -> Outcome {
    let subject = Subject::new(setup)?;
    let entries = fresh(setup, &*subject.backend, MANY);
    let sets = begin_each(&entries, |key, value| subject.set(key, value))?;
    sets.iter().try_for_each(|set| set.value(setup))?;
    let reads = begin_each(&entries, |key, _| subject.get(key))?;
    for (read, (key, value)) in reads.iter().zip(&entries) {
        let asked = format!("one of {MANY} calls begin_get, of key {key:?},");
        ensure_value(&asked, read.value(setup)?.as_ref(), Some(value))?;
    }
    let deletes = begin_each(&entries, |key, _| subject.delete(key))?;
    deletes.iter().try_for_each(|delete| delete.value(setup))?;
    entries.iter().try_for_each(|(key, _)| ensure_absent(&*subject.backend, key))
}

/// Begins a call for each entry, before it waits for any of them.
fn begin_each<T>(
    entries: &[(String, CachedValue)],
    begin: impl Fn(&str, &CachedValue) -> Result<Begun<T>, Stop>,
) -> Result<Vec<Begun<T>>, Stop> {
    entries.iter().map(|(key, value)| begin(key, value)).collect()
}

/// The times in microseconds after which calls are canceled. Some have not begun by then, and others wait for the store.
const BEFORE_CANCELING: [u64; 7] = [0, 20, 50, 100, 200, 1000, 3000];

/// A canceled call completes, with any outcome. The backend works afterwards.
pub fn canceled_calls_leave_the_backend_usable(setup: &Setup) -> Outcome {
    let subject = Subject::new(setup)?;
    let value = setup.value(&*subject.backend, b"x");
    for (round, pause) in BEFORE_CANCELING.into_iter().map(Duration::from_micros).enumerate() {
        let key = setup.fresh_key();
        canceled(setup, pause, subject.set(&key, &value)?)?;
        canceled(setup, pause, subject.get(&key)?)?;
        canceled(setup, pause, subject.get_multi(&[&key])?)?;
        canceled(setup, pause, subject.set_multi(vec![Entry::new(&*key, value.clone())])?)?;
        canceled(setup, pause, subject.delete(&key)?)?;
        canceled(setup, pause, subject.delete_multi(&[&key])?)?;
        works_on(setup, &*subject.backend)?;
        let value = setup.value(&*subject.backend, format!("round {round}").as_bytes());
        subject.set(&key, &value)?.value(setup)?;
        subject.ensure_begun_get(setup, &key, Some(&value))?;
    }
    Ok(())
}

fn canceled<T: Send + 'static>(setup: &Setup, pause: Duration, mut call: Begun<T>) -> Outcome {
    thread::sleep(pause);
    call.cancel();
    // Whether it was canceled in time is the backend's affair.
    call.outcome(setup).map(drop)
}

/// Canceling some of the calls in flight does not affect the others.
pub fn canceling_one_call_leaves_others_alone(setup: &Setup) -> Outcome {
    let subject = Subject::new(setup)?;
    let entries = fresh(setup, &*subject.backend, 20);
    subject.backend.set_multi(as_entries(&entries))?;
    let mut reads = begin_each(&entries, |key, _| subject.get(key))?;
    reads.iter_mut().step_by(2).for_each(Begun::cancel);
    for (read, (key, value)) in reads.iter().zip(&entries).skip(1).step_by(2) {
        let asked = format!("begin_get of key {key:?}, while other calls were canceled,");
        ensure_value(&asked, read.value(setup)?.as_ref(), Some(value))?;
    }
    Ok(())
}

/// Canceling a call that has completed affects neither its effect nor later calls.
pub fn cancellation_after_the_outcome_changes_nothing(setup: &Setup) -> Outcome {
    let (subject, key) = (Subject::new(setup)?, setup.fresh_key());
    let value = setup.value(&*subject.backend, b"x");
    let mut set = subject.set(&key, &value)?;
    set.value(setup)?;
    let read = subject.get(&key)?;
    set.cancel();
    let found = read.value(setup)?;
    ensure(found.as_ref() == Some(&value), || {
        let found = described(found.as_ref());
        format!("expected a value that was set before its call was canceled, got {found}")
    })?;
    ensure_stored(&*subject.backend, &key, &value)
}

/// When the backend is dropped, the calls in flight end, with any outcome.
pub fn dropping_the_backend_ends_calls_in_flight(setup: &Setup) -> Outcome {
    let subject = Subject::new(setup)?;
    let entries = fresh(setup, &*subject.backend, MANY / 2);
    let sets =
        entries.iter().map(|(key, value)| subject.set(key, value)).collect::<Result<Vec<_>, Stop>>()?;
    let gets = entries.iter().map(|(key, _)| subject.get(key)).collect::<Result<Vec<_>, Stop>>()?;
    drop(subject);
    sets.iter().try_for_each(|call| call.outcome(setup).map(drop))?;
    gets.iter().try_for_each(|call| call.outcome(setup).map(drop))
}

/// Calls can be begun by a task, on a backend that was built by one. The task can drop the backend.
///
/// A backend that waits for a runtime of its own, instead of returning at once, panics there.
pub fn begun_calls_work_inside_an_async_runtime(setup: &Setup) -> Outcome {
    let runtime = runtime()?;
    runtime.block_on(async {
        let (subject, key) = (Subject::new(setup)?, setup.fresh_key());
        let (calls, options) = (&subject.calls, StoreOptions::new());
        let value = setup.value(&*subject.backend, b"x");
        Pending::begin(|done| calls.begin_set(&key, value.clone(), &options, done)).await?;
        let found = Pending::begin(|done| calls.begin_get(&key, done)).await?;
        ensure_value("begin_get by a task", found.as_ref(), Some(&value))?;
        Pending::begin(|done| calls.begin_set_multi(vec![Entry::new(&*key, value.clone())], done)).await?;
        let found = Pending::begin(|done| calls.begin_get_multi(&[&key], done)).await?;
        ensure_value("begin_get_multi by a task", found.first().and_then(Option::as_ref), Some(&value))?;
        Pending::begin(|done| calls.begin_delete_multi(&[&key], done)).await?;
        Ok(Pending::begin(|done| calls.begin_delete(&key, done)).await?)
    })
}

/// No call panics, whatever its arguments. The backend works afterwards.
pub fn begun_calls_never_panic(setup: &Setup) -> Outcome {
    let subject = Subject::new(setup)?;
    let value = setup.value(&*subject.backend, b"x");
    for key in hostile(setup) {
        let key = key.as_str();
        contained(setup, key, &subject.set(key, &value)?)?;
        contained(setup, key, &subject.get(key)?)?;
        contained(setup, key, &subject.get_multi(&[key, "", key])?)?;
        contained(setup, key, &subject.set_multi(vec![Entry::new(key, value.clone())])?)?;
        contained(setup, key, &subject.delete(key)?)?;
        contained(setup, key, &subject.delete_multi(&[key, key])?)?;
    }
    works_on(setup, &*subject.backend)
}

fn contained<T: Send + 'static>(setup: &Setup, key: &str, call: &Begun<T>) -> Outcome {
    match call.outcome(setup)? {
        Err(error) if error.kind() == ErrorKind::Panicked => {
            let key = shortened(key);
            Err(Stop::failed(format!("expected a call of key {key} not to panic, it did: {error}")))
        }
        _ => Ok(()),
    }
}
