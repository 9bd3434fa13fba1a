//! [`OwnedRuntime`]: a tokio runtime that a plugin owns.

use std::cell::Cell;
use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::sync::{Mutex, OnceLock, PoisonError};

use dogpile_abi::panic_message;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::{BackendError, ErrorKind};

/// The name of the threads unless another one is set.
const THREAD_NAME: &str = "dogpile-tokio";

/// The most threads for what blocks, unless another limit is set. It is the default of tokio.
const BLOCKING_THREADS: usize = 512;

thread_local! {
    static IS_OURS: Cell<bool> = const { Cell::new(false) };
}

/// Returns whether this thread belongs to an [`OwnedRuntime`] of this copy of the crate.
pub(crate) fn is_thread_of_one() -> bool {
    IS_OURS.try_with(Cell::get).unwrap_or(false)
}

/// A tokio runtime that a plugin owns, in one process.
///
/// A plugin cannot use the application's runtime. A loaded library has its own copy of tokio, and a linked one may be used by
/// an application without tokio. [`OnTokio`](crate::OnTokio) has such a runtime already.
///
/// Its threads start with the first call of [`handle`](Self::handle), so that creating it costs nothing. They drive timers
/// and, if the plugin enables tokio's feature `net`, sockets.
///
/// ```
/// use dogpile_sdk::{OwnedRuntime, PerProcess};
///
/// let runtime = PerProcess::new(|| OwnedRuntime::new(1).with_thread_name("acme"), |_| {});
/// let task = runtime.get().handle()?.spawn(async { 6 * 7 });
/// # drop(task);
/// # Ok::<(), dogpile_sdk::BackendError>(())
/// ```
///
/// # End
/// Dropping it ends the threads without waiting for them, because its last owner may be one of them. Tasks are dropped at
/// their next `.await`. A task that must be completed first holds an `Arc` of the runtime.
///
/// # Forks
/// It belongs to the process that created it, so keep it in a [`PerProcess`](crate::PerProcess). A forked child then starts
/// its own. Its parent's is abandoned in the child, because the threads exist in the parent only.
pub struct OwnedRuntime {
    process: u32,
    threads: usize,
    blocking_threads: usize,
    turns: Option<u32>,
    name: &'static str,
    started: OnceLock<Runtime>,
    starting: Mutex<()>,
}

impl OwnedRuntime {
    /// Creates a runtime of this process with `threads` worker threads, without starting it.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        OwnedRuntime {
            process: process::id(),
            threads,
            blocking_threads: BLOCKING_THREADS,
            turns: None,
            name: THREAD_NAME,
            started: OnceLock::new(),
            starting: Mutex::new(()),
        }
    }

    /// Sets the name of the threads. Default: `dogpile-tokio`. Linux shows the first 15 bytes.
    #[must_use]
    pub fn with_thread_name(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Sets the most threads of `spawn_blocking`, at least 1. They start when needed and end when idle. Default: 512.
    #[must_use]
    pub fn with_blocking_threads(mut self, most: usize) -> Self {
        self.blocking_threads = most.max(1);
        self
    }

    /// Sets the number of task turns between polls of timers and sockets, at least 1. Default: that of tokio.
    ///
    /// A small number suits tasks whose turns are long.
    #[must_use]
    pub fn with_event_interval(mut self, turns: u32) -> Self {
        self.turns = Some(turns.max(1));
        self
    }

    /// Returns the ID of the process to which the runtime belongs.
    pub fn process(&self) -> u32 {
        self.process
    }

    /// Returns the handle of the runtime, and starts its threads first if needed.
    ///
    /// Starting takes some 100 microseconds, during which other callers wait.
    ///
    /// # Errors
    /// If the number of threads is 0, or if the system refuses a thread or a file descriptor. The next call tries again.
    pub fn handle(&self) -> Result<&Handle, BackendError> {
        if let Some(runtime) = self.started.get() {
            return Ok(runtime.handle());
        }
        // Ignore poison: the lock protects no data.
        let _turn = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = self.started.get() {
            return Ok(runtime.handle());
        }
        let runtime = self.start()?;
        Ok(self.started.get_or_init(|| runtime).handle())
    }

    fn start(&self) -> Result<Runtime, BackendError> {
        if self.threads == 0 {
            let message = "cannot start a tokio runtime with 0 threads: expected at least 1";
            return Err(BackendError::new(ErrorKind::Configuration, message));
        }
        // tokio panics if the system refuses a thread.
        let built = catch_unwind(AssertUnwindSafe(|| self.builder().build()));
        let built = built.map_err(|payload| self.refused(&panic_message(payload)))?;
        built.map_err(|error| self.refused("the system refused it").with_source(error))
    }

    fn builder(&self) -> Builder {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(self.threads).max_blocking_threads(self.blocking_threads);
        builder.thread_name(self.name).on_thread_start(|| IS_OURS.set(true)).enable_all();
        if let Some(turns) = self.turns {
            builder.event_interval(turns);
        }
        builder
    }

    fn refused(&self, why: &str) -> BackendError {
        let message = format!("cannot start a tokio runtime with {} threads: {why}", self.threads);
        BackendError::new(ErrorKind::Unavailable, message)
    }
}

