//! Asynchronous calls to a master and its replicas. The topology is that of the blocking calls.

use std::sync::Arc;

use dogpile_sdk::PerProcess;
use dogpile_sdk::{BackendError, ErrorKind, error_chain};

use super::multiplexer::Terms;
use super::nodes::Nodes;
use crate::command::{Access, Repeat, Reply, Request};
use crate::servers::sentinel::{Known, Sentinel, is_not_ready};

/// One call to a master or a replica.
pub(super) struct ToSentinel {
    pub(super) sentinel: Arc<PerProcess<Sentinel>>,
    pub(super) nodes: Nodes,
    pub(super) request: Request,
    pub(super) terms: Terms,
}

impl ToSentinel {
    /// Sends the request to the master. A request that only reads goes to a replica, unless it `needs_master`.
    pub(super) async fn run(self, access: Access, needs_master: bool) -> Result<Vec<Reply>, BackendError> {
        if access == Access::Read
            && !needs_master
            && let Some(outcome) = self.on_replica().await?
        {
            return Ok(outcome);
        }
        self.on_master().await
    }

    /// Returns the replies of a replica, or `None` if there is none that is ready.
    async fn on_replica(&self) -> Result<Option<Vec<Reply>>, BackendError> {
        let known = self.known().await?;
        let Some(replica) = self.sentinel.get().replica(&known) else { return Ok(None) };
        match self.nodes.beside(&replica).ask(self.request.clone(), self.terms.clone()).await {
            Ok(replies) if !replies.iter().any(is_not_ready) => Ok(Some(replies)),
            Ok(_) => Ok(None),
            Err(error) => {
                self.sentinel.get().doubt(&known);
                if error.kind() == ErrorKind::Timeout {
                    return Err(error);
                }
                log::debug!("reading from the master instead of a replica: {}", error_chain(&error));
                Ok(None)
            }
        }
    }

    async fn on_master(&self) -> Result<Vec<Reply>, BackendError> {
        let known = self.known().await?;
        let replies = self.ask(&known).await;
        let again = match &replies {
            // The server is no longer the master. It changed nothing, so any command may be repeated.
            Ok(replies) => replies.iter().all(|reply| reply.code() == Some("READONLY")),
            Err(error) => error.kind() == ErrorKind::Unavailable && self.terms.repeat == Repeat::Harmless,
        };
        if again || replies.is_err() {
            self.sentinel.get().doubt(&known);
        }
        if again { self.ask(&self.known().await?).await } else { replies }
    }

    async fn ask(&self, known: &Known) -> Result<Vec<Reply>, BackendError> {
        self.nodes.beside(&known.master).ask(self.request.clone(), self.terms.clone()).await
    }

    /// Returns the topology. If it is missing, old, or in doubt, a thread that may block asks the sentinels.
    async fn known(&self) -> Result<Known, BackendError> {
        if let Some(known) = self.sentinel.get().trusted() {
            return Ok(known);
        }
        let (sentinel, deadline) = (Arc::clone(&self.sentinel), self.terms.deadline);
        self.nodes.discover(deadline, move || sentinel.get().known(deadline)).await
    }
}
