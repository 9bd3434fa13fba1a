//! [`Leadership`]: the right to create a key's value, in this process and, with a mutex, among all.

use std::sync::Arc;

use dogpile_sdk::{BackendError, CacheMutex};

use super::gate::GateGuard;
use crate::shorten::Shortened;

/// The right to create, until it is dropped: by its caller, by a runner, or by a panic. May be dropped by
/// another thread than the one that won it.
#[derive(Debug)]
pub struct Leadership {
    /// Held for its `Drop`; before the gate, so that the mutex is free when the waiters are let go.
    _mutex: Option<HeldMutex>,
    gate: GateGuard,
}

impl Leadership {
    /// Takes `mutex`, if there is one. `None` if somebody else has it, or it gave up waiting.
    pub(super) fn begin(
        gate: GateGuard,
        mutex: Option<Arc<dyn CacheMutex>>,
        wait: bool,
    ) -> Result<Option<Self>, BackendError> {
        let Some(mutex) = mutex else { return Ok(Some(Leadership { _mutex: None, gate })) };
        if mutex.acquire(wait)? {
            let held = HeldMutex { mutex, key: gate.key().into() };
            Ok(Some(Leadership { _mutex: Some(held), gate }))
        } else {
            if wait {
                gate.give_up();
            }
            Ok(None)
        }
    }

    /// Whether the key was stored or deleted by somebody else of this process since, so that what is being
    /// created is outdated already.
    pub fn is_superseded(&self) -> bool {
        self.gate.is_superseded()
    }

    /// Says that a thread yet unknown will create.
    pub(crate) fn hand_over(&self) {
        self.gate.hand_over();
    }

    /// Says that the calling thread creates.
    pub(crate) fn take_over(&self) {
        self.gate.take_over();
    }
}

/// A mutex that is held, until dropped.
#[derive(Debug)]
struct HeldMutex {
    mutex: Arc<dyn CacheMutex>,
    key: Box<str>,
}

impl Drop for HeldMutex {
    fn drop(&mut self) {
        // The value is made and stored: that its lock was lost meanwhile, or cannot be given back, is worth a
        // warning, and no reason to keep the value from its caller.
        if let Err(error) = self.mutex.release() {
            tracing::warn!(
                key = %Shortened(&self.key),
                error = &error as &dyn std::error::Error,
                "the mutex of a creator could not be released"
            );
        }
    }
}
