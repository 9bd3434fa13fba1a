//! [`Operations`] and [`MutexOperations`]: the asynchronous calls of a backend and of a mutex.

use std::fmt;
use std::time::Instant;

use crate::completion::Completion;
use crate::options::{Entry, StoreOptions};
use crate::running::Running;
use crate::value::CachedValue;

/// The asynchronous calls of a backend, as completions.
///
/// # For implementors
/// Each method begins a call and returns at once, without waiting for the store. The rules of
/// [`CacheBackend`](crate::CacheBackend) for values, duplicates, and overlap hold here too.
/// * Any thread may begin a call, several at a time. It may be one that runs tasks, and it need not belong to a
///   runtime.
/// * Keys and options are borrowed for the call of the method alone. Values are owned.
/// * A method cannot fail. Every outcome arrives through the completion, perhaps before the method returns. If the
///   method panics, the panic is the outcome, unless the call was completed before.
/// * Call completions without holding your locks. They may begin the next call.
/// * The host cancels a call through the returned [`Running`] if it no longer needs the outcome. Drop a canceled
///   completion, or complete it as usual. A region cancels reads and waits for a mutex. It never cancels a write or a
///   release that has begun.
/// * Bound each call by a timeout of your own, from its beginning to its outcome. A region sets no limit for it.
/// * When the backend and its calls are dropped, the calls in progress end. Dropping their completions is enough.
/// * A thread or a runtime that serves calls belongs to one process. After a fork, the child needs its own. End a
///   runtime without waiting for its threads, because its last owner may be one of them.
pub trait Operations: fmt::Debug + Send + Sync + 'static {
    /// Begins [`CacheBackend::get`](crate::CacheBackend::get).
    fn begin_get(&self, key: &str, completion: Completion<Option<CachedValue>>) -> Running;

    /// Begins [`CacheBackend::get_multi`](crate::CacheBackend::get_multi).
    fn begin_get_multi(&self, keys: &[&str], completion: Completion<Vec<Option<CachedValue>>>) -> Running;

    /// Begins [`CacheBackend::set`](crate::CacheBackend::set).
    fn begin_set(
        &self,
        key: &str,
        value: CachedValue,
        options: &StoreOptions,
        completion: Completion<()>,
    ) -> Running;

    /// Begins [`CacheBackend::set_multi`](crate::CacheBackend::set_multi).
    fn begin_set_multi(&self, entries: Vec<Entry>, completion: Completion<()>) -> Running;

    /// Begins [`CacheBackend::delete`](crate::CacheBackend::delete).
    fn begin_delete(&self, key: &str, completion: Completion<()>) -> Running;

    /// Begins [`CacheBackend::delete_multi`](crate::CacheBackend::delete_multi).
    fn begin_delete_multi(&self, keys: &[&str], completion: Completion<()>) -> Running;
}

const _: fn(&dyn Operations) = |_| {};

/// The asynchronous calls of a mutex, as completions. The rules of [`Operations`] apply.
///
/// They act on the mutex that returned them: its `is_lost` and `fence` describe the acquisition made here. The host
/// releases a mutex that is acquired after the call was canceled. There is no form of
/// [`locked`](crate::CacheMutex::locked): hosts call it on a thread.
pub trait MutexOperations: fmt::Debug + Send + Sync + 'static {
    /// Begins [`CacheMutex::try_acquire`](crate::CacheMutex::try_acquire).
    fn begin_try_acquire(&self, completion: Completion<bool>) -> Running;

    /// Begins [`CacheMutex::acquire_until`](crate::CacheMutex::acquire_until).
    fn begin_acquire_until(&self, deadline: Instant, completion: Completion<bool>) -> Running;

    /// Begins [`CacheMutex::release`](crate::CacheMutex::release).
    fn begin_release(&self, completion: Completion<()>) -> Running;
}

const _: fn(&dyn MutexOperations) = |_| {};
