//! [`Tasks`]: the front end for tasks of an async runtime.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, CachedValue, Completion, Entry, ErrorKind, Pending, Running, StoreOptions};

use super::super::release::release_later;
use super::FrontEnd;
use super::access::{Access, Kind};
use super::offload::{Offload, Offloaded, WhenDropped};
use crate::caller::this_task;
use crate::engine::{HeldMutex, Leader, Role, StoreInProgress, unless};
use crate::runtime::{Runtime, runtime_for};

/// How long a call waits for a place among the calls of its store, and then for its end.
const PLACE_WAIT: Duration = Duration::from_secs(30);

/// How much longer than its deadline an asynchronous wait for a mutex may take.
const GRACE: Duration = Duration::from_millis(200);

/// Lets a task wait for the store.
#[derive(Clone, Copy)]
pub(crate) struct Tasks<'r> {
    /// The runtime that the region is configured with.
    configured: Option<&'r Arc<dyn Runtime>>,
}

impl<'r> Tasks<'r> {
    pub(crate) fn new(configured: Option<&'r Arc<dyn Runtime>>) -> Self {
        Tasks { configured }
    }

    fn runtime(self) -> Arc<dyn Runtime> {
        runtime_for(self.configured)
    }

    /// Makes a blocking call on a thread, at most until `deadline` if it has to wait for a place.
    async fn offload<T: Send + 'static>(
        self,
        offload: &Arc<Offload>,
        deadline: Instant,
        when_dropped: WhenDropped,
        call: impl FnOnce() -> Result<T, BackendError> + Send + 'static,
    ) -> Result<T, BackendError> {
        let Offloaded { pending, has_place } = offload.begin(&*self.runtime(), when_dropped, call);
        self.outcome(offload, pending, has_place, deadline).await
    }

    /// Waits for a call that a thread makes: at most until `deadline` if it has to wait for a place.
    async fn outcome<T>(
        self,
        offload: &Offload,
        pending: Pending<T>,
        has_place: bool,
        deadline: Instant,
    ) -> Result<T, BackendError> {
        if has_place {
            return pending.await;
        }
        let outcome = unless(pending, self.sleep_until(deadline)).await;
        outcome.unwrap_or_else(|| Err(no_place(offload)))
    }

    /// Reads on a thread. The future is boxed, so that those of calls that need no thread stay small.
    fn read<T: Send + 'static>(
        self,
        access: &Access,
        call: impl FnOnce() -> Result<T, BackendError> + Send + 'static,
    ) -> Pin<Box<impl Future<Output = Result<T, BackendError>>>> {
        let deadline = self.now() + PLACE_WAIT;
        Box::pin(self.offload(&access.threads.calls, deadline, WhenDropped::Canceled, call))
    }

    /// Writes on a thread. Once begun, the write goes on even if the caller is dropped.
    fn write(
        self,
        access: &Access,
        call: impl FnOnce() -> Result<(), BackendError> + Send + 'static,
    ) -> Pin<Box<impl Future<Output = Result<(), BackendError>>>> {
        let (deadline, working) = (self.now() + PLACE_WAIT, access.work.begin());
        let call = move || {
            let _working = working;
            call()
        };
        Box::pin(self.offload(&access.threads.calls, deadline, WhenDropped::Completed, call))
    }
}

fn no_place(offload: &Offload) -> BackendError {
    let limit = offload.limit();
    let message =
        format!("timed out waiting for one of the {limit} threads that make blocking calls of this store");
    BackendError::new(ErrorKind::Timeout, message)
}

/// Begins a write that goes on even if the caller is dropped: half of it may have reached the store. `in_progress` is
/// dropped when it has ended.
fn begin_write(
    access: &Access,
    in_progress: Vec<StoreInProgress>,
    begin: impl FnOnce(Completion<()>) -> Running,
) -> Pending<()> {
    let working = access.work.begin();
    Pending::begin(|completion| {
        let completion = Completion::new(move |outcome| {
            drop(in_progress);
            // The caller may wait until nothing is in progress.
            drop(working);
            completion.complete(outcome);
        });
        let _not_canceled = begin(completion);
        Running::done()
    })
}

/// Returns the keys as a thread needs them.
fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

fn borrowed(keys: &[String]) -> Vec<&str> {
    keys.iter().map(String::as_str).collect()
}

