//! [`MemcachedLocks`]: locks on a server, each an item that expires.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dogpile_sdk::BackendError;
#[cfg(feature = "tokio")]
use dogpile_sdk::lease::LeaseOperations;
use dogpile_sdk::lease::LeaseStore;

#[cfg(feature = "tokio")]
use crate::asynchronous::{AsyncClient, LockOperations};
use crate::client::{Client, Operation, Outcome, Reply};
use crate::lock_items::{Found, LockItems, PREFIX};

/// The lease store of memcached servers.
#[derive(Debug)]
pub(crate) struct MemcachedLocks {
    client: Arc<Client>,
    items: Arc<LockItems>,
    #[cfg(feature = "tokio")]
    asynchronous: Arc<AsyncClient>,
}

impl MemcachedLocks {
    pub(crate) fn new(
        client: Arc<Client>,
        items: LockItems,
        #[cfg(feature = "tokio")] asynchronous: Arc<AsyncClient>,
    ) -> Self {
        MemcachedLocks {
            client,
            items: Arc::new(items),
            #[cfg(feature = "tokio")]
            asynchronous,
        }
    }

    fn one(&self, operation: Operation<'_>, deadline: Instant) -> Outcome {
        self.client.run_until(&[operation], deadline).pop().unwrap_or(Ok(Reply::Miss))
    }

    fn look(&self, name: &str, token: &str, deadline: Instant) -> Result<Found, BackendError> {
        LockItems::found(token, self.one(Operation::Get { key: name }, deadline))
    }
}

impl LeaseStore for MemcachedLocks {
    fn acquire(
        &self,
        key: &str,
        token: &str,
        lease: Duration,
        deadline: Instant,
    ) -> Result<bool, BackendError> {
        let name = LockItems::name(key)?;
        let deadline = deadline.min(self.client.deadline());
        let outcomes = self.client.run_until(&self.items.acquisition(&name, token, lease), deadline);
        self.items.acquired(key, token, outcomes)
    }

    fn renew(&self, key: &str, token: &str, lease: Duration) -> Result<bool, BackendError> {
        if self.items.is_without_server(token) {
            return Ok(true);
        }
        let (name, deadline) = (LockItems::name(key)?, self.client.deadline());
        let Found::Ours(cas) = self.look(&name, token, deadline)? else { return Ok(false) };
        LockItems::is_done(self.one(self.items.renewal(&name, token, lease, cas), deadline))
    }

    fn release(&self, key: &str, token: &str) -> Result<bool, BackendError> {
        let was_without_server = self.items.forget(token);
        let (name, deadline) = (LockItems::name(key)?, self.client.deadline());
        // Do this even if the server was down: it may have stored the lock, and only its reply was lost.
        let Found::Ours(cas) = self.look(&name, token, deadline)? else { return Ok(was_without_server) };
        LockItems::is_done(self.one(Operation::Delete { key: &name, cas: Some(cas) }, deadline))
    }

    fn locked(&self, key: &str) -> Result<bool, BackendError> {
        let found = self.look(&LockItems::name(key)?, "", self.client.deadline())?;
        Ok(!matches!(found, Found::Nothing))
    }

    fn server<'k>(&self, key: &'k str) -> Cow<'k, str> {
        let address = self.client.server_of(&format!("{PREFIX}{key}"));
        address.map_or(Cow::Borrowed(""), |address| Cow::Owned(address.to_string()))
    }

    #[cfg(feature = "tokio")]
    fn operations(&self) -> Option<Arc<dyn LeaseOperations>> {
        let (client, items) = (Arc::clone(&self.asynchronous), Arc::clone(&self.items));
        Some(Arc::new(LockOperations { client, items }))
    }
}
