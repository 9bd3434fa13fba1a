//! Blocking a thread that may belong to an `OwnedRuntime`.

/// Runs `wait`, which blocks.
///
/// A thread of an [`OwnedRuntime`](crate::OwnedRuntime) hands its tasks to another thread first, so that `wait` may wait
/// for them.
#[cfg(feature = "tokio")]
pub(crate) fn blocking<T>(wait: impl FnOnce() -> T) -> T {
    if crate::owned_runtime::is_thread_of_one() { tokio::task::block_in_place(wait) } else { wait() }
}

/// Runs `wait`, which blocks.
#[cfg(not(feature = "tokio"))]
pub(crate) fn blocking<T>(wait: impl FnOnce() -> T) -> T {
    wait()
}
