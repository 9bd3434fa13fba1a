//! [`OnTokio`]: an [`AsyncBytesBackend`] on a tokio runtime of its own.

mod acquiring;
mod calls;
mod leases;
mod mutex;
mod outcome;
mod process;
mod waiting;

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use self::calls::Calls;
use self::leases::{Leased, TokioLeases};
use self::mutex::TokioMutex;
use self::process::Processes;
use crate::async_backend::AsyncBytesBackend;
use crate::backend::{CacheBackend, KeyMangler};
use crate::capabilities::Capabilities;
use crate::completion::Completion;
use crate::error::BackendError;
use crate::lease::{AsyncLeaseStore, LeaseOptions, LeaseStore};
use crate::mutex::CacheMutex;
use crate::operations::Operations;
use crate::options::{Entry, StoreOptions};
use crate::running::Running;
use crate::value::CachedValue;

/// The time limit of a call unless another one is set.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// An [`AsyncBytesBackend`] on a tokio runtime of its own, as a [`CacheBackend`]. It has blocking and asynchronous
/// calls.
///
/// It writes and reads the [envelope](crate::envelope), as [`Enveloped`](crate::Enveloped) does.
///
/// ```
/// use std::{collections::HashMap, sync::Mutex};
///
/// use dogpile_sdk::{AsyncBytesBackend, BackendError, NoArguments, OnTokio, StoreOptions};
///
/// #[derive(Debug, Default)]
/// struct Drawer(Mutex<HashMap<String, Vec<u8>>>);
///
/// impl AsyncBytesBackend for Drawer {
///     async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BackendError> {
///         Ok(self.0.lock().unwrap().get(key).cloned())
///     }
///     async fn set(&self, key: &str, value: Vec<u8>, _options: &StoreOptions) -> Result<(), BackendError> {
///         self.0.lock().unwrap().insert(key.to_owned(), value);
///         Ok(())
///     }
///     async fn delete(&self, key: &str) -> Result<(), BackendError> {
///         self.0.lock().unwrap().remove(key);
///         Ok(())
///     }
/// }
///
/// dogpile_sdk::register_backend! {
///     name: "acme.drawer",
///     config: NoArguments,
///     build: |_| OnTokio::start(2, async || Ok(Drawer::default())),
/// }
/// ```
///
/// # Calls
/// * A blocking call waits for the runtime, on any thread. It may be made on a thread of another tokio runtime, which it
///   blocks, and on a thread of this one.
/// * Each call has a [time limit](Self::with_call_timeout). A call that exceeds it is canceled and returns an error of
///   the kind [`ErrorKind::Timeout`](crate::ErrorKind::Timeout). Waiting for a mutex ends at its own deadline; the limit
///   applies to each attempt.
/// * A canceled call is dropped at its next `.await`. A canceled wait for a mutex ends after the attempt in progress,
///   and the mutex is released if that attempt acquired it. The release of a mutex is never canceled.
/// * An attempt to acquire a [leased](Self::with_leases) mutex is dropped when it is canceled or exceeds a limit. Its lock
///   is then removed in the background.
/// * A panic of the backend is an error of the kind [`ErrorKind::Panicked`](crate::ErrorKind::Panicked).
///
/// # Lifetime
/// Dropping the backend and its [`operations`](CacheBackend::operations) ends the runtime without waiting for it, so
/// that the last owner may die on any thread. Calls in progress are canceled; a release in progress is completed first.
/// Dropping the [`AsyncBytesBackend`] itself may happen outside of the runtime. The mutexes of a backend are owners too.
/// With [leases](Self::with_leases), dropping the last owner waits for a renewal in progress. An acquisition in progress is
/// an owner, too: cancel it. A lock whose removal waits for the background is then left to the end of its lease.
///
/// The runtime belongs to a process. A fork is supported while no other thread makes a call. The first call of the child
/// starts a new runtime and builds a new backend on it. The parent's are abandoned in the child and never dropped there.
/// A mutex of the parent returns errors in the child.
pub struct OnTokio<B> {
    calls: Calls<B>,
    leased: Option<Leased<B>>,
}

impl<B: AsyncBytesBackend> OnTokio<B> {
    /// Starts a runtime with `threads` worker threads, and builds the backend on it.
    ///
    /// `build` runs on the runtime. It may open connections, but if it fails, so does the configuration of the region:
    /// connect when the first call needs it, so that an application starts while its server is down. `build` is called
    /// again in a forked child, by the first call. If it fails there, that call returns the error, and the next one
    /// tries again. This call blocks until the backend is built, for at most 30 seconds.
    ///
    /// # Errors
    /// If `threads` is 0, if the threads cannot be started, or if `build` fails, panics, or takes too long.
    pub fn start<F, Fut>(threads: usize, build: F) -> Result<Self, BackendError>
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<B, BackendError>> + Send + 'static,
    {
        let build = move || Box::pin(build()) as process::Building<B>;
        let processes = Processes::start(threads, Box::new(build), CALL_TIMEOUT)?;
        Ok(OnTokio { calls: Calls::new(Arc::new(processes), CALL_TIMEOUT), leased: None })
    }

    /// Sets the time limit of each call. Default: 30 seconds. `Duration::MAX` sets no limit.
    ///
    /// Without a limit, a blocking call waits for as long as the future of the backend takes.
    #[must_use]
    pub fn with_call_timeout(self, limit: Duration) -> Self {
        let calls = self.calls.with_limit(limit);
        let leased = self.leased.map(|leased| leased.with_calls(calls.clone()));
        OnTokio { calls, leased }
    }

