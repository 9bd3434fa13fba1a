//! [`OwnedRuntime`]: the runtime of a backend.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::{io, mem, process};

use tokio::runtime::{Builder, Handle, Runtime};

/// The number of threads that send and receive. One serves some 400,000 reads a second on one connection.
const WORKERS: usize = 1;

/// The number of turns of tasks after which timers and sockets are looked after. A turn is long, because a task serves many
/// calls in it.
const TURNS: u32 = 8;

/// The most threads for what blocks: the system's resolver, and the discovery of servers. They end when they are idle.
const MAX_BLOCKING: usize = 16;

/// The runtime of a backend in one process. Its threads start with the first asynchronous call.
///
/// Dropping it ends the threads without waiting for them, because its last owner may be one of them.
#[derive(Debug)]
pub(super) struct OwnedRuntime {
    process: u32,
    runtime: OnceLock<Runtime>,
    starting: Mutex<()>,
}

impl OwnedRuntime {
    pub(super) fn new() -> Self {
        OwnedRuntime { process: process::id(), runtime: OnceLock::new(), starting: Mutex::default() }
    }

    /// Returns the runtime, and starts it first if needed.
    ///
    /// # Errors
    /// If the system refuses a thread, or a file that the runtime needs for its wake-ups.
    pub(super) fn handle(&self) -> io::Result<&Handle> {
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime.handle());
        }
        // Ignore poison: the lock protects no data.
        let _turn = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime.handle());
        }
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(WORKERS).max_blocking_threads(MAX_BLOCKING).thread_name("dogpile-redis");
        builder.event_interval(TURNS).enable_all();
        // tokio panics if the system refuses a thread.
        let refused = |_| Err(io::Error::other("the system refused a thread"));
        let runtime = catch_unwind(AssertUnwindSafe(|| builder.build())).unwrap_or_else(refused)?;
        Ok(self.runtime.get_or_init(|| runtime).handle())
    }
}

impl Drop for OwnedRuntime {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        if self.process == process::id() {
            runtime.shutdown_background();
        } else {
            // The threads belong to the parent process. Its locks may be taken forever, and its poll descriptor is shared.
            mem::forget(runtime);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn runtime_starts_once_and_may_end_on_its_own_thread() {
        let runtime = OwnedRuntime::new();
        assert!(runtime.runtime.get().is_none());
        let first = runtime.handle().unwrap().clone();
        assert_eq!(first.id(), runtime.handle().unwrap().id());
        let (ended, end) = mpsc::channel();
        first.spawn(async move {
            drop(runtime);
            ended.send(()).unwrap();
        });
        end.recv_timeout(Duration::from_secs(10)).unwrap();
    }
}
