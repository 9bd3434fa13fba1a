//! [`Access`]: a backend, and how tasks call it.

use std::sync::Arc;

use dogpile_sdk::{CacheBackend, Capabilities, Operations, WeakRegistry};

use super::super::store_identity::StoreIdentity;
use super::super::work::Work;
use super::offload::Offload;
use super::polling::{self, Mark, Polling};

/// How many blocking calls of a store run at a time, on behalf of tasks. Further ones wait for a place.
const CALLS: usize = 64;

/// How many tasks wait for mutexes of a store at a time, each on a thread. They have threads of their own, so that they do
/// not keep the holders from releasing.
const LOCKS: usize = 64;

/// A backend, and how tasks call it.
pub(crate) struct Access {
    /// The outermost proxy, or the backend if it has none.
    backend: Arc<dyn CacheBackend>,
    pub(super) kind: Kind,
    pub(super) threads: Arc<StoreThreads>,
    /// Calls with a creator, and what goes on although its caller was dropped.
    pub(crate) work: Arc<Work>,
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
        Access { backend: Arc::clone(backend), kind, threads, work: Arc::new(Work::new()) }
    }

    /// Returns whether a task may make all calls itself.
    #[inline]
    pub(crate) fn is_immediate(&self) -> bool {
        matches!(self.kind, Kind::Immediate)
    }

    /// Returns the backend for a call on this thread.
    ///
    /// # Panics
    /// In debug builds, if this thread polls an asynchronous call of the same store, which must not block.
    #[inline]
    pub(crate) fn on_this_thread(&self) -> &dyn CacheBackend {
        self.assert_may_block();
        &*self.backend
    }

    /// Returns the backend for a call on another thread.
    pub(super) fn for_another_thread(&self) -> Arc<dyn CacheBackend> {
        Arc::clone(&self.backend)
    }

    /// Panics in debug builds if this thread polls an asynchronous call of the same store, unless the store never blocks.
    #[inline]
    pub(super) fn assert_may_block(&self) {
        if cfg!(debug_assertions) && !self.is_immediate() {
            polling::assert_not_polled(self.mark());
        }
    }

    /// Returns `future`, which is an asynchronous call of this store. In debug builds, a blocking call in it panics.
    pub(crate) fn polling<F: Future + Unpin>(&self, future: F) -> Polling<F> {
        Polling::marked(self.mark(), future)
    }

    /// Does `work`, which is part of an asynchronous call of this store. In debug builds, a blocking call in it panics.
    #[inline]
    pub(crate) fn without_blocking<R>(&self, work: impl FnOnce() -> R) -> R {
        polling::marked(self.mark(), work)
    }

    fn mark(&self) -> Mark {
        Mark::of(&*self.threads)
    }
}
