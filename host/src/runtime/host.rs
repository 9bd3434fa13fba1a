//! [`HostRuntime`]: threads of the host, for calls outside of any known runtime.

use std::time::Instant;

use super::interface::{Runtime, RuntimeFuture};
use super::threads::Threads;
use super::timers::{Sleep, Timers};
use crate::engine::blocking::drive;

/// The host's own threads: one for all timers, and others for work that blocks.
///
/// A spawned task keeps one of the threads until it ends.
#[derive(Debug)]
pub(super) struct HostRuntime;

impl Runtime for HostRuntime {
    fn spawn(&self, future: RuntimeFuture) {
        Threads::of_process().run(Box::new(|| drive(future)));
    }

    fn sleep_until(&self, time: Instant) -> RuntimeFuture {
        Box::pin(Sleep::new(Timers::of_process(), time))
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        Threads::of_process().run(work);
    }
}
