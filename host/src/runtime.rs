//! Async runtimes.
//!
//! No runtime is required. A call uses the runtime that its region is configured with, or else tokio's, if it is made in
//! one (feature `tokio`). Otherwise a timer thread and blocking threads of the host serve. They start when needed and end
//! when idle.

mod choice;
mod host;
mod interface;
mod threads;
mod timers;
#[cfg(feature = "tokio")]
mod tokio;

pub(crate) use self::choice::{is_polling_task, runtime_for};
pub use self::interface::{Runtime, RuntimeFuture};
pub(crate) use self::threads::Threads;
