//! [`Client`]: carries commands to the servers of a backend, without blocking.

use std::fmt;
use std::future::Future;
use std::mem;
use std::process;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use dogpile_net::Cancellation;
use dogpile_sdk::{BackendError, OwnedRuntime, PerProcess, Running};
use tokio::time::sleep;

use super::channels::Membership;
use super::cluster::ToCluster;
use super::multiplexer::Terms;
use super::nodes::Nodes;
use super::sentinel::ToSentinel;
use crate::command::{Access, Command, Repeat, Reply, Request};
use crate::pool::Pool;
use crate::servers::cluster::master;
use crate::servers::{Deployed, Servers};
use crate::wakeup::SHORT;

/// The number of threads that send and receive. One serves some 400,000 reads a second on one connection.
const WORKERS: usize = 1;

/// The number of turns of tasks after which timers and sockets are looked after. A turn is long, because a task serves many
/// calls in it.
const TURNS: u32 = 8;

/// The most threads for what blocks: the system's resolver, and the discovery of servers.
const MAX_BLOCKING: usize = 16;

/// Carries commands to the servers of a backend, without blocking. Each process has its own runtime and connections.
pub(crate) struct Client {
    deployed: Deployed,
    own: PerProcess<Own>,
}

/// The runtime and the connections of one process.
struct Own {
    runtime: OwnedRuntime,
    /// The connections, once there has been a call.
    nodes: OnceLock<Nodes>,
}

/// Commands that are sent together.
pub(super) struct Commands<'c, 'k> {
    pub(super) commands: &'c [Command<'k>],
    pub(super) access: Access,
    pub(super) repeat: Repeat,
    /// Further keys that the commands write.
    pub(super) more_keys: &'c [&'k str],
}

/// A pause between two attempts to acquire a lock.
pub(super) struct Pause<'p> {
    /// The name of the lock.
    pub(super) lock: &'p str,
    /// The channel on which its release is published, unless none is.
    pub(super) channel: Option<&'p str>,
    /// When the last attempt began.
    pub(super) since: Instant,
    pub(super) limit: Duration,
}

impl Client {
    /// Creates a client. It starts no thread, and does not connect.
    pub(crate) fn new(deployed: Deployed) -> Self {
        let own = || Own { runtime: runtime(), nodes: OnceLock::new() };
        // A child must not close the connections of its parent: closing one would remove it from the poll descriptor that
        // both share. They stay open until the child ends.
        Client { deployed, own: PerProcess::new(own, |_| {}) }
    }

    /// Runs commands, and passes their replies to `receive`. Does not block.
    pub(super) fn run(
        &self,
        commands: &Commands<'_, '_>,
        receive: impl FnOnce(Result<Vec<Reply>, BackendError>) + Send + 'static,
    ) -> Running {
        let nodes = match self.own.get().nodes() {
            Ok(nodes) => nodes,
            Err(error) => {
                receive(Err(error));
                return Running::done();
            }
        };
        let terms = |deadline| {
            let cancellation = Cancellation::default();
            Terms { repeat: commands.repeat, deadline, cancellation }
        };
        match &self.deployed {
            Deployed::Single(pool) => {
                let pool = pool.get();
                let terms = terms(pool.deadline());
                let cancellation = terms.cancellation.clone();
                nodes.beside(pool).submit(Request::new(commands.commands), terms, receive);
                Running::new(move || cancellation.cancel())
            }
            Deployed::Sentinel(sentinel) => {
                let request = Request::new(commands.commands);
                let (sentinel, terms) = (Arc::clone(sentinel), terms(sentinel.get().deadline()));
                let call = ToSentinel { sentinel, nodes: nodes.clone(), request, terms: terms.clone() };
                spawn(nodes, terms.cancellation, to_sentinel(call, commands), receive)
            }
            Deployed::Cluster(cluster) => {
                let one = |command: &Command<'_>| (command.key.to_owned(), Request::new([command]));
                let requests = commands.commands.iter().map(one).collect();
                let (cluster, terms) = (Arc::clone(cluster), terms(cluster.get().deadline()));
                let call =
                    ToCluster { cluster, nodes: nodes.clone(), commands: requests, terms: terms.clone() };
                spawn(nodes, terms.cancellation, call.run(), receive)
            }
        }
    }

