//! [`ChaosMutex`]: a mutex whose calls fail on purpose.

use std::sync::Arc;
use std::time::Instant;

use dogpile_sdk::{BackendError, CacheMutex, Fence};

use super::call::Call;
use super::control::ChaosControl;
use super::operation::ChaosOperation;

/// A mutex whose calls fail on purpose. The renewal of its lease is not a call of the host, and never fails.
#[derive(Debug)]
pub(super) struct ChaosMutex {
    pub(super) key: String,
    pub(super) mutex: Arc<dyn CacheMutex>,
    pub(super) control: ChaosControl,
}

impl ChaosMutex {
    fn call(&self, operation: ChaosOperation) -> Call<'_> {
        Call::of(&self.control, operation).for_key(&self.key)
    }
}

impl CacheMutex for ChaosMutex {
    fn try_acquire(&self) -> Result<bool, BackendError> {
        self.call(ChaosOperation::Acquire).make(|| self.mutex.try_acquire())
    }

    fn acquire_until(&self, deadline: Instant) -> Result<bool, BackendError> {
        let call = self.call(ChaosOperation::Acquire).until(deadline);
        call.make(|| self.mutex.acquire_until(deadline))
    }

    fn release(&self) -> Result<(), BackendError> {
        self.call(ChaosOperation::Release).make(|| self.mutex.release())
    }

    fn locked(&self) -> Result<bool, BackendError> {
        self.call(ChaosOperation::Locked).make(|| self.mutex.locked())
    }

    fn is_lost(&self) -> bool {
        self.mutex.is_lost()
    }

    fn fence(&self) -> Option<Fence> {
        self.mutex.fence()
    }
}
