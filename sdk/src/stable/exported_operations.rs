//! Our asynchronous calls in the other side's form, and the other side's completions as ours.

use std::sync::{Arc, Mutex, PoisonError};

use dogpile_abi::std_types::{ROption, RSlice, RStr, RString, RVec};
use dogpile_abi::{
    AbiError, CachedValue, CompletionObject, MutexOperationsObject, OperationsObject, OptionsRef,
    RunningObject, StableEntry, StableMutexOperations, StableOperations, StableRunning,
};

use super::crossing::Crossing;
use super::deadline;
use super::error::to_abi;
use super::options::{from_stable, from_stable_entries};
use crate::completion::{Completion, Sink};
use crate::error::BackendError;
use crate::operations::{MutexOperations, Operations};
use crate::running::Running;

/// Carries the asynchronous calls of a backend to the other side.
pub(super) fn operations_object(operations: Arc<dyn Operations>) -> OperationsObject {
    OperationsObject::new(ExportedOperations(operations))
}

/// Carries the asynchronous calls of a mutex to the other side.
pub(super) fn mutex_operations_object(operations: Arc<dyn MutexOperations>) -> MutexOperationsObject {
    MutexOperationsObject::new(ExportedMutexOperations(operations))
}

struct ExportedOperations(Arc<dyn Operations>);

impl StableOperations for ExportedOperations {
    fn begin_get(
        &self,
        key: RStr<'_>,
        completion: CompletionObject<ROption<CachedValue>>,
    ) -> Result<ROption<RunningObject>, AbiError> {
        Ok(exported_running(self.0.begin_get(key.as_str(), loaded_completion(completion))))
    }

    fn begin_get_multi(
        &self,
        keys: RSlice<'_, RStr<'_>>,
        completion: CompletionObject<RVec<ROption<CachedValue>>>,
    ) -> Result<ROption<RunningObject>, AbiError> {
        let keys: Vec<&str> = keys.iter().map(RStr::as_str).collect();
        Ok(exported_running(self.0.begin_get_multi(&keys, loaded_completion(completion))))
    }

    fn begin_set(
        &self,
        key: RStr<'_>,
        value: CachedValue,
        options: OptionsRef<'_>,
        completion: CompletionObject<()>,
    ) -> Result<ROption<RunningObject>, AbiError> {
        Ok(exported_running(self.0.begin_set(
            key.as_str(),
            value,
            &from_stable(options),
            loaded_completion(completion),
        )))
    }

    fn begin_set_multi(
        &self,
        entries: RVec<StableEntry<'_>>,
        completion: CompletionObject<()>,
    ) -> Result<ROption<RunningObject>, AbiError> {
        Ok(exported_running(
            self.0.begin_set_multi(from_stable_entries(entries), loaded_completion(completion)),
        ))
    }

    fn begin_delete(
        &self,
        key: RStr<'_>,
        completion: CompletionObject<()>,
    ) -> Result<ROption<RunningObject>, AbiError> {
        Ok(exported_running(self.0.begin_delete(key.as_str(), loaded_completion(completion))))
    }

    fn begin_delete_multi(
        &self,
        keys: RSlice<'_, RStr<'_>>,
        completion: CompletionObject<()>,
    ) -> Result<ROption<RunningObject>, AbiError> {
        let keys: Vec<&str> = keys.iter().map(RStr::as_str).collect();
        Ok(exported_running(self.0.begin_delete_multi(&keys, loaded_completion(completion))))
    }

    fn describe(&self) -> Result<RString, AbiError> {
        Ok(format!("{:?}", self.0).into())
    }

    #[cfg(dogpile_abi_next)]
    fn generation(&self) -> Result<u32, AbiError> {
        Ok(2)
    }
}

struct ExportedMutexOperations(Arc<dyn MutexOperations>);

impl StableMutexOperations for ExportedMutexOperations {
    fn begin_try_acquire(
        &self,
        completion: CompletionObject<bool>,
    ) -> Result<ROption<RunningObject>, AbiError> {
        Ok(exported_running(self.0.begin_try_acquire(loaded_completion(completion))))
    }

    fn begin_acquire_within(
        &self,
        nanoseconds: u64,
        completion: CompletionObject<bool>,
    ) -> Result<ROption<RunningObject>, AbiError> {
        let deadline = deadline::after(nanoseconds);
        Ok(exported_running(self.0.begin_acquire_until(deadline, loaded_completion(completion))))
    }

    fn begin_release(&self, completion: CompletionObject<()>) -> Result<ROption<RunningObject>, AbiError> {
        Ok(exported_running(self.0.begin_release(loaded_completion(completion))))
    }

    fn describe(&self) -> Result<RString, AbiError> {
        Ok(format!("{:?}", self.0).into())
    }
}

/// Returns the other side's completion as ours.
fn loaded_completion<T: Crossing>(object: CompletionObject<T::Stable>) -> Completion<T> {
    Completion::to(Arc::new(LoadedCompletion::<T>(object)))
}

/// The other side decides which outcome counts, so that every one is passed on.
struct LoadedCompletion<T: Crossing>(CompletionObject<T::Stable>);

impl<T: Crossing> Sink<T> for LoadedCompletion<T> {
    fn deliver(&self, outcome: Result<T, BackendError>) {
        self.0.complete(outcome.map(T::into_stable).map_err(|error| to_abi(&error)));
    }
}

/// Returns the object that cancels `running`, if it can be canceled.
fn exported_running(running: Running) -> ROption<RunningObject> {
    if !running.is_cancelable() {
        return ROption::RNone;
    }
    ROption::RSome(RunningObject::new(ExportedRunning(Mutex::new(Some(running)))))
}

struct ExportedRunning(Mutex<Option<Running>>);

impl StableRunning for ExportedRunning {
    fn cancel(&self) -> Result<(), AbiError> {
        // Take it out first, so that the backend's code runs after the lock is released.
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        running.into_iter().for_each(Running::cancel);
        Ok(())
    }
}