    /// Calls `complete` after `limit`, or when the lock of `pause` was released. The outcome is whether a release was published.
    pub(super) fn pause(
        &self,
        pause: &Pause<'_>,
        complete: impl FnOnce(Result<bool, BackendError>) + Send + 'static,
    ) -> Running {
        let nodes = match self.own.get().nodes() {
            Ok(nodes) => nodes,
            Err(error) => {
                complete(Err(error));
                return Running::done();
            }
        };
        let (since, limit) = (pause.since, pause.limit);
        let membership = self.membership(nodes, pause);
        let pausing = async move {
            let is_released = match membership {
                Some(membership) => membership.wait(since, limit).await,
                None => {
                    sleep(limit).await;
                    false
                }
            };
            complete(Ok(is_released));
        };
        let task = nodes.runtime().spawn(pausing).abort_handle();
        Running::new(move || task.abort())
    }

    /// Joins the channel on which the release of a lock is published.
    ///
    /// The attempt before a pause has found the server of the lock. If it is in doubt again, the task only polls.
    fn membership(&self, nodes: &Nodes, pause: &Pause<'_>) -> Option<Membership> {
        let channel = pause.channel?;
        let join = |pool: &Pool| nodes.beside(pool).subscriptions().join(channel, pause.limit > SHORT);
        match &self.deployed {
            Deployed::Single(pool) => join(pool.get()),
            Deployed::Sentinel(sentinel) => join(&sentinel.get().trusted()?.master),
            Deployed::Cluster(cluster) => {
                let cluster = cluster.get();
                let map = cluster.current();
                join(&*cluster.pool(master(&map, pause.lock).ok()?).ok()?)
            }
        }
    }
}

/// Creates the runtime of a process. Its threads start with the first asynchronous call.
fn runtime() -> OwnedRuntime {
    let runtime = OwnedRuntime::new(WORKERS).with_thread_name("dogpile-redis");
    runtime.with_blocking_threads(MAX_BLOCKING).with_event_interval(TURNS)
}

/// Prepares a call to a master or a replica.
fn to_sentinel(
    call: ToSentinel,
    commands: &Commands<'_, '_>,
) -> impl Future<Output = Result<Vec<Reply>, BackendError>> + Send + use<> {
    let (access, sentinel) = (commands.access, Arc::clone(&call.sentinel));
    let keys = || commands.commands.iter().map(|command| command.key);
    let needs_master = keys().any(|key| sentinel.get().is_recent(key));
    let written: Vec<String> = match access {
        Access::Read => Vec::new(),
        Access::Write => keys().chain(commands.more_keys.iter().copied()).map(str::to_owned).collect(),
    };
    // The call may be canceled after the master has run it.
    written.iter().for_each(|key| sentinel.get().catch_up(key));
    async move {
        let replies = call.run(access, needs_master).await;
        // Do this even after an error: the master may have run the commands.
        written.iter().for_each(|key| sentinel.get().catch_up(key));
        replies
    }
}

/// Runs a call as a task of the runtime.
///
/// A canceled call whose request was sent goes on to its outcome. A lock that it acquired could otherwise be released before the
/// server has run the request, and would then stay.
fn spawn(
    nodes: &Nodes,
    cancellation: Cancellation,
    call: impl Future<Output = Result<Vec<Reply>, BackendError>> + Send + 'static,
    receive: impl FnOnce(Result<Vec<Reply>, BackendError>) + Send + 'static,
) -> Running {
    drop(nodes.runtime().spawn(async move { receive(call.await) }));
    Running::new(move || cancellation.cancel())
}

impl Own {
    fn nodes(&self) -> Result<&Nodes, BackendError> {
        if let Some(nodes) = self.nodes.get() {
            return Ok(nodes);
        }
        let runtime = self.runtime.handle().map_err(|error| {
            let why = "cannot start the runtime of asynchronous calls to Redis";
            BackendError::new(error.kind(), why).with_source(error)
        })?;
        Ok(self.nodes.get_or_init(|| Nodes::new(runtime.clone())))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if self.runtime.process() != process::id() {
            // Their locks may be taken forever, by threads of the parent process.
            mem::forget(self.nodes.take());
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("deployed", &self.deployed).finish_non_exhaustive()
    }
}
