//! [`Multiplexer`]: the connections to one server that asynchronous calls share.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use dogpile_net::{Added, Cancellation, Connector, Lane};
use dogpile_sdk::{BackendError, ErrorKind, LogLimit};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::call::Call;
use super::driver::Driver;
use super::route::Route;
use super::subscriptions::Subscriptions;
use crate::command::{Repeat, Reply, Request};
use crate::connection::{Failure, Server};
use crate::error;
use crate::pool::{Limits, Pool};
use crate::resp::{Expected, Value};

/// The size from which a request is large, in bytes. It has a connection of its own, so that it does not delay small ones.
const LARGE: usize = 64 << 10;

/// The number of values from which a reply counts as large.
const MANY: usize = 128;

/// The number of connections for large requests and replies.
const LARGE_LANES: usize = 2;

/// The most bytes of requests that wait for a connection, for small and for large requests.
const MAX_BYTES: [usize; 2] = [16 << 20, 256 << 20];

/// The connections to one server that asynchronous calls share.
pub(super) struct Multiplexer {
    server: Server,
    address: Arc<str>,
    connector: Arc<Connector>,
    limits: Limits,
    runtime: Handle,
    small: Vec<Arc<Route>>,
    large: Vec<Arc<Route>>,
    subscriptions: Arc<Subscriptions>,
    /// Whether the last exchange ended in a timeout.
    is_stuck: Arc<AtomicBool>,
    /// Whether the server rejects guards.
    is_unguarded: Arc<AtomicBool>,
    /// The limit of warnings about unrequested replies.
    unrequested: Arc<LogLimit>,
}

/// How a request is sent.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) repeat: Repeat,
    pub(super) deadline: Instant,
    pub(super) cancellation: Cancellation,
}

impl Multiplexer {
    /// Creates connections to the server of `pool`, beside those of blocking calls.
    pub(super) fn beside(pool: &Pool, runtime: Handle) -> Self {
        let ((server, limits), [is_stuck, is_unguarded]) = (pool.settings(), pool.known());
        let routes = |count, bytes| (0..count).map(|_| Arc::new(Route::new(Lane::new(bytes)))).collect();
        let connector = Arc::new(server.connector());
        let subscriptions =
            Subscriptions::new(server.clone(), Arc::clone(&connector), limits.clone(), runtime.clone());
        Multiplexer {
            address: server.address.to_string().into(),
            connector,
            subscriptions: Arc::new(subscriptions),
            small: routes(limits.async_connections, MAX_BYTES[0]),
            large: routes(LARGE_LANES, MAX_BYTES[1]),
            server: server.clone(),
            limits: limits.clone(),
            runtime,
            is_stuck,
            is_unguarded,
            unrequested: Arc::default(),
        }
    }

    /// Returns the subscriptions to the releases of locks on the server.
    pub(super) fn subscriptions(&self) -> &Arc<Subscriptions> {
        &self.subscriptions
    }

    /// Returns whether calls are waiting for the server.
    pub(super) fn is_used(&self) -> bool {
        self.small.iter().chain(&self.large).any(|route| route.lane.load() > 0)
    }

    /// Sends `request`, and waits for its replies until the deadline.
    pub(super) async fn ask(
        self: &Arc<Self>,
        request: Request,
        terms: Terms,
    ) -> Result<Vec<Reply>, BackendError> {
        self.begin(request, terms).await
    }

    /// Sends `request`, and returns what waits for its replies.
    pub(super) fn begin(
        self: &Arc<Self>,
        request: Request,
        terms: Terms,
    ) -> impl Future<Output = Result<Vec<Reply>, BackendError>> + Send + use<> {
        let (replied, replies) = oneshot::channel();
        self.submit(request, terms, move |outcome| {
            // It fails if the caller is gone.
            let _ = replied.send(outcome);
        });
        async move { replies.await.unwrap_or_else(|_| Err(canceled())) }
    }

    /// Sends `request`, and passes its replies to `receive` by the deadline. Does not block.
    pub(super) fn submit(
        self: &Arc<Self>,
        request: Request,
        terms: Terms,
        receive: impl FnOnce(Result<Vec<Reply>, BackendError>) + Send + 'static,
    ) {
        let route = self.route_for(&request);
        let this = Arc::clone(self);
        let outcome = move |outcome| receive(this.outcome(outcome));
        let (Terms { repeat, deadline, cancellation }, place) = (terms, route.lane.place());
        let call = Call::new(request, repeat, deadline, (cancellation, place), Box::new(outcome));
        match route.submit(call) {
            Ok(Added::Waits) => {}
            Ok(Added::NeedsDriver) => drop(self.runtime.spawn(self.driver(route).run())),
            Err(mut call) => call.complete(Err(Failure::Crowded)),
        }
    }

    fn driver(&self, route: &Arc<Route>) -> Driver {
        Driver {
            route: Arc::clone(route),
            connector: Arc::clone(&self.connector),
            login: self.server.profile.login.clone(),
            address: Arc::clone(&self.address),
            limits: self.limits.clone(),
            is_unguarded: Arc::clone(&self.is_unguarded),
            unrequested: Arc::clone(&self.unrequested),
            has_ended: false,
        }
    }

    /// Returns the route with the fewest calls for a request of this size.
    fn route_for(&self, request: &Request) -> &Arc<Route> {
        let routes = if is_large(request) { &self.large } else { &self.small };
        // There is at least one.
        routes.iter().min_by_key(|route| route.lane.load()).unwrap_or(&self.small[0])
    }

    fn outcome(&self, outcome: Result<Vec<Value>, Failure>) -> Result<Vec<Reply>, BackendError> {
        let is_stuck = matches!(outcome, Err(Failure::TimedOut));
        if is_stuck != self.is_stuck.load(Ordering::Relaxed) {
            self.is_stuck.store(is_stuck, Ordering::Relaxed);
        }
        let reply = |value| Reply { value, server: Arc::clone(&self.address) };
        match outcome {
            Ok(values) => Ok(values.into_iter().map(reply).collect()),
            Err(failure) => Err(error::of(failure, &self.address)),
        }
    }
}

/// Returns the error of a call whose caller no longer waits.
fn canceled() -> BackendError {
    BackendError::new(ErrorKind::Dropped, "the call was canceled, or its backend was dropped")
}

/// Returns whether a request is large, or its replies are likely to be.
fn is_large(request: &Request) -> bool {
    let values = |expected: &Expected| match expected {
        Expected::Values(count) => *count,
        _ => 1,
    };
    request.packed(false).len() > LARGE || request.expected.iter().map(values).sum::<usize>() >= MANY
}

impl fmt::Debug for Multiplexer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multiplexer").field("server", &self.address).finish_non_exhaustive()
    }
}
