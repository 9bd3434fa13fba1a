//! [`AsyncLeaseStore`]: a lease store whose calls are `async fn`s.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use crate::error::BackendError;
use crate::options::Fence;

/// A [`LeaseStore`](super::LeaseStore) whose calls are `async fn`s.
///
/// An [`AsyncBytesBackend`](crate::AsyncBytesBackend) implements it too. `OnTokio::with_leases` (feature `tokio`) then
/// provides its leased mutexes, with blocking and asynchronous calls. Values and locks share one runtime.
///
/// # For implementors
/// The rules of [`LeaseStore`](super::LeaseStore) hold here too. In addition:
/// * Write plain `async fn`s. Their futures must be `Send`.
/// * Bound each wait, for example for a reply.
/// * A call may be dropped at an `.await`: an acquisition at the deadline of its caller or when it is canceled, and any
///   call at the time limit of `OnTokio`. The next call must still work.
/// * A dropped acquisition may have reached the server. [`Leases`](super::Leases) calls [`release`](Self::release) for
///   its token then. Make sure that the server receives the release after the acquisition.
/// * A panic is an error of the kind [`ErrorKind::Panicked`](crate::ErrorKind::Panicked). The store stays in use.
pub trait AsyncLeaseStore: fmt::Debug + Send + Sync + 'static {
    /// Acquires the lock of `key` for `token` if it is free, and returns whether it succeeded.
    ///
    /// See [`LeaseStore::acquire`](super::LeaseStore::acquire). There is no deadline: the caller drops the future.
    ///
    /// # Errors
    /// If the server fails, or if it does not reply in time.
    fn acquire(
        &self,
        key: &str,
        token: &str,
        lease: Duration,
    ) -> impl Future<Output = Result<bool, BackendError>> + Send;

    /// Renews the lock of `key` for `lease` from now, if `token` owns it.
    ///
    /// See [`LeaseStore::renew`](super::LeaseStore::renew).
    ///
    /// # Errors
    /// If the server fails.
    fn renew(
        &self,
        key: &str,
        token: &str,
        lease: Duration,
    ) -> impl Future<Output = Result<bool, BackendError>> + Send;

    /// Removes the lock of `key`, if `token` owns it.
    ///
    /// See [`LeaseStore::release`](super::LeaseStore::release).
    ///
    /// # Errors
    /// If the server fails.
    fn release(&self, key: &str, token: &str) -> impl Future<Output = Result<bool, BackendError>> + Send;

    /// Returns whether the lock of `key` is held. An expired lock is not.
    ///
    /// # Errors
    /// If the server fails.
    fn locked(&self, key: &str) -> impl Future<Output = Result<bool, BackendError>> + Send;

    /// Waits until the lock of `key` may have become free, so that a waiter need not poll. The default waits forever.
    ///
    /// The future is dropped when it is time for the next attempt. It may miss releases, and it may return early.
    fn released(&self, key: &str) -> impl Future<Output = ()> + Send {
        let _ = key;
        std::future::pending()
    }

    /// Returns a token with which the store can check that `token` still owns the lock. The default is `None`.
    ///
    /// See [`LeaseStore::fence`](super::LeaseStore::fence).
    fn fence(&self, key: &str, token: &str) -> Option<Fence> {
        let _ = (key, token);
        None
    }

    /// Returns a name for the server that has the lock of `key`. The default is the key itself.
    ///
    /// See [`LeaseStore::server`](super::LeaseStore::server).
    fn server<'k>(&self, key: &'k str) -> Cow<'k, str> {
        Cow::Borrowed(key)
    }

    /// Returns whether the server of `key` did not reply in time to its last request. The default is `false`.
    ///
    /// See [`LeaseStore::is_stuck`](super::LeaseStore::is_stuck).
    fn is_stuck(&self, key: &str) -> bool {
        let _ = key;
        false
    }
}
