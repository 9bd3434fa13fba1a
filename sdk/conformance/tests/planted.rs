//! Backends, lease stores, and proxies with one planted bug each. The suite finds each bug in the case that tests that
//! behavior.
//!
//! One program: its tests mostly wait, so that they run side by side.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

#[path = "planted/asynchronous.rs"]
mod asynchronous;
#[path = "planted/backends.rs"]
mod backends;
#[path = "planted/batches.rs"]
mod batches;
#[path = "planted/forms.rs"]
mod forms;
#[path = "planted/lease_store.rs"]
mod lease_store;
#[path = "planted/operations.rs"]
mod operations;
#[path = "planted/options.rs"]
mod options;
#[path = "planted/proxies.rs"]
mod proxies;
#[path = "planted/search.rs"]
mod search;
