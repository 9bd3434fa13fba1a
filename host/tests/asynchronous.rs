//! Asynchronous calls of regions and asynchronous cached functions. The stores are of each kind, several runtimes are
//! used, and callers are dropped.

#[path = "asynchronous/backends.rs"]
mod backends;
#[path = "asynchronous/cancellation.rs"]
mod cancellation;
#[path = "asynchronous/crowd.rs"]
mod crowd;
#[path = "asynchronous/forms.rs"]
mod forms;
#[cfg(feature = "macros")]
#[path = "asynchronous/function_failures.rs"]
mod function_failures;
#[cfg(feature = "macros")]
#[path = "asynchronous/function_forms.rs"]
mod function_forms;
#[cfg(feature = "macros")]
#[path = "asynchronous/functions.rs"]
mod functions;
#[cfg(feature = "macros")]
#[path = "asynchronous/functions_of_many.rs"]
mod functions_of_many;
#[path = "asynchronous/idle.rs"]
mod idle;
#[path = "asynchronous/locked.rs"]
mod locked;
#[path = "asynchronous/play.rs"]
mod play;
#[path = "asynchronous/polling.rs"]
mod polling;
#[path = "asynchronous/runners.rs"]
mod runners;
#[path = "asynchronous/runtimes.rs"]
mod runtimes;
#[path = "asynchronous/scenarios.rs"]
mod scenarios;
#[path = "asynchronous/shared_failures.rs"]
mod shared_failures;
#[path = "asynchronous/sharing.rs"]
mod sharing;
