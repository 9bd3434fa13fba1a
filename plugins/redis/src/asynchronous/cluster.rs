//! Asynchronous calls to the masters of a cluster. The slot map is that of the blocking calls.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use dogpile_sdk::PerProcess;
use dogpile_sdk::{BackendError, ErrorKind, error_chain};
use tokio::time::sleep;

use super::multiplexer::Terms;
use super::nodes::Nodes;
use crate::command::{Repeat, Reply, Request};
use crate::resp::Expected;
use crate::servers::cluster::{
    ATTEMPTS, Cluster, FIRST_PAUSE, Map, Target, master, redirection, unreachable_keys, without_asking,
};

/// One call to the masters of a cluster.
pub(super) struct ToCluster {
    pub(super) cluster: Arc<PerProcess<Cluster>>,
    pub(super) nodes: Nodes,
    /// The commands, each with the key that selects its master.
    pub(super) commands: Vec<(String, Request)>,
    pub(super) terms: Terms,
}

/// The indices of the commands that must still run, with the targets of redirected ones.
type ToDo = Vec<(usize, Option<Target>)>;

impl ToCluster {
    /// Sends each command to the master of its key, and follows redirections.
    pub(super) async fn run(self) -> Result<Vec<Reply>, BackendError> {
        let deadline = self.terms.deadline;
        let mut replies: Vec<Option<Reply>> = vec![None; self.commands.len()];
        let mut to_do: ToDo = (0..self.commands.len()).map(|number| (number, None)).collect();
        let mut map = self.cluster.get().current();
        if map.version == 0 {
            map = self.slots_since(0).await?;
        }
        for attempt in 0..ATTEMPTS {
            to_do = self.attempt(to_do, &map, &mut replies).await?;
            let left = deadline.saturating_duration_since(Instant::now());
            if to_do.is_empty() || left.is_zero() {
                break;
            }
            // Pause only for a command without a target; a redirected one can be sent at once.
            if to_do.iter().any(|(_, target)| target.is_none()) {
                sleep((FIRST_PAUSE * 2_u32.pow(attempt)).min(left)).await;
            }
            if to_do.iter().any(|(_, target)| !matches!(target, Some(Target::Asked(_)))) {
                map = self.slots_since(map.version).await?;
            }
        }
        // A command that is still unfinished keeps its last error reply, or has none if no node was reached.
        replies.into_iter().collect::<Option<Vec<_>>>().ok_or_else(unreachable_keys)
    }

    /// Sends each command once, fills `replies`, and returns the commands to send again.
    async fn attempt(
        &self,
        to_do: ToDo,
        map: &Map,
        replies: &mut [Option<Reply>],
    ) -> Result<ToDo, BackendError> {
        let mut by_target: BTreeMap<Target, Vec<usize>> = BTreeMap::new();
        for (number, target) in to_do {
            let target = match target {
                Some(target) => target,
                None => Target::Master(master(map, &self.commands[number].0)?.clone()),
            };
            by_target.entry(target).or_default().push(number);
        }
        let mut again = Vec::new();
        // All requests are sent before the first reply is waited for.
        let mut asked = Vec::new();
        for (target, numbers) in by_target {
            let pool = self.cluster.get().pool(target.node())?;
            let request = self.request_for(&target, &numbers);
            asked.push((self.nodes.beside(&pool).begin(request, self.terms.clone()), target, numbers));
        }
        for (outcome, target, numbers) in asked {
            match outcome.await {
                Ok(received) => {
                    for (number, reply) in numbers.into_iter().zip(without_asking(&target, received)) {
                        if let Some(target) = redirection(&reply) {
                            again.push((number, target));
                        }
                        replies[number] = Some(reply);
                    }
                }
                Err(error)
                    if error.kind() == ErrorKind::Unavailable && self.terms.repeat == Repeat::Harmless =>
                {
                    log::debug!("retrying commands on another node of the cluster: {}", error_chain(&error));
                    again.extend(numbers.into_iter().map(|number| (number, None)));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(again)
    }

    /// Returns a request of commands, each preceded by `ASKING` if an `ASK` redirection named the target.
    fn request_for(&self, target: &Target, numbers: &[usize]) -> Request {
        let mut request = Request::default();
        for number in numbers {
            if let Target::Asked(_) = target {
                request = request.with(&["ASKING"], Expected::Done);
            }
            request.append(&self.commands[*number].1);
        }
        request
    }

    /// Returns a slot map that is newer than `version`. A thread that may block asks the nodes for it.
    async fn slots_since(&self, version: u64) -> Result<Arc<Map>, BackendError> {
        let (cluster, deadline) = (Arc::clone(&self.cluster), self.terms.deadline);
        self.nodes.discover(deadline, move || cluster.get().slots_since(version, deadline)).await
    }
}
