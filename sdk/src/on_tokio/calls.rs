//! [`Calls`]: the asynchronous calls of a backend on the runtime of this process.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::outcome::{contained, within};
use super::process::{Here, Processes, Site};
use crate::async_backend::{AsyncBytesBackend, OwnedBytesEntry};
use crate::completion::Completion;
use crate::envelope::{open, seal};
use crate::error::BackendError;
use crate::operations::Operations;
use crate::options::{Entry, StoreOptions};
use crate::running::Running;
use crate::value::CachedValue;

/// The calls of a backend, and their time limit.
pub(super) struct Calls<B> {
    processes: Arc<Processes<B>>,
    limit: Duration,
}

impl<B> Calls<B> {
    pub(super) fn new(processes: Arc<Processes<B>>, limit: Duration) -> Self {
        Calls { processes, limit }
    }

    pub(super) fn with_limit(self, limit: Duration) -> Self {
        Calls { limit, ..self }
    }

    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// Returns the backend of the first process, for questions whose reply is the same in each process.
    pub(super) fn backend(&self) -> &B {
        self.processes.backend()
    }

    /// Returns the backend of this process if it is built.
    pub(super) fn built(&self) -> Option<&B> {
        self.processes.built()
    }
}

impl<B: AsyncBytesBackend> Calls<B> {
    /// Returns the runtime and the backend of this process.
    pub(super) fn here(&self) -> Result<Here<'_, B>, BackendError> {
        self.processes.here()
    }

    pub(super) fn begin_health(&self, completion: Completion<()>) -> Running {
        self.begin("health", completion, |site| async move { site.backend().await?.health().await })
    }

    pub(super) fn begin_close(&self, completion: Completion<()>) -> Running {
        self.begin("close", completion, |site| async move { site.backend().await?.close().await })
    }

    /// Runs `work` on the runtime of this process. Canceling drops it.
    pub(super) fn begin<T, F>(
        &self,
        operation: &'static str,
        completion: Completion<T>,
        work: impl FnOnce(Arc<Site<B>>) -> F,
    ) -> Running
    where
        T: Send + 'static,
        F: Future<Output = Result<T, BackendError>> + Send + 'static,
    {
        let here = match self.here() {
            Ok(here) => here,
            Err(error) => return failed(completion, error.during(operation)),
        };
        let work = contained(operation, within(operation, self.limit, work(here.site())));
        // A task that is dropped drops its completion, which ends the call.
        let task = here.handle().spawn(async move { completion.complete(work.await) });
        let task = task.abort_handle();
        Running::new(move || task.abort())
    }
}

/// Ends a call that cannot begin.
pub(super) fn failed<T>(completion: Completion<T>, error: BackendError) -> Running {
    completion.complete(Err(error));
    Running::done()
}

impl<B> Clone for Calls<B> {
    fn clone(&self) -> Self {
        Calls { processes: Arc::clone(&self.processes), limit: self.limit }
    }
}

impl<B: fmt::Debug> fmt::Debug for Calls<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.processes, f)
    }
}

impl<B: AsyncBytesBackend> Operations for Calls<B> {
    fn begin_get(&self, key: &str, completion: Completion<Option<CachedValue>>) -> Running {
        let key = key.to_owned();
        self.begin("get", completion, |site| async move {
            Ok(site.backend().await?.get(&key).await?.and_then(open))
        })
    }

    fn begin_get_multi(&self, keys: &[&str], completion: Completion<Vec<Option<CachedValue>>>) -> Running {
        let keys = owned(keys);
        self.begin("get_multi", completion, |site| async move {
            let found = site.backend().await?.get_multi(&borrowed(&keys)).await?;
            Ok(found.into_iter().map(|stored| stored.and_then(open)).collect())
        })
    }

    fn begin_set(
        &self,
        key: &str,
        value: CachedValue,
        options: &StoreOptions,
        completion: Completion<()>,
    ) -> Running {
        let sealed = match seal(key, &value) {
            Ok(sealed) => sealed,
            Err(error) => return failed(completion, error),
        };
        let (key, options) = (key.to_owned(), options.clone());
        self.begin("set", completion, |site| async move {
            site.backend().await?.set(&key, sealed, &options).await
        })
    }

    fn begin_set_multi(&self, entries: Vec<Entry>, completion: Completion<()>) -> Running {
        let sealed = entries.into_iter().map(|Entry { key, value, options }| {
            let value = seal(&key, &value)?;
            Ok(OwnedBytesEntry { key, value, options })
        });
        let entries = match sealed.collect::<Result<Vec<_>, BackendError>>() {
            Ok(entries) => entries,
            Err(error) => return failed(completion, error),
        };
        self.begin(
            "set_multi",
            completion,
            |site| async move { site.backend().await?.set_multi(entries).await },
        )
    }

    fn begin_delete(&self, key: &str, completion: Completion<()>) -> Running {
        let key = key.to_owned();
        self.begin("delete", completion, |site| async move { site.backend().await?.delete(&key).await })
    }

    fn begin_delete_multi(&self, keys: &[&str], completion: Completion<()>) -> Running {
        let keys = owned(keys);
        self.begin("delete_multi", completion, |site| async move {
            site.backend().await?.delete_multi(&borrowed(&keys)).await
        })
    }
}

fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|&key| key.to_owned()).collect()
}

fn borrowed(keys: &[String]) -> Vec<&str> {
    keys.iter().map(String::as_str).collect()
}
