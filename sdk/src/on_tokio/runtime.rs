//! The tokio runtime of one process, and the marks of its threads.

use std::cell::Cell;
use std::mem;
use std::panic::catch_unwind;
use std::process;

use dogpile_abi::panic_message;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::{BackendError, ErrorKind};

thread_local! {
    static IS_OURS: Cell<bool> = const { Cell::new(false) };
}

/// Returns whether this thread belongs to a runtime that this module started.
pub(super) fn is_our_thread() -> bool {
    IS_OURS.try_with(Cell::get).unwrap_or(false)
}

/// A runtime, which ends without a wait when it is dropped.
pub(super) struct OwnRuntime {
    process: u32,
    handle: Handle,
    /// `None` while it is dropped.
    runtime: Option<Runtime>,
}

impl OwnRuntime {
    /// Starts a runtime in `process`, which is this process.
    pub(super) fn start(process: u32, threads: usize) -> Result<Self, BackendError> {
        if threads == 0 {
            let message = "cannot start a tokio runtime with 0 threads: expected at least 1";
            return Err(BackendError::new(ErrorKind::Configuration, message));
        }
        // tokio panics if the system refuses a thread.
        let built = catch_unwind(|| build(threads)).map_err(|payload| {
            BackendError::new(ErrorKind::Unavailable, cannot_start(threads, &panic_message(payload)))
        })?;
        let runtime = built.map_err(|error| {
            let message = cannot_start(threads, "the system refused it");
            BackendError::new(ErrorKind::Unavailable, message).with_source(error)
        })?;
        Ok(OwnRuntime { process, handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Returns the process in which the threads of the runtime are.
    pub(super) fn process(&self) -> u32 {
        self.process
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        if self.process == process::id() {
            // This thread may be one of the runtime, which must not wait for itself.
            runtime.shutdown_background();
        } else {
            // The threads exist in the parent only, and what the runtime polls is shared with it.
            mem::forget(runtime);
        }
    }
}

fn build(threads: usize) -> std::io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("dogpile-tokio")
        .on_thread_start(|| IS_OURS.set(true))
        .enable_all()
        .build()
}

fn cannot_start(threads: usize, why: &str) -> String {
    format!("cannot start a tokio runtime with {threads} threads: {why}")
}
