//! [`Access`]: a backend, and how tasks call it.

use std::sync::Arc;

use dogpile_sdk::{CacheBackend, Capabilities, Operations, WeakRegistry};

use super::super::store_identity::StoreIdentity;
use super::offload::Offload;

/// How many blocking calls of a store run at a time, on behalf of tasks. Further ones wait for a place.
const CALLS: usize = 64;

/// How many tasks wait for mutexes of a store at a time, each on a thread. They have threads of their own, so that they do
/// not keep the holders from releasing.
const LOCKS: usize = 64;

/// A backend, and how tasks call it.
pub(crate) struct Access {
    /// The outermost proxy, or the backend if it has none.
    pub(super) backend: Arc<dyn CacheBackend>,
    pub(super) kind: Kind,
    pub(super) threads: Arc<StoreThreads>,
}

pub(super) enum Kind {
    /// No call blocks, so that tasks make them.
    Immediate,
    /// The backend has asynchronous calls.
    Operations(Arc<dyn Operations>),
    /// Threads make the calls.
    Offloaded,
}

/// The threads for the blocking calls of one store, shared by all regions over it.
pub(super) struct StoreThreads {
    pub(super) calls: Arc<Offload>,
    pub(super) locks: Arc<Offload>,
}

impl Access {
    /// Returns how tasks call `backend`, whose store is that of `actual`.
    pub(crate) fn of(
        backend: &Arc<dyn CacheBackend>,
        actual: &Arc<dyn CacheBackend>,
        capabilities: &Capabilities,
    ) -> Self {
        static THREADS: WeakRegistry<StoreIdentity, StoreThreads> = WeakRegistry::new();

        let kind = match backend.operations() {
            _ if capabilities.immediate => Kind::Immediate,
            Some(operations) => Kind::Operations(operations),
            None => Kind::Offloaded,
        };
        let create = || StoreThreads { calls: Offload::new(CALLS).into(), locks: Offload::new(LOCKS).into() };
        let threads = THREADS.get_or_create(StoreIdentity::of(actual), create);
        Access { backend: Arc::clone(backend), kind, threads }
    }

    /// Returns whether a task may make all calls itself.
    #[inline]
    pub(crate) fn is_immediate(&self) -> bool {
        matches!(self.kind, Kind::Immediate)
    }
}
