//! [`Target`]: where a command goes, which the replies of a cluster may change.

use crate::command::{Command, Reply, Request};
use crate::config::Node;
use crate::resp::{Expected, Value};

/// A node that receives some of the commands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// The master of the commands' slots.
    Master(Node),
    /// The node that an `ASK` redirection names.
    ///
    /// It already has the keys, but does not own their slots yet.
    Asked(Node),
}

impl Target {
    pub(crate) fn node(&self) -> &Node {
        match self {
            Target::Master(node) | Target::Asked(node) => node,
        }
    }
}

/// Returns a request of `commands`, each preceded by `ASKING` if an `ASK` redirection named the target.
pub(crate) fn request_for<'c, 'k: 'c>(
    target: &Target,
    commands: impl Iterator<Item = &'c Command<'k>>,
) -> Request {
    match target {
        Target::Master(_) => Request::new(commands),
        Target::Asked(_) => {
            let asking = commands.fold(Request::default(), |request, command| {
                let mut request = request.with(&["ASKING"], Expected::Done);
                request.add(command);
                request
            });
            asking.guarded()
        }
    }
}

/// Drops the replies to `ASKING`.
pub(crate) fn without_asking(target: &Target, replies: Vec<Reply>) -> Vec<Reply> {
    match target {
        Target::Master(_) => replies,
        Target::Asked(_) => replies.into_iter().skip(1).step_by(2).collect(),
    }
}

/// Returns `Some` if a command must be sent again, with the target that its reply names.
pub(crate) fn redirection(reply: &Reply) -> Option<Option<Target>> {
    let Value::Error(error) = &reply.value else { return None };
    // "MOVED 3999 127.0.0.1:6381"
    let node = || error.word(2).and_then(Node::parse);
    match error.code() {
        "MOVED" => Some(node().map(Target::Master)),
        "ASK" => Some(node().map(Target::Asked)),
        "TRYAGAIN" | "CLUSTERDOWN" | "LOADING" | "READONLY" | "MASTERDOWN" => Some(None),
        _ => None,
    }
}
