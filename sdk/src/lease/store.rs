//! [`LeaseStore`]: what a backend implements to have leased mutexes.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::operations::LeaseOperations;
use crate::error::BackendError;
use crate::options::Fence;

/// The locks of a server, or of several. Each method receives the key to lock; the store chooses the name of its lock.
///
/// If the client is asynchronous, implement [`AsyncLeaseStore`](super::AsyncLeaseStore) instead.
///
/// # For implementors
/// * Calls come from the threads of callers and from those that renew leases, several at a time, also for one key.
/// * Each call ends within the timeout of one exchange with the server, whatever the server does.
/// * The server checks the token and changes the lock in one step. Otherwise a former holder could remove the lock of
///   the next one.
/// * A store that serves a forked child uses no connection and no thread of its parent. See
///   [`PerProcess`](crate::PerProcess).
/// * A panic during a renewal is logged, and the lease is then no longer renewed.
pub trait LeaseStore: fmt::Debug + Send + Sync + 'static {
    /// Acquires the lock of `key` for `token` if it is free, and returns whether it succeeded.
    ///
    /// The lock expires after `lease`. This call does not wait for another holder. If the lock already has this token,
    /// the call succeeds: the reply to an earlier attempt was lost.
    ///
    /// The caller waits until `deadline` at most, so the call ends by then, if it does not end at its own timeout before.
    ///
    /// # Errors
    /// If the server fails, or if it does not reply in time. An error of the kind [`Timeout`] means that the lock may
    /// have been acquired. [`Leases`](super::Leases) removes it in the background.
    ///
    /// [`Timeout`]: crate::ErrorKind::Timeout
    fn acquire(
        &self,
        key: &str,
        token: &str,
        lease: Duration,
        deadline: Instant,
    ) -> Result<bool, BackendError>;

    /// Renews the lock of `key` for `lease` from now, if `token` owns it.
    ///
    /// Returns `false` and changes nothing if the lock is gone or has another token. It returns `true` only if the lock
    /// has had this token ever since it was acquired: a lock that expired must not come back.
    ///
    /// # Errors
    /// If the server fails. The renewal is tried again after a twelfth of the lease, until it succeeds or the server
    /// reports that the lock is gone.
    fn renew(&self, key: &str, token: &str, lease: Duration) -> Result<bool, BackendError>;

    /// Removes the lock of `key`, if `token` owns it.
    ///
    /// Returns `false` and changes nothing if the lock is gone or has another token.
    ///
    /// # Errors
    /// If the server fails. [`Leases`](super::Leases) then removes the lock in the background.
    fn release(&self, key: &str, token: &str) -> Result<bool, BackendError>;

    /// Returns whether the lock of `key` is held. An expired lock is not.
    ///
    /// # Errors
    /// If the server fails.
    fn locked(&self, key: &str) -> Result<bool, BackendError>;

    /// Returns a token with which the store can check that `token` still owns the lock of `key`. The default is `None`.
    ///
    /// See [`StoreOptions::fence`](crate::StoreOptions::fence).
    fn fence(&self, key: &str, token: &str) -> Option<Fence> {
        let _ = (key, token);
        None
    }

    /// Returns a name for the server that has the lock of `key`. The default is the key itself: each lock may be on a
    /// server of its own. A store on one server returns the same name for every key, and then takes fewer threads and
    /// fewer connections while the server hangs.
    ///
    /// The leases on one server are renewed one after another, and those on different servers side by side, so that a
    /// server that hangs endangers no lease on another one. It is called at each renewal, because keys may move
    /// to another server. This call performs no I/O and never blocks. A wrong name costs time, and nothing else.
    fn server<'k>(&self, key: &'k str) -> Cow<'k, str> {
        Cow::Borrowed(key)
    }

    /// Returns whether the server of `key` did not reply in time to its last request. The default is `false`.
    ///
    /// A lock on such a server is released in the background, because its holder has waited long enough. This call
    /// performs no I/O and never blocks.
    fn is_stuck(&self, key: &str) -> bool {
        let _ = key;
        false
    }

    /// Returns the asynchronous calls of the store. With `None`, the default, its mutexes have none.
    fn operations(&self) -> Option<Arc<dyn LeaseOperations>> {
        None
    }

    /// Begins a wait for the lock of `key`, which another holder has. The default is [`Asleep`].
    fn wait<'w>(&'w self, key: &'w str) -> Box<dyn LeaseWait + 'w> {
        let _ = key;
        Box::new(Asleep)
    }
}

const _: fn(&dyn LeaseStore) = |_| {};

/// One thread's wait for a lock that another holder has. Dropping it ends the wait.
pub trait LeaseWait {
    /// Blocks for at most `limit` and returns whether a release was signaled.
    ///
    /// An implementation may subscribe to releases in the first call that is long enough. That call returns `false`
    /// early, so that the caller notices a release from before the subscription.
    fn pause(&mut self, limit: Duration) -> bool;
}

/// The wait for a lock whose release is not signaled. It sleeps.
#[derive(Debug)]
pub struct Asleep;

impl LeaseWait for Asleep {
    fn pause(&mut self, limit: Duration) -> bool {
        thread::sleep(limit);
        false
    }
}
