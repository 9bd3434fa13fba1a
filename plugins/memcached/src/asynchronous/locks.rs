//! [`LockOperations`]: the asynchronous calls of locks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dogpile_sdk::lease::LeaseOperations;
use dogpile_sdk::{BackendError, Completion, Running};

use super::client::{AsyncClient, Outcomes};
use super::owned::Owned;
use crate::client::{Operation, Outcome, Reply};
use crate::lock_items::{Found, LockItems};

/// The asynchronous calls of locks. Those who wait for a lock poll it.
#[derive(Debug)]
pub(crate) struct LockOperations {
    pub(crate) client: Arc<AsyncClient>,
    pub(crate) items: Arc<LockItems>,
}

impl LockOperations {
    fn run_one(
        client: &AsyncClient,
        operation: &Operation<'_>,
        deadline: Instant,
        receive: impl FnOnce(Result<Outcome, BackendError>) + Send + 'static,
    ) -> Running {
        let receive = |outcomes: Outcomes| {
            receive(outcomes.map(|mut outcomes| outcomes.pop().unwrap_or(Ok(Reply::Miss))));
        };
        client.run(vec![Owned::new(operation)], deadline, receive)
    }
}

/// Completes a call that did not begin.
fn failed(completion: Completion<bool>, error: BackendError) -> Running {
    completion.complete(Err(error));
    Running::done()
}

impl LeaseOperations for LockOperations {
    fn begin_acquire(
        &self,
        key: &str,
        token: &str,
        lease: Duration,
        completion: Completion<bool>,
    ) -> Running {
        let name = match LockItems::name(key) {
            Ok(name) => name,
            Err(error) => return failed(completion, error),
        };
        let operations = self.items.acquisition(&name, token, lease).iter().map(Owned::new).collect();
        let (items, key, token) = (Arc::clone(&self.items), key.to_owned(), token.to_owned());
        let receive = move |outcomes: Outcomes| {
            completion.complete(outcomes.and_then(|outcomes| items.acquired(&key, &token, outcomes)));
        };
        self.client.run(operations, self.client.deadline(), receive)
    }

    fn begin_release(&self, key: &str, token: &str, completion: Completion<bool>) -> Running {
        let was_without_server = self.items.forget(token);
        let name = match LockItems::name(key) {
            Ok(name) => name,
            Err(error) => return failed(completion, error),
        };
        let (client, deadline) = (Arc::clone(&self.client), self.client.deadline());
        let (look, token) = (Operation::Get { key: &name.clone() }, token.to_owned());
        let remove = move |looked: Result<Outcome, _>| {
            let cas = match looked.and_then(|outcome| LockItems::found(&token, outcome)) {
                Ok(Found::Ours(cas)) => cas,
                Ok(_) => return completion.complete(Ok(was_without_server)),
                Err(error) => return completion.complete(Err(error)),
            };
            let removal = Operation::Delete { key: &name, cas: Some(cas) };
            let receive = |removed: Result<Outcome, _>| {
                completion.complete(removed.and_then(LockItems::is_done));
            };
            // A release goes on even if its caller no longer waits.
            drop(LockOperations::run_one(&client, &removal, deadline, receive));
        };
        // Do this even if the server was down: it may have stored the lock, and only its reply was lost.
        LockOperations::run_one(&self.client, &look, deadline, remove)
    }

    fn begin_pause(&self, _key: &str, limit: Duration, completion: Completion<bool>) -> Running {
        self.client.pause(limit, move |outcome| completion.complete(outcome.map(|()| false)))
    }
}
