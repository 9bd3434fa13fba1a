//! [`Worker`]: one thread's calls of the region, each recorded.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use dogpile::{CacheRegion, CreateError, Created, RegionError};

use super::operations::{Call, Key, Outcome, Value};
use super::random::{Random, pause};
use super::recorder::{Recorder, Recording, moment};

/// Set in the values that creators made.
pub(crate) const CREATED: Value = 1;
/// Set in the values that are not cacheable.
pub(crate) const NOT_CACHEABLE: Value = 2;

/// A thread that calls the region.
pub(crate) struct Worker {
    pub(crate) region: Arc<CacheRegion>,
    /// The names of the keys of the round.
    pub(crate) names: Arc<[String]>,
    pub(crate) recorder: Arc<Recorder>,
    /// Its number.
    pub(crate) thread: usize,
}

/// The error of a creator.
#[derive(Debug)]
pub(crate) struct CreatorError;

impl fmt::Display for CreatorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("scripted creator error")
    }
}

pub(crate) type Reply = (Outcome, Vec<Option<Value>>);

/// Returns whether a creator made `value`.
pub(crate) fn is_created(value: Value) -> bool {
    value & CREATED != 0
}

pub(crate) fn is_cacheable(value: &Value) -> bool {
    value & NOT_CACHEABLE == 0
}

pub(crate) fn fresh_value(bits: Value) -> Value {
    moment() << 2 | bits
}

impl Worker {
    /// Performs and records one call. With several keys, it is the multi form.
    pub(crate) fn call(&self, call: Call, keys: &[Key], random: &mut Random) {
        let keys = if matches!(call, Call::Invalidate | Call::InvalidateSoft) { &[] } else { keys };
        let sets = if call == Call::Set { keys } else { &[] };
        let values: Vec<Value> = sets.iter().map(|_| fresh_value(0)).collect();
        let recording = self.recorder.begin(self.thread, call, keys, &values);
        let (outcome, found) = match call {
            Call::Get => self.get(keys),
            Call::Set => written(self.set(keys, &values)),
            Call::Delete => written(self.delete(keys)),
            Call::Invalidate => written(self.region.invalidate()),
            Call::InvalidateSoft => written(self.region.invalidate_soft()),
            Call::GetOrCreate => self.get_or_create(keys, &recording),
            Call::GetOrCreateWith => self.get_or_create_with(keys, &recording, random),
        };
        recording.end(outcome, found);
    }

    /// Removes the keys without recording that.
    pub(crate) fn forget(&self) {
        // This only saves memory, because the next round has other keys.
        let _ = self.region.delete_multi(&self.names);
    }

    fn names(&self, keys: &[Key]) -> Vec<&str> {
        keys.iter().map(|key| self.names[*key].as_str()).collect()
    }

    fn get(&self, keys: &[Key]) -> Reply {
        let found = match self.names(keys)[..] {
            [name] => self.region.get(name).map(|found| vec![found]),
            ref names => self.region.get_multi(names),
        };
        found.map_or_else(|error| (failed(&error), Vec::new()), |found| (Outcome::Succeeded, found))
    }

    fn set(&self, keys: &[Key], values: &[Value]) -> Result<(), RegionError> {
        match self.names(keys)[..] {
            [name] => self.region.set(name, values[0]),
            ref names => self.region.set_multi(names.iter().zip(values.iter().copied())),
        }
    }

    fn delete(&self, keys: &[Key]) -> Result<(), RegionError> {
        match self.names(keys)[..] {
            [name] => self.region.delete(name),
            ref names => self.region.delete_multi(names),
        }
    }

    fn get_or_create(&self, keys: &[Key], recording: &Recording<'_>) -> Reply {
        let made = match self.names(keys)[..] {
            [name] => self
                .region
                .get_or_create(name, || create(recording, keys, || CREATED)[0])
                .map(|value| vec![value]),
            ref names => {
                let create = |missing: &[&str]| create(recording, &self.keys(missing), || CREATED);
                self.region.get_or_create_multi(names, create)
            }
        };
        created::<Infallible>(made.map_err(Into::into))
    }

    fn get_or_create_with(&self, keys: &[Key], recording: &Recording<'_>, random: &mut Random) -> Reply {
        let call = self.region.options();
        created::<CreatorError>(match self.names(keys)[..] {
            [name] => {
                let create = |_| Ok(decide(try_create(recording, keys, random)?[0]));
                call.get_or_create_with(name, create).map(|value| vec![value])
            }
            ref names => call.get_or_create_multi_with(names, |missing, _| {
                Ok(try_create(recording, &self.keys(missing), random)?.into_iter().map(decide).collect())
            }),
        })
    }

    fn keys(&self, names: &[&str]) -> Vec<Key> {
        let key = |name: &&str| self.names.iter().position(|own| own == name);
        names.iter().map(|name| key(name).expect("the creator is called with keys of its call")).collect()
    }
}

/// Returns the decision on a created value.
pub(crate) fn decide(value: Value) -> Created<Value> {
    if is_cacheable(&value) { Created::new(value) } else { Created::uncached(value) }
}

/// Runs a creator, whose values have `bits`.
fn create(recording: &Recording<'_>, keys: &[Key], mut bits: impl FnMut() -> Value) -> Vec<Value> {
    recording.called(keys);
    pause(2);
    let values: Vec<Value> = keys.iter().map(|_| fresh_value(bits())).collect();
    let made: Vec<_> = values.iter().map(|value| (*value, is_cacheable(value))).collect();
    recording.returned(&made);
    values
}

/// Runs a creator that may fail, and some of whose values are not to be stored.
fn try_create(
    recording: &Recording<'_>,
    keys: &[Key],
    random: &mut Random,
) -> Result<Vec<Value>, CreatorError> {
    if random.below(3) > 0 {
        let bits = || if random.below(8) == 0 { CREATED | NOT_CACHEABLE } else { CREATED };
        return Ok(create(recording, keys, bits));
    }
    recording.called(keys);
    pause(2);
    recording.returned(&[]);
    Err(CreatorError)
}

pub(crate) fn written(result: Result<(), RegionError>) -> Reply {
    (result.map_or_else(|error| failed(&error), |()| Outcome::Succeeded), Vec::new())
}

pub(crate) fn created<E: fmt::Debug>(result: Result<Vec<Value>, CreateError<E>>) -> Reply {
    match result {
        Ok(values) => (Outcome::Succeeded, values.into_iter().map(Some).collect()),
        Err(CreateError::Creator(_)) => (Outcome::CreatorFailed, Vec::new()),
        Err(error) => (failed(&error), Vec::new()),
    }
}

pub(crate) fn failed(error: &dyn fmt::Debug) -> Outcome {
    Outcome::Failed(format!("{error:?}"))
}
