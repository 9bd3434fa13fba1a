//! [`TokioLeases`]: an [`AsyncLeaseStore`] on the runtime of this process, as a [`LeaseStore`].

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::calls::Calls;
use super::waiting;
use crate::async_backend::AsyncBytesBackend;
use crate::completion::Completion;
use crate::error::BackendError;
use crate::error_chain::error_chain;
use crate::lease::{Asleep, AsyncLeaseStore, LeaseOperations, LeaseOptions, LeaseStore, LeaseWait, Leases};
use crate::mutex::CacheMutex;
use crate::options::Fence;
use crate::running::Running;

/// The leased mutexes of a backend.
pub(super) struct Leased<B> {
    leases: Leases,
    options: LeaseOptions,
    /// Makes the lease store of the backend, again if the time limit of its calls changes.
    store: fn(Calls<B>) -> Arc<dyn LeaseStore>,
}

impl<B: AsyncBytesBackend + AsyncLeaseStore> Leased<B> {
    pub(super) fn new(calls: Calls<B>, options: LeaseOptions) -> Self {
        Leased::of(calls, options, |calls| Arc::new(TokioLeases(calls)))
    }
}

impl<B> Leased<B> {
    fn of(calls: Calls<B>, options: LeaseOptions, store: fn(Calls<B>) -> Arc<dyn LeaseStore>) -> Self {
        Leased { leases: Leases::new(store(calls), options.clone()), options, store }
    }

    /// Returns the mutexes whose calls are `calls`.
    pub(super) fn with_calls(self, calls: Calls<B>) -> Self {
        Leased::of(calls, self.options, self.store)
    }

    pub(super) fn mutex(&self, key: &str) -> Arc<dyn CacheMutex> {
        self.leases.mutex(key)
    }
}

/// The locks of a backend.
pub(super) struct TokioLeases<B>(pub(super) Calls<B>);

impl<B: AsyncBytesBackend + AsyncLeaseStore> TokioLeases<B> {
    /// Begins a call and waits for its outcome.
    fn call(
        &self,
        operation: &'static str,
        begin: impl FnOnce(&Self, Completion<bool>) -> Running,
    ) -> Result<bool, BackendError> {
        waiting::outcome(operation, self.0.limit(), |completion| begin(self, completion))
    }

    /// Returns the same locks with another time limit.
    fn with_limit(&self, limit: Duration) -> Self {
        TokioLeases(self.0.clone().with_limit(limit))
    }
}

impl<B: AsyncBytesBackend + AsyncLeaseStore> LeaseStore for TokioLeases<B> {
    fn acquire(
        &self,
        key: &str,
        token: &str,
        lease: Duration,
        deadline: Instant,
    ) -> Result<bool, BackendError> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.with_limit(left.min(self.0.limit()))
            .call("acquire", |store, completion| store.begin_acquire(key, token, lease, completion))
    }

    fn renew(&self, key: &str, token: &str, lease: Duration) -> Result<bool, BackendError> {
        // A third of the lease, so that another attempt follows before the lease ends.
        self.with_limit(self.0.limit().min(lease / 3)).call("renew", |store, completion| {
            let (key, token) = (key.to_owned(), token.to_owned());
            store.0.begin("renew", completion, |site| async move {
                site.backend().await?.renew(&key, &token, lease).await
            })
        })
    }

    fn release(&self, key: &str, token: &str) -> Result<bool, BackendError> {
        self.call("release", |store, completion| store.begin_release(key, token, completion))
    }

    fn locked(&self, key: &str) -> Result<bool, BackendError> {
        self.call("locked", |store, completion| {
            let key = key.to_owned();
            store.0.begin(
                "locked",
                completion,
                |site| async move { site.backend().await?.locked(&key).await },
            )
        })
    }

    fn fence(&self, key: &str, token: &str) -> Option<Fence> {
        self.0.built()?.fence(key, token)
    }

    fn server<'k>(&self, key: &'k str) -> Cow<'k, str> {
        self.0.built().map_or(Cow::Borrowed(key), |store| store.server(key))
    }

    fn is_stuck(&self, key: &str) -> bool {
        self.0.built().is_some_and(|store| store.is_stuck(key))
    }

    fn operations(&self) -> Option<Arc<dyn LeaseOperations>> {
        Some(Arc::new(TokioLeases(self.0.clone())))
    }

    fn wait<'w>(&'w self, key: &'w str) -> Box<dyn LeaseWait + 'w> {
        Box::new(Wait { store: self, key })
    }
}

impl<B: AsyncBytesBackend + AsyncLeaseStore> LeaseOperations for TokioLeases<B> {
    fn begin_acquire(
        &self,
        key: &str,
        token: &str,
        lease: Duration,
        completion: Completion<bool>,
    ) -> Running {
        let (key, token) = (key.to_owned(), token.to_owned());
        self.0.begin("acquire", completion, |site| async move {
            site.backend().await?.acquire(&key, &token, lease).await
        })
    }

    fn begin_release(&self, key: &str, token: &str, completion: Completion<bool>) -> Running {
        let (key, token) = (key.to_owned(), token.to_owned());
        self.0.begin("release", completion, |site| async move {
            site.backend().await?.release(&key, &token).await
        })
    }

    fn begin_pause(&self, key: &str, limit: Duration, completion: Completion<bool>) -> Running {
        let key = key.to_owned();
        // The pause ends by itself. Only a forked child must build its backend first.
        let calls = self.0.clone().with_limit(limit.saturating_add(self.0.limit()));
        calls.begin("wait", completion, move |site| async move {
            let store = site.backend().await?;
            Ok(tokio::time::timeout(limit, store.released(&key)).await.is_ok())
        })
    }
}

impl<B: fmt::Debug> fmt::Debug for TokioLeases<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A thread's wait for a lock that another holder has.
struct Wait<'w, B> {
    store: &'w TokioLeases<B>,
    key: &'w str,
}

impl<B: AsyncBytesBackend + AsyncLeaseStore> LeaseWait for Wait<'_, B> {
    fn pause(&mut self, limit: Duration) -> bool {
        let Wait { store, key } = self;
        let paused = waiting::outcome("wait", limit, |completion| store.begin_pause(key, limit, completion));
        paused.unwrap_or_else(|error| {
            log::debug!("cannot wait for the release of key {key:?}: {}", error_chain(&error));
            // The next attempt must not follow at once.
            Asleep.pause(limit)
        })
    }
}
