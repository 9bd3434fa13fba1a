//! [`Freezer`]: makes the store of a setup stop replying, and reply again.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

type Switch = dyn Fn() + Send + Sync;

/// The switches that make the store of a setup stop replying, and reply again.
pub(crate) struct Freezer {
    /// The longest time that a call may take while the store does not reply.
    pub(crate) bound: Duration,
    freeze: Box<Switch>,
    thaw: Box<Switch>,
    /// Cases that need a store that replies do not run while another case freezes it.
    store: RwLock<()>,
}

/// A case's access to the store. At its end, the store replies again.
pub(crate) enum Access<'f> {
    Shared { _guard: RwLockReadGuard<'f, ()> },
    Exclusive { freezer: &'f Freezer, _guard: RwLockWriteGuard<'f, ()> },
}

impl Freezer {
    pub(crate) fn new(
        bound: Duration,
        freeze: impl Fn() + Send + Sync + 'static,
        thaw: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Freezer { bound, freeze: Box::new(freeze), thaw: Box::new(thaw), store: RwLock::default() }
    }

    /// Waits until no case freezes the store.
    pub(crate) fn shared(&self) -> Access<'_> {
        Access::Shared { _guard: self.store.read().unwrap_or_else(PoisonError::into_inner) }
    }

    /// Waits until no other case uses the store.
    pub(crate) fn exclusive(&self) -> Access<'_> {
        Access::Exclusive {
            freezer: self,
            _guard: self.store.write().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Makes the store stop replying.
    pub(crate) fn freeze(&self) {
        (self.freeze)();
    }

    /// Makes the store reply again. It may do so already.
    pub(crate) fn thaw(&self) {
        (self.thaw)();
    }
}

impl Drop for Access<'_> {
    fn drop(&mut self) {
        if let Access::Exclusive { freezer, .. } = self {
            // The case may have failed, or it still waits for the store. A panic here would hide that.
            let _ = catch_unwind(AssertUnwindSafe(|| freezer.thaw()));
        }
    }
}

impl fmt::Debug for Freezer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Freezer").field(&self.bound).finish()
    }
}
