//! [`Nodes`]: the runtime and the connections of one process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use dogpile_sdk::{BackendError, ErrorKind};
use tokio::runtime::Handle;
use tokio::time::timeout_at;

use super::multiplexer::Multiplexer;
use crate::pool::Pool;

/// The number of servers from which those without calls are forgotten. A topology has fewer, so that only servers that
/// left it are.
const MANY: usize = 256;

/// The connections to the servers of a backend, in one process. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Nodes {
    runtime: Handle,
    by_address: Arc<Mutex<HashMap<String, Arc<Multiplexer>>>>,
}

impl Nodes {
    pub(super) fn new(runtime: Handle) -> Self {
        Nodes { runtime, by_address: Arc::default() }
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Returns the shared connections to the server of `pool`.
    pub(super) fn beside(&self, pool: &Pool) -> Arc<Multiplexer> {
        // Ignore poison: no code panics while it holds this lock.
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = by_address.get(pool.address()) {
            return Arc::clone(known);
        }
        if by_address.len() >= MANY {
            by_address.retain(|_, server| server.is_used());
        }
        let new = Arc::new(Multiplexer::beside(pool, self.runtime.clone()));
        by_address.insert(pool.address().to_owned(), Arc::clone(&new));
        new
    }

    /// Calls `discover`, which blocks until `deadline` at most, on a thread that may block.
    pub(super) async fn discover<T: Send + 'static>(
        &self,
        deadline: Instant,
        discover: impl FnOnce() -> Result<T, BackendError> + Send + 'static,
    ) -> Result<T, BackendError> {
        let discovering = self.runtime.spawn_blocking(discover);
        match timeout_at(deadline.into(), discovering).await {
            Ok(Ok(discovered)) => discovered,
            Ok(Err(ended)) => {
                let why = "cannot discover the Redis servers: the discovery ended early";
                Err(BackendError::new(ErrorKind::Other, why).with_source(ended))
            }
            Err(_) => {
                let why = "cannot discover the Redis servers: no server that knows them replied in time";
                Err(BackendError::new(ErrorKind::Timeout, why))
            }
        }
    }
}
