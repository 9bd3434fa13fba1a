//! [`Link`]: a connection that is opened when needed, and again after it broke.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dogpile_sdk::BackendError;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::Error;

use crate::failure;
use crate::server::Server;
use crate::session::Session;

/// Whether a call may be sent again after its connection broke, when it may or may not have taken effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// A second time changes nothing.
    Harmless,
    /// The outcome of a second time would be wrong.
    Never,
}

/// A connection to the server, which any number of calls share.
#[derive(Debug)]
pub(crate) struct Link {
    server: Arc<Server>,
    current: Arc<Mutex<Current>>,
    /// Held by the task that opens the connection. All calls wait for it.
    opening: Arc<tokio::sync::Mutex<()>>,
    is_stuck: AtomicBool,
}

/// The connection that the next call uses.
#[derive(Debug, Default)]
struct Current {
    session: Option<Arc<Session>>,
    /// How often the link was closed. A connection whose opening began before the last time is not kept.
    closes: u64,
}

impl Link {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        Link { server, current: Arc::default(), opening: Arc::default(), is_stuck: AtomicBool::new(false) }
    }

    /// Returns the time limit of a call.
    pub(crate) fn limit(&self) -> Duration {
        self.server.timeout
    }

    /// Returns the time at which a call that begins now reaches its limit.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.limit()
    }

    /// Returns whether the last call reached its limit.
    pub(crate) fn is_stuck(&self) -> bool {
        self.is_stuck.load(Relaxed)
    }

    /// Runs `call` on the connection, and ends by `deadline`. Opens the connection first if needed.
    ///
    /// If a connection breaks that was used before, the call is repeated once, unless that is not harmless.
    ///
    /// # Errors
    /// If the server cannot be reached, if the call fails, or at the deadline.
    pub(crate) async fn run<T, F>(
        &self,
        deadline: Instant,
        repeat: Repeat,
        call: impl Fn(Arc<Session>) -> F + Send + Sync,
    ) -> Result<T, BackendError>
    where
        F: Future<Output = Result<T, Error>> + Send,
    {
        let mut used = None;
        let outcome = timeout_at(deadline, self.attempts(repeat, call, &mut used)).await;
        self.is_stuck.store(outcome.is_err(), Relaxed);
        outcome.unwrap_or_else(|_| {
            // The next call opens a new connection. Other calls on this one go on until their own limits.
            used.iter().for_each(|session| self.forget(session));
            Err(failure::timed_out(&self.server.name, self.server.timeout))
        })
    }

    /// Closes the connection, or the one that is being opened. Calls that use it go on, and close it at their end.
    pub(crate) fn close(&self) {
        let mut current = self.current();
        current.closes += 1;
        current.session = None;
    }

    async fn attempts<T, F>(
        &self,
        repeat: Repeat,
        call: impl Fn(Arc<Session>) -> F,
        used: &mut Option<Arc<Session>>,
    ) -> Result<T, BackendError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut may_repeat = repeat == Repeat::Harmless;
        loop {
            let session = self.session().await?;
            *used = Some(Arc::clone(&session));
            // The server may have closed a connection that was used before. One that was not breaks for another reason.
            may_repeat &= session.begin_use();
            let error = match call(Arc::clone(&session)).await {
                Ok(output) => return Ok(output),
                Err(error) => error,
            };
            let ends_connection = failure::ends_connection(&error);
            if ends_connection {
                self.forget(&session);
            }
            if !ends_connection || !may_repeat {
                return Err(failure::failed(&self.server.name, error));
            }
            log::debug!(
                "repeating a call on a new connection to PostgreSQL server {}: {error}",
                self.server.name
            );
            may_repeat = false;
        }
    }

    /// Returns the connection, and opens it if needed.
    ///
    /// Opening goes on if the caller gives up, so that calls with little time succeed as soon as the connection is open.
    async fn session(&self) -> Result<Arc<Session>, BackendError> {
        if let Some(session) = self.open() {
            return Ok(session);
        }
        let turn = Arc::clone(&self.opening).lock_owned().await;
        // Look again: another call may have opened it while we waited.
        if let Some(session) = self.open() {
            return Ok(session);
        }
        let closes = self.current().closes;
        let (server, current) = (Arc::clone(&self.server), Arc::clone(&self.current));
        let opening = tokio::spawn(async move {
            let opened = timeout(server.timeout, Session::open(&server)).await;
            let opened = opened.unwrap_or_else(|_| Err(failure::timed_out(&server.name, server.timeout)));
            let session = Arc::new(opened?);
            let mut current = locked(&current);
            if current.closes == closes {
                current.session = Some(Arc::clone(&session));
            }
            drop((current, turn));
            Ok(session)
        });
        opening.await.unwrap_or_else(|error| Err(failure::ended(&self.server.name, error)))
    }

    fn open(&self) -> Option<Arc<Session>> {
        self.current().session.as_ref().filter(|session| !session.is_closed()).map(Arc::clone)
    }

    /// Makes the next call open a new connection instead of `session`.
    fn forget(&self, session: &Arc<Session>) {
        let mut current = self.current();
        if current.session.as_ref().is_some_and(|current| Arc::ptr_eq(current, session)) {
            current.session = None;
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        locked(&self.current)
    }
}

fn locked(current: &Mutex<Current>) -> MutexGuard<'_, Current> {
    // Ignore poison: nothing panics while it holds this lock.
    current.lock().unwrap_or_else(PoisonError::into_inner)
}
