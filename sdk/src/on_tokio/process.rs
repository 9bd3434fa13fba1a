//! [`Processes`]: the runtime and the backend of each process: the first, and its forked children.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::process;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::OnceCell;

use super::outcome::{contained, within};
use super::waiting;
use crate::error::BackendError;
use crate::owned_runtime::OwnedRuntime;
use crate::per_process::PerProcess;
use crate::running::Running;

/// A backend that is being built.
pub(super) type Building<B> = Pin<Box<dyn Future<Output = Result<B, BackendError>> + Send>>;

/// Builds the backend of a process.
pub(super) type Build<B> = Box<dyn Fn() -> Building<B> + Send + Sync>;

/// The runtime and the backend of each process. A forked child starts its own, and touches nothing of its parent's.
pub(super) struct Processes<B> {
    own: PerProcess<Own<B>>,
    /// The backend of the first process.
    backend: Arc<B>,
}

impl<B: Send + Sync + 'static> Processes<B> {
    /// Starts those of this process, and waits for the backend for at most `limit`.
    pub(super) fn start(threads: usize, build: Build<B>, limit: Duration) -> Result<Self, BackendError> {
        let build = Arc::new(build);
        let own = PerProcess::new(move || Own::new(threads, &build), |_| {});
        let first = own.get();
        let handle = first.runtime.handle()?;
        let backend = waiting::outcome("start", limit, |completion| {
            let site = Arc::clone(&first.site);
            let building = async move { Ok(Arc::clone(site.backend().await?)) };
            let building = contained("start", within("start", limit, building));
            handle.spawn(async move { completion.complete(building.await) });
            Running::done()
        })?;
        Ok(Processes { own, backend })
    }

    /// Returns those of this process, and starts its runtime if needed. Asks the system for the process ID, which takes
    /// about 100 ns.
    pub(super) fn here(&self) -> Result<Here<'_, B>, BackendError> {
        let own = self.own.get();
        Ok(Here { handle: own.runtime.handle()?, own })
    }
}

impl<B> Processes<B> {
    /// Returns the backend of the first process, for questions whose reply is the same in each process.
    pub(super) fn backend(&self) -> &B {
        &self.backend
    }

    /// Returns the backend of this process if it is built.
    pub(super) fn built(&self) -> Option<&B> {
        self.own.get().site.backend.get().map(|backend| &**backend)
    }
}

impl<B: fmt::Debug> fmt::Debug for Processes<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnTokio").field(&self.backend).finish()
    }
}

/// The runtime and the backend of one process.
struct Own<B> {
    runtime: Arc<OwnedRuntime>,
    site: Arc<Site<B>>,
}

impl<B> Own<B> {
    fn new(threads: usize, build: &Arc<Build<B>>) -> Self {
        let site = Site { build: Arc::clone(build), backend: OnceCell::new() };
        Own { runtime: Arc::new(OwnedRuntime::new(threads)), site: Arc::new(site) }
    }
}

impl<B> Drop for Own<B> {
    fn drop(&mut self) {
        if self.runtime.process() != process::id() {
            // Dropping the parent's backend could write to connections that the parent uses.
            mem::forget(Arc::clone(&self.site));
        }
    }
}

/// The runtime of this process, which has started, and its backend.
pub(super) struct Here<'a, B> {
    handle: &'a Handle,
    own: &'a Own<B>,
}

impl<B> Here<'_, B> {
    pub(super) fn process(&self) -> u32 {
        self.own.runtime.process()
    }

    pub(super) fn handle(&self) -> &Handle {
        self.handle
    }

    /// Returns the runtime, for a task that must not be canceled by its end.
    ///
    /// Nothing else may be kept alive by a task: after a fork, the parent's tasks exist in the child and never end.
    pub(super) fn runtime(&self) -> Arc<OwnedRuntime> {
        Arc::clone(&self.own.runtime)
    }

    /// Returns the place of the backend, which a task needs.
    pub(super) fn site(&self) -> Arc<Site<B>> {
        Arc::clone(&self.own.site)
    }
}

/// The place where a process keeps its backend.
pub(super) struct Site<B> {
    build: Arc<Build<B>>,
    backend: OnceCell<Arc<B>>,
}

impl<B> Site<B> {
    /// Returns the backend, and builds it if needed. If that fails, the next call tries again.
    pub(super) async fn backend(&self) -> Result<&Arc<B>, BackendError> {
        self.backend.get_or_try_init(|| async { (self.build)().await.map(Arc::new) }).await
    }
}
