//! [`Runtime`]: what asynchronous calls need of an async runtime.

use std::fmt;
use std::pin::Pin;
use std::time::Instant;

/// A future that a [`Runtime`] runs or returns.
pub type RuntimeFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What asynchronous calls need of an async runtime.
///
/// Set it with [`RegionConfig::runtime`](crate::RegionConfig::runtime). The default suits tokio (with the feature `tokio`)
/// and any other runtime: a call of a region can be awaited anywhere, because it only needs its waker. An implementation
/// saves the host's own threads.
///
/// For smol:
///
/// ```
/// use std::time::Instant;
///
/// use dogpile::{Runtime, RuntimeFuture};
///
/// #[derive(Debug)]
/// struct Smol;
///
/// impl Runtime for Smol {
///     fn spawn(&self, future: RuntimeFuture) {
///         smol::spawn(future).detach();
///     }
///
///     fn sleep_until(&self, time: Instant) -> RuntimeFuture {
///         Box::pin(async move {
///             smol::Timer::at(time).await;
///         })
///     }
///
///     fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
///         smol::unblock(work).detach();
///     }
/// }
/// ```
pub trait Runtime: fmt::Debug + Send + Sync + 'static {
    /// Runs `future` to its end, as a task that no caller waits for. A runtime that shuts down may drop it.
    fn spawn(&self, future: RuntimeFuture);

    /// Returns the present time of [`sleep_until`](Self::sleep_until). The default is the system's.
    ///
    /// Some runtimes let tests set their clock.
    fn now(&self) -> Instant {
        Instant::now()
    }

    /// Returns a future that ends at `time`, or soon after.
    fn sleep_until(&self, time: Instant) -> RuntimeFuture;

    /// Runs `work`, which may block for as long as a backend does, on a thread where that delays no task. A runtime that
    /// shuts down may drop it.
    ///
    /// Regions bound how much work of a store runs at a time.
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>);
}