impl FrontEnd for Tasks<'_> {
    const ROLE: Role = Role::Task;

    fn apart<P: Future>(part: P) -> impl Future<Output = P::Output> {
        Box::pin(part)
    }

    fn leader(self) -> Leader {
        this_task()
    }

    fn must_not_wait_for_tasks(self) -> bool {
        false
    }

    fn now(self) -> Instant {
        self.runtime().now()
    }

    async fn sleep_until(self, time: Instant) {
        self.runtime().sleep_until(time).await;
    }

    async fn get(self, access: &Access, key: &str) -> Result<Option<CachedValue>, BackendError> {
        match &access.kind {
            Kind::Immediate => access.on_this_thread().get(key),
            Kind::Operations(operations) => {
                Pending::begin(|completion| operations.begin_get(key, completion)).await
            }
            Kind::Offloaded => {
                let (backend, key) = (access.for_another_thread(), key.to_owned());
                self.read(access, move || backend.get(&key)).await
            }
        }
    }

    async fn get_multi(
        self,
        access: &Access,
        keys: &[&str],
    ) -> Result<Vec<Option<CachedValue>>, BackendError> {
        match &access.kind {
            Kind::Immediate => access.on_this_thread().get_multi(keys),
            Kind::Operations(operations) => {
                Pending::begin(|completion| operations.begin_get_multi(keys, completion)).await
            }
            Kind::Offloaded => {
                let (backend, keys) = (access.for_another_thread(), owned(keys));
                self.read(access, move || backend.get_multi(&borrowed(&keys))).await
            }
        }
    }

    async fn set(
        self,
        access: &Access,
        key: &str,
        value: CachedValue,
        options: &StoreOptions,
        in_progress: Vec<StoreInProgress>,
    ) -> Result<(), BackendError> {
        match &access.kind {
            Kind::Immediate => access.on_this_thread().set(key, value, options),
            Kind::Operations(operations) => {
                let begin = |completion| operations.begin_set(key, value, options, completion);
                begin_write(access, in_progress, begin).await
            }
            Kind::Offloaded => {
                let (backend, key, options) = (access.for_another_thread(), key.to_owned(), options.clone());
                let call = move || {
                    let _in_progress = in_progress;
                    backend.set(&key, value, &options)
                };
                self.write(access, call).await
            }
        }
    }

    async fn set_multi(
        self,
        access: &Access,
        entries: Vec<Entry>,
        in_progress: Vec<StoreInProgress>,
    ) -> Result<(), BackendError> {
        match &access.kind {
            Kind::Immediate => access.on_this_thread().set_multi(entries),
            Kind::Operations(operations) => {
                let begin = |completion| operations.begin_set_multi(entries, completion);
                begin_write(access, in_progress, begin).await
            }
            Kind::Offloaded => {
                let backend = access.for_another_thread();
                let call = move || {
                    let _in_progress = in_progress;
                    backend.set_multi(entries)
                };
                self.write(access, call).await
            }
        }
    }

    async fn delete(self, access: &Access, key: &str) -> Result<(), BackendError> {
        match &access.kind {
            Kind::Immediate => access.on_this_thread().delete(key),
            Kind::Operations(operations) => {
                begin_write(access, Vec::new(), |completion| operations.begin_delete(key, completion)).await
            }
            Kind::Offloaded => {
                let (backend, key) = (access.for_another_thread(), key.to_owned());
                self.write(access, move || backend.delete(&key)).await
            }
        }
    }

    async fn delete_multi(self, access: &Access, keys: &[&str]) -> Result<(), BackendError> {
        match &access.kind {
            Kind::Immediate => access.on_this_thread().delete_multi(keys),
            Kind::Operations(operations) => {
                begin_write(access, Vec::new(), |completion| operations.begin_delete_multi(keys, completion))
                    .await
            }
            Kind::Offloaded => {
                let (backend, keys) = (access.for_another_thread(), owned(keys));
                self.write(access, move || backend.delete_multi(&borrowed(&keys))).await
            }
        }
    }

    async fn acquire(
        self,
        access: &Access,
        mutex: &HeldMutex,
        until: Option<Instant>,
    ) -> Result<bool, BackendError> {
        let (late, working) = (Arc::clone(mutex), access.work.begin());
        let release_late = move |acquired| {
            if acquired {
                release_later(late, working);
            }
        };
        if let Some(operations) = mutex.operations() {
            let begin = |completion| match until {
                Some(deadline) => operations.begin_acquire_until(deadline, completion),
                None => operations.begin_try_acquire(completion),
            };
            let pending = Pending::begin(begin).when_late(release_late);
            let Some(deadline) = until else { return pending.await };
            // A store that hangs would overrun the deadline.
            return unless(pending, self.sleep_until(deadline + GRACE)).await.unwrap_or(Ok(false));
        }
        let Some(deadline) = until else {
            if access.is_immediate() {
                return mutex.try_acquire();
            }
            let (deadline, mutex) = (self.now() + PLACE_WAIT, Arc::clone(mutex));
            return self
                .acquire_on_thread(&access.threads.calls, deadline, release_late, move || mutex.try_acquire())
                .await;
        };
        let mutex = Arc::clone(mutex);
        let acquire = move || mutex.acquire_until(deadline);
        let locks = &access.threads.locks;
        match self.acquire_on_thread(locks, deadline, release_late, acquire).await {
            // All threads wait for other mutexes. This wait ends like any other that was too long.
            Err(error) if error.kind() == ErrorKind::Timeout && self.now() >= deadline => Ok(false),
            outcome => outcome,
        }
    }

    async fn locked(self, access: &Access, mutex: &HeldMutex) -> Result<bool, BackendError> {
        if access.is_immediate() {
            return mutex.locked();
        }
        // No mutex has this as an asynchronous call.
        let mutex = Arc::clone(mutex);
        self.read(access, move || mutex.locked()).await
    }

    async fn release(self, access: &Access, mutex: HeldMutex) -> Result<(), BackendError> {
        match mutex.operations() {
            Some(operations) => {
                begin_write(access, Vec::new(), |completion| operations.begin_release(completion)).await
            }
            None if access.is_immediate() => mutex.release(),
            None => self.write(access, move || mutex.release()).await,
        }
    }
}

impl Tasks<'_> {
    /// Acquires a mutex on a thread. If the caller is dropped meanwhile, `release_late` gets the outcome.
    async fn acquire_on_thread(
        self,
        offload: &Arc<Offload>,
        deadline: Instant,
        release_late: impl FnOnce(bool) + Send + 'static,
        acquire: impl FnOnce() -> Result<bool, BackendError> + Send + 'static,
    ) -> Result<bool, BackendError> {
        let Offloaded { pending, has_place } =
            offload.begin(&*self.runtime(), WhenDropped::Canceled, acquire);
        self.outcome(offload, pending.when_late(release_late), has_place, deadline).await
    }
}
