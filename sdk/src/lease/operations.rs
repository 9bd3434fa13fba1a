//! [`LeaseOperations`]: the asynchronous calls of a lease store.

use std::fmt;
use std::time::Duration;

use crate::completion::Completion;
use crate::running::Running;

/// The asynchronous calls of a [`LeaseStore`](super::LeaseStore), as completions.
///
/// The rules of [`Operations`](crate::Operations) apply. Leases are renewed by the blocking
/// [`renew`](super::LeaseStore::renew).
pub trait LeaseOperations: fmt::Debug + Send + Sync + 'static {
    /// Begins [`LeaseStore::acquire`](super::LeaseStore::acquire). It has no deadline: the caller cancels the call.
    fn begin_acquire(&self, key: &str, token: &str, lease: Duration, completion: Completion<bool>)
    -> Running;

    /// Begins [`LeaseStore::release`](super::LeaseStore::release).
    fn begin_release(&self, key: &str, token: &str, completion: Completion<bool>) -> Running;

    /// Begins a pause between two polls of the lock of `key`, which another holder has.
    ///
    /// It ends after `limit` at most. The outcome is whether a release was signaled.
    fn begin_pause(&self, key: &str, limit: Duration, completion: Completion<bool>) -> Running;
}

const _: fn(&dyn LeaseOperations) = |_| {};
