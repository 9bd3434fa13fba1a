//! [`Processes`]: the runtime and the backend of each process, from the one that started to its forked children.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::process;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::OnceCell;

use super::outcome::{contained, within};
use super::runtime::OwnRuntime;
use super::waiting;
use crate::error::BackendError;
use crate::running::Running;

/// A backend that is being built.
pub(super) type Building<B> = Pin<Box<dyn Future<Output = Result<B, BackendError>> + Send>>;

/// Builds the backend of a process.
pub(super) type Build<B> = Box<dyn Fn() -> Building<B> + Send + Sync>;

/// The runtime and the backend of each process. A forked child starts its own, and touches nothing of its parent's.
pub(super) struct Processes<B> {
    threads: usize,
    build: Arc<Build<B>>,
    first: Own<B>,
    /// The backend of the first process.
    backend: Arc<B>,
}

impl<B: Send + Sync + 'static> Processes<B> {
    /// Starts those of this process, and waits for the backend for at most `limit`.
    pub(super) fn start(threads: usize, build: Build<B>, limit: Duration) -> Result<Self, BackendError> {
        let build = Arc::new(build);
        let first = Own::start(process::id(), threads, &build)?;
        let backend = waiting::outcome("start", limit, |completion| {
            let site = Arc::clone(&first.site);
            let building = async move { Ok(Arc::clone(site.backend().await?)) };
            let building = contained("start", within("start", limit, building));
            first.handle().spawn(async move { completion.complete(building.await) });
            Running::done()
        })?;
        Ok(Processes { threads, build, first, backend })
    }

    /// Returns those of this process, and starts its runtime if needed. Asks the system for the process ID, which takes
    /// about 100 ns.
    pub(super) fn own(&self) -> Result<&Own<B>, BackendError> {
        self.own_in(process::id())
    }

    fn own_in(&self, process: u32) -> Result<&Own<B>, BackendError> {
        let mut own = &self.first;
        while own.runtime.process() != process {
            own = match own.child.get() {
                Some(child) => child,
                None => {
                    // No lock: another thread may start one too. The loser's ends at once.
                    let started = Own::start(process, self.threads, &self.build)?;
                    own.child.get_or_init(|| Box::new(started))
                }
            };
        }
        Ok(own)
    }
}

impl<B> Processes<B> {
    /// Returns the backend of the first process, for questions whose reply is the same in each process.
    pub(super) fn backend(&self) -> &B {
        &self.backend
    }
}

impl<B: fmt::Debug> fmt::Debug for Processes<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnTokio").field(&self.backend).finish()
    }
}

/// The runtime and the backend of one process, and those of its child.
pub(super) struct Own<B> {
    runtime: Arc<OwnRuntime>,
    site: Arc<Site<B>>,
    child: OnceLock<Box<Own<B>>>,
}

impl<B> Own<B> {
    fn start(process: u32, threads: usize, build: &Arc<Build<B>>) -> Result<Self, BackendError> {
        let runtime = Arc::new(OwnRuntime::start(process, threads)?);
        let site = Site { build: Arc::clone(build), backend: OnceCell::new() };
        Ok(Own { runtime, site: Arc::new(site), child: OnceLock::new() })
    }

    pub(super) fn process(&self) -> u32 {
        self.runtime.process()
    }

    pub(super) fn handle(&self) -> &Handle {
        self.runtime.handle()
    }

    /// Returns the runtime, for a task that must not be canceled by its end.
    ///
    /// Nothing else may be kept alive by a task: after a fork, the parent's tasks exist in the child and never end.
    pub(super) fn runtime(&self) -> Arc<OwnRuntime> {
        Arc::clone(&self.runtime)
    }

    /// Returns the place of the backend, which a task needs.
    pub(super) fn site(&self) -> Arc<Site<B>> {
        Arc::clone(&self.site)
    }

    /// Returns the backend if it is built.
    pub(super) fn built(&self) -> Option<&B> {
        self.site.backend.get().map(|backend| &**backend)
    }
}

impl<B> Drop for Own<B> {
    fn drop(&mut self) {
        if self.process() != process::id() {
            // Dropping the parent's backend could write to connections that the parent uses.
            mem::forget(Arc::clone(&self.site));
        }
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
