//! [`Locks`]: the SDK's lease store, on a runtime of its own.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::mem;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use dogpile_sdk::lease::{LeaseOperations, LeaseStore};
use dogpile_sdk::{
    BackendError, Completion, ErrorKind, Fence, OwnedRuntime, PerProcess, Running, process_id,
};
use tokio::runtime::Handle;

use crate::fence;
use crate::lock_table::LockTable;
use crate::server::Server;

/// How much longer than its deadline a thread waits for the runtime, which ends the call at the deadline.
const GRACE: Duration = Duration::from_secs(1);

/// The locks, for threads and for asynchronous callers. Clones are the same locks.
#[derive(Clone)]
pub(crate) struct Locks(Arc<PerProcess<Site>>);

/// The runtime of a process, and its connection. A forked child has others.
struct Site {
    runtime: OwnedRuntime,
    table: Arc<LockTable>,
}

impl Drop for Site {
    fn drop(&mut self) {
        if self.runtime.process() != process_id() {
            // Closing the connection could write to a socket that the parent process uses.
            mem::forget(Arc::clone(&self.table));
        }
    }
}

impl Locks {
    /// Nothing starts before the first call.
    pub(crate) fn new(server: &Arc<Server>) -> Self {
        let server = Arc::clone(server);
        let build = move || Site {
            runtime: OwnedRuntime::new(1).with_thread_name("postgres-locks"),
            table: Arc::new(LockTable::new(Arc::clone(&server))),
        };
        Locks(Arc::new(PerProcess::new(build, |_| {})))
    }

    pub(crate) fn close(&self) {
        self.0.get().table.close();
    }

    /// Runs `call` on the runtime, and blocks until its outcome is there, or shortly after `deadline`.
    fn wait<F>(
        &self,
        deadline: tokio::time::Instant,
        call: impl FnOnce(Arc<LockTable>) -> F,
    ) -> Result<bool, BackendError>
    where
        F: Future<Output = Result<bool, BackendError>> + Send + 'static,
    {
        let Site { runtime, table } = self.0.get();
        let (handle, call) = (runtime.handle()?, call(Arc::clone(table)));
        let (sender, receiver) = mpsc::sync_channel(1);
        handle.spawn(async move { sender.send(call.await) });
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        let receive = || receiver.recv_timeout(left + GRACE);
        // A thread of this runtime hands its tasks to another thread, so that it does not wait for itself.
        let is_ours = Handle::try_current().is_ok_and(|current| current.id() == handle.id());
        let received = if is_ours { tokio::task::block_in_place(receive) } else { receive() };
        received.unwrap_or_else(|_| {
            Err(BackendError::new(
                ErrorKind::Timeout,
                "the runtime of the PostgreSQL locks did not end a call in time",
            ))
        })
    }

    /// Runs `call` on the runtime. Canceling drops it.
    fn begin<F>(&self, completion: Completion<bool>, call: impl FnOnce(Arc<LockTable>) -> F) -> Running
    where
        F: Future<Output = Result<bool, BackendError>> + Send + 'static,
    {
        let Site { runtime, table } = self.0.get();
        let handle = match runtime.handle() {
            Ok(handle) => handle,
            Err(error) => {
                completion.complete(Err(error));
                return Running::done();
            }
        };
        let call = call(Arc::clone(table));
        let task = handle.spawn(async move { completion.complete(call.await) }).abort_handle();
        Running::new(move || task.abort())
    }
}

impl LeaseStore for Locks {
    fn acquire(
        &self,
        key: &str,
        token: &str,
        lease: Duration,
        deadline: Instant,
    ) -> Result<bool, BackendError> {
        let (key, token) = (key.to_owned(), token.to_owned());
        let deadline = self.0.get().table.deadline().min(deadline.into());
        self.wait(deadline, |table| async move { table.acquire(&key, &token, lease, deadline).await })
    }

    fn renew(&self, key: &str, token: &str, lease: Duration) -> Result<bool, BackendError> {
        let (key, token) = (key.to_owned(), token.to_owned());
        let deadline = self.0.get().table.deadline();
        self.wait(deadline, |table| async move { table.renew(&key, &token, lease).await })
    }

    fn release(&self, key: &str, token: &str) -> Result<bool, BackendError> {
        let (key, token) = (key.to_owned(), token.to_owned());
        let deadline = self.0.get().table.deadline();
        self.wait(deadline, |table| async move { table.release(&key, &token).await })
    }

    fn locked(&self, key: &str) -> Result<bool, BackendError> {
        let key = key.to_owned();
        let deadline = self.0.get().table.deadline();
        self.wait(deadline, |table| async move { table.locked(&key).await })
    }

    fn fence(&self, key: &str, token: &str) -> Option<Fence> {
        Some(fence::fence(key, token))
    }

    /// All locks are on one server.
    fn server<'k>(&self, _key: &'k str) -> Cow<'k, str> {
        Cow::Borrowed("postgresql")
    }

    fn is_stuck(&self, _key: &str) -> bool {
        self.0.get().table.is_stuck()
    }

    fn operations(&self) -> Option<Arc<dyn LeaseOperations>> {
        Some(Arc::new(self.clone()))
    }
}

impl LeaseOperations for Locks {
    fn begin_acquire(
        &self,
        key: &str,
        token: &str,
        lease: Duration,
        completion: Completion<bool>,
    ) -> Running {
        let (key, token) = (key.to_owned(), token.to_owned());
        self.begin(
            completion,
            |table| async move { table.acquire(&key, &token, lease, table.deadline()).await },
        )
    }

    fn begin_release(&self, key: &str, token: &str, completion: Completion<bool>) -> Running {
        let (key, token) = (key.to_owned(), token.to_owned());
        self.begin(completion, |table| async move { table.release(&key, &token).await })
    }

    fn begin_pause(&self, _key: &str, limit: Duration, completion: Completion<bool>) -> Running {
        self.begin(completion, move |_| async move {
            tokio::time::sleep(limit).await;
            Ok(false)
        })
    }
}

impl fmt::Debug for Locks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Locks").field(&self.0.any().table).finish()
    }
}