    /// Begins a call and waits for its outcome.
    fn call<T: Send + 'static>(
        &self,
        operation: &'static str,
        begin: impl FnOnce(&Calls<B>, Completion<T>) -> Running,
    ) -> Result<T, BackendError> {
        waiting::outcome(operation, self.calls.limit(), |completion| begin(&self.calls, completion))
    }
}

impl<B: AsyncBytesBackend + AsyncLeaseStore> OnTokio<B> {
    /// Provides leased mutexes on the locks of the backend. Default: the mutexes of
    /// [`AsyncBytesBackend::get_mutex`], which is then not called.
    ///
    /// The calls of the locks run on the runtime of the values, and have the same time limit. See [`lease`](crate::lease)
    /// for what a leased mutex does. Its threads that renew leases wait for the runtime.
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use std::sync::Mutex;
    /// use std::time::Duration;
    ///
    /// use dogpile_sdk::lease::{AsyncLeaseStore, LeaseOptions};
    /// use dogpile_sdk::{AsyncBytesBackend, BackendError, CacheBackend, OnTokio, StoreOptions};
    ///
    /// /// Stands for a server: its values, and the token of each lock. The locks do not expire.
    /// #[derive(Debug, Default)]
    /// struct Drawer(Mutex<HashMap<String, Vec<u8>>>, Mutex<HashMap<String, String>>);
    ///
    /// impl AsyncBytesBackend for Drawer {
    ///     async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BackendError> {
    ///         Ok(self.0.lock().unwrap().get(key).cloned())
    ///     }
    ///     async fn set(&self, key: &str, value: Vec<u8>, _options: &StoreOptions) -> Result<(), BackendError> {
    ///         self.0.lock().unwrap().insert(key.to_owned(), value);
    ///         Ok(())
    ///     }
    ///     async fn delete(&self, key: &str) -> Result<(), BackendError> {
    ///         self.0.lock().unwrap().remove(key);
    ///         Ok(())
    ///     }
    /// }
    ///
    /// impl AsyncLeaseStore for Drawer {
    ///     async fn acquire(&self, key: &str, token: &str, _lease: Duration) -> Result<bool, BackendError> {
    ///         Ok(self.1.lock().unwrap().entry(key.to_owned()).or_insert_with(|| token.to_owned()) == token)
    ///     }
    ///     async fn renew(&self, key: &str, token: &str, _lease: Duration) -> Result<bool, BackendError> {
    ///         Ok(self.1.lock().unwrap().get(key).is_some_and(|owner| owner == token))
    ///     }
    ///     async fn release(&self, key: &str, token: &str) -> Result<bool, BackendError> {
    ///         Ok(self.1.lock().unwrap().extract_if(|locked, owner| locked == key && owner == token).count() > 0)
    ///     }
    ///     async fn locked(&self, key: &str) -> Result<bool, BackendError> {
    ///         Ok(self.1.lock().unwrap().contains_key(key))
    ///     }
    /// }
    ///
    /// let backend = OnTokio::start(2, async || Ok(Drawer::default()))?.with_leases(LeaseOptions::default());
    /// let (one, two) = (backend.get_mutex("tea").unwrap(), backend.get_mutex("tea").unwrap());
    /// assert!(one.try_acquire()? && !two.try_acquire()?);
    /// one.release()?;
    /// # Ok::<(), BackendError>(())
    /// ```
    #[must_use]
    pub fn with_leases(self, options: LeaseOptions) -> Self {
        let leased = Some(Leased::new(self.calls.clone(), options));
        OnTokio { leased, ..self }
    }

    /// Returns the locks of the backend, for the level `lease_store` of the conformance suite.
    ///
    /// The lease store keeps the runtime alive.
    pub fn lease_store(&self) -> Arc<dyn LeaseStore> {
        Arc::new(TokioLeases(self.calls.clone()))
    }
}

impl<B: fmt::Debug> fmt::Debug for OnTokio<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.calls, f)
    }
}

impl<B: AsyncBytesBackend> CacheBackend for OnTokio<B> {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        self.call("get", |calls, completion| calls.begin_get(key, completion))
    }

    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        self.call("set", |calls, completion| calls.begin_set(key, value, options, completion))
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.call("delete", |calls, completion| calls.begin_delete(key, completion))
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        self.call("get_multi", |calls, completion| calls.begin_get_multi(keys, completion))
    }

    fn set_multi(&self, entries: Vec<Entry>) -> Result<(), BackendError> {
        self.call("set_multi", |calls, completion| calls.begin_set_multi(entries, completion))
    }

    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        self.call("delete_multi", |calls, completion| calls.begin_delete_multi(keys, completion))
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        match &self.leased {
            Some(leased) => Some(leased.mutex(key)),
            None => Some(Arc::new(TokioMutex::of(&self.calls, key)?)),
        }
    }

    fn key_mangler(&self) -> Option<KeyMangler> {
        self.calls.backend().key_mangler()
    }

    fn store_key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        self.calls.backend().store_key(key)
    }

    fn capabilities(&self) -> Capabilities {
        // A blocking call waits for a thread of the runtime, even if the store is in memory.
        let mut capabilities = self.calls.backend().capabilities().with_immediate(false);
        capabilities.serializer.get_or_insert_with(|| "json".to_owned());
        capabilities
    }

    fn health(&self) -> Result<(), BackendError> {
        self.call("health", Calls::begin_health)
    }

    fn close(&self) -> Result<(), BackendError> {
        self.call("close", Calls::begin_close)
    }

    fn operations(&self) -> Option<Arc<dyn Operations>> {
        Some(Arc::new(self.calls.clone()))
    }
}
