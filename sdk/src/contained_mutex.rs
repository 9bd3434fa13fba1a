//! [`ContainedMutex`]: a mutex of this binary whose panics become errors.

use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crate::contained_operations::ContainedOperations;
use crate::error::BackendError;
use crate::mutex::CacheMutex;
use crate::no_mutex::NoMutex;
use crate::operations::MutexOperations;
use crate::options::Fence;
use crate::panicked::{panicked, without_panic};

/// A mutex of a [`ContainedBackend`](crate::ContainedBackend).
pub(crate) struct ContainedMutex {
    mutex: Arc<dyn CacheMutex>,
    /// What provides the backend, for errors.
    origin: Arc<str>,
}

impl ContainedMutex {
    pub(crate) fn new(mutex: Arc<dyn CacheMutex>, origin: Arc<str>) -> Self {
        ContainedMutex { mutex, origin }
    }

    fn call<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&dyn CacheMutex) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        catch_unwind(AssertUnwindSafe(|| work(&*self.mutex)))
            .unwrap_or_else(|payload| Err(panicked(&self.origin, payload).during(operation)))
    }
}

impl CacheMutex for ContainedMutex {
    fn try_acquire(&self) -> Result<bool, BackendError> {
        self.call("try_acquire", |mutex| mutex.try_acquire())
    }

    fn acquire_until(&self, deadline: Instant) -> Result<bool, BackendError> {
        self.call("acquire_until", |mutex| mutex.acquire_until(deadline))
    }

    fn release(&self) -> Result<(), BackendError> {
        self.call("release", |mutex| mutex.release())
    }

    fn locked(&self) -> Result<bool, BackendError> {
        self.call("locked", |mutex| mutex.locked())
    }

    fn is_lost(&self) -> bool {
        // Then nothing is stored, as the mutex may be held by another creator.
        without_panic(|| self.mutex.is_lost()).unwrap_or(true)
    }

    fn fence(&self) -> Option<Fence> {
        without_panic(|| self.mutex.fence()).flatten()
    }

    fn operations(&self) -> Option<Arc<dyn MutexOperations>> {
        let operations = without_panic(|| self.mutex.operations()).flatten()?;
        Some(Arc::new(ContainedOperations::new(operations)))
    }
}

impl fmt::Debug for ContainedMutex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match without_panic(|| format!("{:?}", self.mutex)) {
            Some(text) => f.write_str(&text),
            None => write!(f, "a mutex of {}", self.origin),
        }
    }
}

impl Drop for ContainedMutex {
    fn drop(&mut self) {
        let mutex = mem::replace(&mut self.mutex, Arc::new(NoMutex(String::new())));
        without_panic(|| drop(mutex));
    }
}
