//! Asynchronous calls of regions: with stores of each kind, on several runtimes, and when callers are dropped.

#[path = "asynchronous/backends.rs"]
mod backends;
#[path = "asynchronous/cancellation.rs"]
mod cancellation;
#[path = "asynchronous/forms.rs"]
mod forms;
#[path = "asynchronous/polling.rs"]
mod polling;
#[path = "asynchronous/runtimes.rs"]
mod runtimes;
#[path = "asynchronous/sharing.rs"]
mod sharing;
