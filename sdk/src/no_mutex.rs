//! [`NoMutex`]: stands for a mutex that a backend failed to provide.

use std::time::Instant;

use crate::error::{BackendError, ErrorKind};
use crate::mutex::CacheMutex;

/// Stands for a mutex that a backend panicked instead of providing. Acquiring it returns the reason.
///
/// Continuing without a mutex would let creators in several processes overlap unnoticed.
#[derive(Debug)]
pub(crate) struct NoMutex(pub(crate) String);

impl NoMutex {
    fn refuse<T>(&self) -> Result<T, BackendError> {
        Err(BackendError::new(ErrorKind::Panicked, self.0.clone()).during("get_mutex"))
    }
}

impl CacheMutex for NoMutex {
    fn try_acquire(&self) -> Result<bool, BackendError> {
        self.refuse()
    }

    fn acquire_until(&self, _deadline: Instant) -> Result<bool, BackendError> {
        self.refuse()
    }

    fn release(&self) -> Result<(), BackendError> {
        self.refuse()
    }

    fn locked(&self) -> Result<bool, BackendError> {
        self.refuse()
    }
}
