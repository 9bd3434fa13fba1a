//! [`OnTokio`]: an [`AsyncBytesBackend`] on a tokio runtime of its own.

mod acquiring;
mod calls;
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
use self::mutex::TokioMutex;
use self::process::Processes;
use crate::async_backend::AsyncBytesBackend;
use crate::backend::{CacheBackend, KeyMangler};
use crate::capabilities::Capabilities;
use crate::completion::Completion;
use crate::error::BackendError;
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
/// * A panic of the backend is an error of the kind [`ErrorKind::Panicked`](crate::ErrorKind::Panicked).
///
/// # Lifetime
/// Dropping the backend and its [`operations`](CacheBackend::operations) ends the runtime without waiting for it, so
/// that the last owner may die on any thread. Calls in progress are canceled; a release in progress is completed first.
/// Dropping the [`AsyncBytesBackend`] itself may happen outside of the runtime.
///
/// The runtime belongs to a process. A fork is supported while no other thread makes a call. The first call of the child
/// starts a new runtime and builds a new backend on it. The parent's are abandoned in the child and never dropped there.
/// A mutex of the parent returns errors in the child.
pub struct OnTokio<B>(Calls<B>);

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
        Ok(OnTokio(Calls::new(Arc::new(processes), CALL_TIMEOUT)))
    }

    /// Sets the time limit of each call. Default: 30 seconds. `Duration::MAX` sets no limit.
    ///
    /// Without a limit, a blocking call waits for as long as the future of the backend takes.
    #[must_use]
    pub fn with_call_timeout(self, limit: Duration) -> Self {
        OnTokio(self.0.with_limit(limit))
    }

    /// Begins a call and waits for its outcome.
    fn call<T: Send + 'static>(
        &self,
        operation: &'static str,
        begin: impl FnOnce(&Calls<B>, Completion<T>) -> Running,
    ) -> Result<T, BackendError> {
        waiting::outcome(operation, self.0.limit(), |completion| begin(&self.0, completion))
    }
}

impl<B: fmt::Debug> fmt::Debug for OnTokio<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
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
        Some(Arc::new(TokioMutex::of(&self.0, key)?))
    }

    fn key_mangler(&self) -> Option<KeyMangler> {
        self.0.backend().key_mangler()
    }

    fn store_key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        self.0.backend().store_key(key)
    }

    fn capabilities(&self) -> Capabilities {
        // A blocking call waits for a thread of the runtime, even if the store is in memory.
        let mut capabilities = self.0.backend().capabilities().with_immediate(false);
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
        Some(Arc::new(self.0.clone()))
    }
}
