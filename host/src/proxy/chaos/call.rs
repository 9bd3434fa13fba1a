//! [`Call`]: one call of a backend or mutex, which may fail on purpose.

use std::time::Instant;

use dogpile_sdk::BackendError;

use super::control::ChaosControl;
use super::operation::ChaosOperation;

/// One call of a backend or mutex, which may fail on purpose.
pub(super) struct Call<'a> {
    control: &'a ChaosControl,
    operation: ChaosOperation,
    key: Option<&'a str>,
    deadline: Option<Instant>,
}

impl<'a> Call<'a> {
    pub(super) fn of(control: &'a ChaosControl, operation: ChaosOperation) -> Self {
        Call { control, operation, key: None, deadline: None }
    }

    pub(super) fn for_key(mut self, key: &'a str) -> Self {
        self.key = Some(key);
        self
    }

    /// Sets when the caller gives up. A delay ends then.
    pub(super) fn until(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Makes the call, unless it fails before it reaches the backend.
    pub(super) fn make<R>(self, call: impl FnOnce() -> Result<R, BackendError>) -> Result<R, BackendError> {
        let Some(failure) = self.control.judge(self.operation, self.deadline) else { return call() };
        if failure.reaches {
            // The reply is lost on purpose, whatever it is.
            let _ = call();
        }
        let error = BackendError::new(failure.kind, self.control.message(&failure.cause));
        let error = error.during(self.operation.name());
        Err(match self.key {
            Some(key) => error.for_key(key),
            None => error,
        })
    }
}
