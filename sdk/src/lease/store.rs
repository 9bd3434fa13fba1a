//! [`LeaseStore`]: what a backend implements to have leased mutexes.

use std::fmt;
use std::thread;
use std::time::Duration;

use crate::error::BackendError;
use crate::options::Fence;

/// The locks of a server. Each method receives the key to lock; the store chooses the name of its lock.
pub trait LeaseStore: fmt::Debug + Send + Sync + 'static {
    /// Acquires the lock of `key` for `token` if it is free, and returns whether it succeeded.
    ///
    /// The lock expires after `lease`. This call does not wait for another holder. If the lock already has this token,
    /// the call succeeds: the reply to an earlier attempt was lost.
    ///
    /// # Errors
    /// If the server fails.
    fn acquire(&self, key: &str, token: &str, lease: Duration) -> Result<bool, BackendError>;

    /// Renews the lock of `key` for `lease` from now, if `token` owns it.
    ///
    /// Returns `false` and changes nothing if the lock is gone or has another token.
    ///
    /// # Errors
    /// If the server fails.
    fn renew(&self, key: &str, token: &str, lease: Duration) -> Result<bool, BackendError>;

    /// Removes the lock of `key`, if `token` owns it.
    ///
    /// Returns `false` and changes nothing if the lock is gone or has another token.
    ///
    /// # Errors
    /// If the server fails.
    fn release(&self, key: &str, token: &str) -> Result<bool, BackendError>;

    /// Returns whether the lock of `key` is held by anybody.
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

    /// Begins a wait for the lock of `key`, which another holder has. The default is [`Asleep`].
    fn wait<'w>(&'w self, key: &'w str) -> Box<dyn LeaseWait + 'w> {
        let _ = key;
        Box::new(Asleep)
    }
}

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
