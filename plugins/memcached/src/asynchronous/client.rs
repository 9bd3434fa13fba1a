//! [`AsyncClient`]: runs operations on the servers of a backend, without blocking.

use std::fmt;
use std::future::Future;
use std::mem;
use std::process;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use dogpile_net::Cancellation;
use dogpile_sdk::{BackendError, OwnedRuntime, PerProcess, Running};
use tokio::time::sleep;

use super::multiplexer::Terms;
use super::owned::Owned;
use super::servers::Servers;
use crate::calls::Calls;
use crate::client::{Client, Outcome, Urgency};

/// The number of threads that send and receive.
const WORKERS: usize = 1;

/// The number of turns of tasks after which timers and sockets are looked after. A turn is long, because a task serves many
/// calls in it.
const TURNS: u32 = 8;

/// The most threads for what blocks: the system's resolver, and the decompression of large values.
const MAX_BLOCKING: usize = 16;

/// Runs operations on the servers of a backend, without blocking. Each process has its own runtime and connections.
pub(crate) struct AsyncClient {
    client: Arc<Client>,
    own: PerProcess<Own>,
}

/// The runtime and the connections of one process.
struct Own {
    runtime: OwnedRuntime,
    /// The connections, once there has been a call.
    servers: OnceLock<Servers>,
}

/// The outcomes of operations, or the error if none of them could begin.
pub(super) type Outcomes = Result<Vec<Outcome>, BackendError>;

impl AsyncClient {
    /// Creates the asynchronous side of `client`. It starts no thread, and does not connect.
    pub(crate) fn new(client: Arc<Client>) -> Self {
        let own = || Own { runtime: runtime(), servers: OnceLock::new() };
        // A child must not close the connections of its parent: closing one would remove it from the poll descriptor that
        // both share. They stay open until the child ends.
        AsyncClient { client, own: PerProcess::new(own, |_| {}) }
    }

    /// Returns the deadline of a call that begins now.
    pub(super) fn deadline(&self) -> Instant {
        self.client.deadline()
    }

    /// Runs `operations`, and passes their outcomes to `receive` by `deadline`. Does not block.
    pub(super) fn run(
        &self,
        operations: Vec<Arc<Owned>>,
        deadline: Instant,
        receive: impl FnOnce(Outcomes) + Send + 'static,
    ) -> Running {
        let servers = match self.servers() {
            Ok(servers) => servers,
            Err(error) => return end(Err(error), receive),
        };
        let cancellation = Cancellation::default();
        let Some(server) = servers.only(&operations) else {
            let (all, canceled) = (servers.clone(), cancellation.clone());
            let run = async move { all.run(&operations, Urgency::Normal, deadline, &canceled).await };
            return spawn(servers, cancellation, run, receive);
        };
        let terms = Terms { urgency: Urgency::Normal, deadline, cancellation: cancellation.clone() };
        server.submit(operations, terms, |outcomes| receive(Ok(outcomes)));
        Running::new(move || cancellation.cancel())
    }

    /// Runs `operations` like [`run`](Self::run), and retries those that failed as `calls` says.
    pub(super) fn run_repeatedly(
        &self,
        calls: &Arc<Calls>,
        operations: Vec<Arc<Owned>>,
        deadline: Instant,
        receive: impl FnOnce(Outcomes) + Send + 'static,
    ) -> Running {
        if calls.retries().attempts <= 1 {
            return self.run(operations, deadline, receive);
        }
        let servers = match self.servers() {
            Ok(servers) => servers,
            Err(error) => return end(Err(error), receive),
        };
        let (all, calls, cancellation) = (servers.clone(), Arc::clone(calls), Cancellation::default());
        let canceled = cancellation.clone();
        let run = async move { all.run_repeatedly(&calls, &operations, deadline, &canceled).await };
        spawn(servers, cancellation, run, receive)
    }

    /// Calls `complete` after `time`.
    pub(super) fn pause(
        &self,
        time: Duration,
        complete: impl FnOnce(Result<(), BackendError>) + Send + 'static,
    ) -> Running {
        match self.servers() {
            Ok(servers) => {
                let pausing = async move {
                    sleep(time).await;
                    complete(Ok(()));
                };
                let task = servers.runtime().spawn(pausing).abort_handle();
                Running::new(move || task.abort())
            }
            Err(error) => {
                complete(Err(error));
                Running::done()
            }
        }
    }

    /// Runs `work`, which takes long, on a thread that serves no connection.
    pub(super) fn aside(&self, work: impl FnOnce() + Send + 'static) {
        match self.servers() {
            Ok(servers) => drop(servers.runtime().spawn_blocking(work)),
            Err(_) => work(),
        }
    }

    fn servers(&self) -> Result<&Servers, BackendError> {
        let own = self.own.get();
        if let Some(servers) = own.servers.get() {
            return Ok(servers);
        }
        let runtime = own.runtime.handle().map_err(|error| {
            let why = "cannot start the runtime of asynchronous calls to memcached";
            BackendError::new(error.kind(), why).with_source(error)
        })?;
        Ok(own.servers.get_or_init(|| Servers::new(Arc::clone(&self.client), runtime)))
    }
}

/// Creates the runtime of a process. Its threads start with the first asynchronous call.
fn runtime() -> OwnedRuntime {
    let runtime = OwnedRuntime::new(WORKERS).with_thread_name("dogpile-memcached");
    runtime.with_blocking_threads(MAX_BLOCKING).with_event_interval(TURNS)
}

/// Passes `outcomes` on, and returns the call that has ended.
fn end(outcomes: Outcomes, receive: impl FnOnce(Outcomes)) -> Running {
    receive(outcomes);
    Running::done()
}

/// Runs a call as a task of the runtime. A canceled call whose request was sent goes on to its outcome.
fn spawn(
    servers: &Servers,
    cancellation: Cancellation,
    call: impl Future<Output = Vec<Outcome>> + Send + 'static,
    receive: impl FnOnce(Outcomes) + Send + 'static,
) -> Running {
    drop(servers.runtime().spawn(async move { receive(Ok(call.await)) }));
    Running::new(move || cancellation.cancel())
}

impl Drop for Own {
    fn drop(&mut self) {
        if self.runtime.process() != process::id() {
            // Their locks may be taken forever, by threads of the parent process.
            mem::forget(self.servers.take());
        }
    }
}

impl fmt::Debug for AsyncClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncClient").field("client", &self.client).finish_non_exhaustive()
    }
}