impl Drop for OwnedRuntime {
    fn drop(&mut self) {
        let Some(runtime) = self.started.take() else { return };
        if self.process == process::id() {
            // This thread may be one of the runtime, which must not wait for itself.
            runtime.shutdown_background();
        } else {
            // The threads exist in the parent only. Its locks may be taken forever, and what it polls is shared with it.
            mem::forget(runtime);
        }
    }
}

impl fmt::Debug for OwnedRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_started = self.started.get().is_some();
        f.debug_struct("OwnedRuntime")
            .field("name", &self.name)
            .field("threads", &self.threads)
            .field("is_started", &is_started)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[test]
    fn runtime_starts_once_and_may_end_on_its_own_thread() {
        let runtime = OwnedRuntime::new(1).with_thread_name("acme");
        assert!(runtime.started.get().is_none());
        let first = runtime.handle().unwrap().clone();
        assert_eq!(first.id(), runtime.handle().unwrap().id());
        let (ended, end) = mpsc::channel();
        first.spawn(async move {
            let here = (thread::current().name().map(str::to_owned), is_thread_of_one());
            drop(runtime);
            ended.send(here).unwrap();
        });
        assert_eq!(end.recv_timeout(LIMIT).unwrap(), (Some("acme".to_owned()), true));
        assert!(!is_thread_of_one());
    }

    #[test]
    fn runtime_without_threads_is_an_error() {
        let error = OwnedRuntime::new(0).handle().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert_eq!(error.to_string(), "cannot start a tokio runtime with 0 threads: expected at least 1");
    }

    #[test]
    fn limits_of_zero_are_raised_to_one() {
        let runtime = OwnedRuntime::new(1).with_blocking_threads(0).with_event_interval(0);
        let (sender, ran) = mpsc::channel();
        runtime.handle().unwrap().spawn_blocking(move || sender.send(()));
        ran.recv_timeout(LIMIT).unwrap();
    }

    #[test]
    fn refused_threads_are_an_error_and_the_next_call_tries_again() {
        // The system refuses a thread whose name has a zero byte; the standard library panics then.
        let runtime = OwnedRuntime::new(3).with_thread_name("ac\0me");
        for _ in 0..2 {
            let error = runtime.handle().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(
                error.to_string().starts_with("cannot start a tokio runtime with 3 threads: "),
                "{error}"
            );
        }
    }

    #[test]
    fn runtime_of_another_process_is_abandoned() {
        let mut runtime = OwnedRuntime::new(1);
        let handle = runtime.handle().unwrap().clone();
        // As in a forked child.
        runtime.process += 1;
        drop(runtime);
        let (sender, ran) = mpsc::channel();
        handle.spawn(async move { sender.send(()) });
        ran.recv_timeout(LIMIT).unwrap();
    }
}
