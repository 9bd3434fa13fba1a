//! [`ContainedOperations`]: asynchronous calls of this binary, which do not panic when they are dropped.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::completion::Completion;
use crate::operations::{MutexOperations, Operations};
use crate::options::{Entry, StoreOptions};
use crate::panicked::without_panic;
use crate::running::Running;
use crate::value::CachedValue;

/// The asynchronous calls of a [`ContainedBackend`](crate::ContainedBackend), or those of one of its mutexes.
///
/// Only their drop is contained here. A panic while a call is begun is the outcome of its [`Pending`](crate::Pending).
pub(crate) struct ContainedOperations<O: ?Sized>(Option<Arc<O>>);

impl<O: ?Sized> ContainedOperations<O> {
    pub(crate) fn new(operations: Arc<O>) -> Self {
        ContainedOperations(Some(operations))
    }

    fn begin(&self, begin: impl FnOnce(&O) -> Running) -> Running {
        // They are missing only while they are dropped.
        self.0.as_deref().map_or_else(Running::done, begin)
    }
}

impl Operations for ContainedOperations<dyn Operations> {
    fn begin_get(&self, key: &str, completion: Completion<Option<CachedValue>>) -> Running {
        self.begin(|calls| calls.begin_get(key, completion))
    }

    fn begin_get_multi(&self, keys: &[&str], completion: Completion<Vec<Option<CachedValue>>>) -> Running {
        self.begin(|calls| calls.begin_get_multi(keys, completion))
    }

    fn begin_set(
        &self,
        key: &str,
        value: CachedValue,
        options: &StoreOptions,
        completion: Completion<()>,
    ) -> Running {
        self.begin(|calls| calls.begin_set(key, value, options, completion))
    }

    fn begin_set_multi(&self, entries: Vec<Entry>, completion: Completion<()>) -> Running {
        self.begin(|calls| calls.begin_set_multi(entries, completion))
    }

    fn begin_delete(&self, key: &str, completion: Completion<()>) -> Running {
        self.begin(|calls| calls.begin_delete(key, completion))
    }

    fn begin_delete_multi(&self, keys: &[&str], completion: Completion<()>) -> Running {
        self.begin(|calls| calls.begin_delete_multi(keys, completion))
    }
}

impl MutexOperations for ContainedOperations<dyn MutexOperations> {
    fn begin_try_acquire(&self, completion: Completion<bool>) -> Running {
        self.begin(|calls| calls.begin_try_acquire(completion))
    }

    fn begin_acquire_until(&self, deadline: Instant, completion: Completion<bool>) -> Running {
        self.begin(|calls| calls.begin_acquire_until(deadline, completion))
    }

    fn begin_release(&self, completion: Completion<()>) -> Running {
        self.begin(|calls| calls.begin_release(completion))
    }
}

impl<O: ?Sized + fmt::Debug> fmt::Debug for ContainedOperations<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match without_panic(|| format!("{:?}", self.0)) {
            Some(text) => f.write_str(&text),
            None => f.write_str("asynchronous calls"),
        }
    }
}

impl<O: ?Sized> Drop for ContainedOperations<O> {
    fn drop(&mut self) {
        let operations = self.0.take();
        without_panic(|| drop(operations));
    }
}
