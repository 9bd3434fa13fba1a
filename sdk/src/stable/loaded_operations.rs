//! The other side's asynchronous calls as ours, and our completions as it calls them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use dogpile_abi::std_types::{ROption, RSlice, RStr};
use dogpile_abi::{
    AbiError, CachedValue, CompletionObject, MutexOperationsObject, OperationsObject, RunningObject,
    StableCompletion,
};

use super::crossing::{Crossing, stable_keys};
use super::deadline;
use super::error::from_abi;
use super::options::{lend_entries, to_stable};
use crate::completion::{Completion, Sink, abandoned};
use crate::error::BackendError;
use crate::operations::{MutexOperations, Operations};
use crate::options::{Entry, StoreOptions};
use crate::running::Running;

/// The asynchronous calls of a backend of another binary.
pub(super) struct LoadedOperations {
    object: OperationsObject,
    origin: Arc<str>,
}

impl LoadedOperations {
    pub(super) fn new(object: OperationsObject, origin: Arc<str>) -> Self {
        LoadedOperations { object, origin }
    }
}

impl Operations for LoadedOperations {
    fn begin_get(&self, key: &str, completion: Completion<Option<CachedValue>>) -> Running {
        begin("get", &self.origin, completion, |completion| {
            self.object.begin_get(RStr::from_str(key), completion)
        })
    }

    fn begin_get_multi(&self, keys: &[&str], completion: Completion<Vec<Option<CachedValue>>>) -> Running {
        let keys = stable_keys(keys);
        begin("get_multi", &self.origin, completion, |completion| {
            self.object.begin_get_multi(RSlice::from_slice(&keys), completion)
        })
    }

    fn begin_set(
        &self,
        key: &str,
        value: CachedValue,
        options: &StoreOptions,
        completion: Completion<()>,
    ) -> Running {
        begin("set", &self.origin, completion, |completion| {
            self.object.begin_set(RStr::from_str(key), value, to_stable(options), completion)
        })
    }

    fn begin_set_multi(&self, entries: Vec<Entry>, completion: Completion<()>) -> Running {
        begin("set_multi", &self.origin, completion, |completion| {
            lend_entries(entries, |entries| self.object.begin_set_multi(entries, completion))
        })
    }

    fn begin_delete(&self, key: &str, completion: Completion<()>) -> Running {
        begin("delete", &self.origin, completion, |completion| {
            self.object.begin_delete(RStr::from_str(key), completion)
        })
    }

    fn begin_delete_multi(&self, keys: &[&str], completion: Completion<()>) -> Running {
        let keys = stable_keys(keys);
        begin("delete_multi", &self.origin, completion, |completion| {
            self.object.begin_delete_multi(RSlice::from_slice(&keys), completion)
        })
    }
}

impl fmt::Debug for LoadedOperations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.object.describe() {
            Ok(text) => f.write_str(&text),
            Err(_) => write!(f, "asynchronous calls of {}", self.origin),
        }
    }
}

/// The asynchronous calls of a mutex of another binary.
pub(super) struct LoadedMutexOperations {
    object: MutexOperationsObject,
    origin: Arc<str>,
}

impl LoadedMutexOperations {
    pub(super) fn new(object: MutexOperationsObject, origin: Arc<str>) -> Self {
        LoadedMutexOperations { object, origin }
    }
}

impl MutexOperations for LoadedMutexOperations {
    fn begin_try_acquire(&self, completion: Completion<bool>) -> Running {
        begin("try_acquire", &self.origin, completion, |completion| self.object.begin_try_acquire(completion))
    }

    fn begin_acquire_until(&self, deadline: Instant, completion: Completion<bool>) -> Running {
        let remaining = deadline::nanoseconds_until(deadline);
        begin("acquire_until", &self.origin, completion, |completion| {
            self.object.begin_acquire_within(remaining, completion)
        })
    }

    fn begin_release(&self, completion: Completion<()>) -> Running {
        begin("release", &self.origin, completion, |completion| self.object.begin_release(completion))
    }
}

impl fmt::Debug for LoadedMutexOperations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.object.describe() {
            Ok(text) => f.write_str(&text),
            Err(_) => write!(f, "asynchronous calls of a mutex of {}", self.origin),
        }
    }
}

/// Begins a call on the other side. A panic of its `begin_*` is an outcome, as every other one.
fn begin<T: Crossing>(
    operation: &'static str,
    origin: &Arc<str>,
    completion: Completion<T>,
    begin: impl FnOnce(CompletionObject<T::Stable>) -> Result<ROption<RunningObject>, AbiError>,
) -> Running {
    let Some(sink) = completion.into_sink() else { return Running::done() };
    let exported = ExportedCompletion {
        sink: Arc::clone(&sink),
        origin: Arc::clone(origin),
        operation,
        completed: AtomicBool::new(false),
    };
    match begin(CompletionObject::new(exported)) {
        Ok(running) => {
            running.into_option().map_or_else(Running::done, |running| loaded_running(running, origin))
        }
        Err(error) => {
            sink.deliver(Err(failed(error, origin, operation)));
            Running::done()
        }
    }
}

/// Our completion, in the form that the other side calls.
struct ExportedCompletion<T> {
    sink: Arc<dyn Sink<T>>,
    origin: Arc<str>,
    operation: &'static str,
    completed: AtomicBool,
}

impl<T: Crossing> StableCompletion<T::Stable> for ExportedCompletion<T> {
    fn complete(&self, outcome: Result<T::Stable, AbiError>) {
        self.completed.store(true, Ordering::Relaxed);
        let outcome = outcome.map(T::from_stable);
        self.sink.deliver(outcome.map_err(|error| failed(error, &self.origin, self.operation)));
    }
}

impl<T> Drop for ExportedCompletion<T> {
    fn drop(&mut self) {
        if !*self.completed.get_mut() {
            self.sink.deliver(Err(abandoned().during(self.operation)));
        }
    }
}

fn failed(error: AbiError, origin: &str, operation: &'static str) -> BackendError {
    let error = from_abi(error, origin);
    if error.operation().is_some() { error } else { error.during(operation) }
}

fn loaded_running(running: RunningObject, origin: &Arc<str>) -> Running {
    let origin = Arc::clone(origin);
    Running::new(move || {
        if let Err(error) = running.cancel() {
            log::error!("cannot cancel an asynchronous call: {}", from_abi(error, &origin));
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::error::ErrorKind;

    /// Returns what arrives from a plugin whose `begin_*` is `plugin`, and that does not use the SDK.
    fn received(
        plugin: impl FnOnce(CompletionObject<bool>) -> Result<ROption<RunningObject>, AbiError>,
    ) -> Vec<Result<bool, BackendError>> {
        let (send, receive) = mpsc::channel();
        let completion = Completion::new(move |outcome| send.send(outcome).expect("the test still receives"));
        drop(begin("try_acquire", &"test".into(), completion, plugin));
        receive.iter().collect()
    }

    #[test]
    fn second_call_of_a_completion_is_ignored() {
        let outcomes = received(|completion| {
            completion.complete(Ok(true));
            completion.complete(Ok(false));
            Ok(ROption::RNone)
        });
        assert!(matches!(outcomes[..], [Ok(true)]), "{outcomes:?}");
    }

    #[test]
    fn completion_dropped_without_a_call_delivers_dropped() {
        let outcomes = received(|completion| {
            drop(completion);
            Ok(ROption::RNone)
        });
        let [Err(error)] = &outcomes[..] else { panic!("one error is expected: {outcomes:?}") };
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Dropped, Some("try_acquire")));
    }
}
