//! [`AsyncMutex`]: a mutex whose calls are `async fn`s.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::error::BackendError;
use crate::options::Fence;

/// A mutex for one key, whose calls are `async fn`s.
///
/// For locks on a server, implement [`AsyncLeaseStore`](crate::lease::AsyncLeaseStore) instead.
///
/// There is no `acquire_until`: `OnTokio` calls [`try_acquire`](Self::try_acquire) until the deadline. A wait can then
/// be canceled between two attempts, when it is certain that the mutex is not held.
///
/// # For implementors
/// The rules of [`CacheMutex`](crate::CacheMutex) hold here too. In addition:
/// * A canceled attempt runs to its end, and the mutex is released if it was acquired.
/// * An attempt that takes too long is dropped at an `.await`, and [`release`](Self::release) is called. The request may
///   have reached the store nevertheless, so `release` must free the mutex then. Choose its token before the request.
pub trait AsyncMutex: fmt::Debug + Send + Sync + 'static {
    /// See [`CacheMutex::try_acquire`](crate::CacheMutex::try_acquire).
    ///
    /// # Errors
    /// If the store fails.
    fn try_acquire(&self) -> impl Future<Output = Result<bool, BackendError>> + Send;

    /// See [`CacheMutex::release`](crate::CacheMutex::release).
    ///
    /// # Errors
    /// [`ErrorKind::NotHeld`](crate::ErrorKind::NotHeld) if this object does not hold the mutex, or no longer holds it;
    /// another kind if the store fails.
    fn release(&self) -> impl Future<Output = Result<(), BackendError>> + Send;

    /// See [`CacheMutex::locked`](crate::CacheMutex::locked).
    ///
    /// # Errors
    /// If the store fails.
    fn locked(&self) -> impl Future<Output = Result<bool, BackendError>> + Send;

    /// Waits until the mutex may have become free, so that a waiter need not poll. The default waits forever.
    ///
    /// The future is dropped when it is time for the next attempt. It may miss releases, and it may return early.
    fn released(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// See [`CacheMutex::is_lost`](crate::CacheMutex::is_lost).
    fn is_lost(&self) -> bool {
        false
    }

    /// See [`CacheMutex::fence`](crate::CacheMutex::fence).
    fn fence(&self) -> Option<Fence> {
        None
    }
}

/// An [`AsyncMutex`] of any type. Clones are the same mutex.
#[derive(Clone)]
pub struct BoxedMutex(Arc<dyn Boxed>);

impl BoxedMutex {
    /// Creates the box around `mutex`.
    pub fn new(mutex: impl AsyncMutex) -> Self {
        BoxedMutex(Arc::new(mutex))
    }
}

impl fmt::Debug for BoxedMutex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl AsyncMutex for BoxedMutex {
    async fn try_acquire(&self) -> Result<bool, BackendError> {
        self.0.try_acquire().await
    }

    async fn release(&self) -> Result<(), BackendError> {
        self.0.release().await
    }

    async fn locked(&self) -> Result<bool, BackendError> {
        self.0.locked().await
    }

    async fn released(&self) {
        self.0.released().await;
    }

    fn is_lost(&self) -> bool {
        self.0.is_lost()
    }

    fn fence(&self) -> Option<Fence> {
        self.0.fence()
    }
}

type BoxedFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// [`AsyncMutex`] in a form that can be a trait object.
trait Boxed: fmt::Debug + Send + Sync {
    fn try_acquire(&self) -> BoxedFuture<'_, Result<bool, BackendError>>;
    fn release(&self) -> BoxedFuture<'_, Result<(), BackendError>>;
    fn locked(&self) -> BoxedFuture<'_, Result<bool, BackendError>>;
    fn released(&self) -> BoxedFuture<'_, ()>;
    fn is_lost(&self) -> bool;
    fn fence(&self) -> Option<Fence>;
}

impl<M: AsyncMutex> Boxed for M {
    fn try_acquire(&self) -> BoxedFuture<'_, Result<bool, BackendError>> {
        Box::pin(AsyncMutex::try_acquire(self))
    }

    fn release(&self) -> BoxedFuture<'_, Result<(), BackendError>> {
        Box::pin(AsyncMutex::release(self))
    }

    fn locked(&self) -> BoxedFuture<'_, Result<bool, BackendError>> {
        Box::pin(AsyncMutex::locked(self))
    }

    fn released(&self) -> BoxedFuture<'_, ()> {
        Box::pin(AsyncMutex::released(self))
    }

    fn is_lost(&self) -> bool {
        AsyncMutex::is_lost(self)
    }

    fn fence(&self) -> Option<Fence> {
        AsyncMutex::fence(self)
    }
}
