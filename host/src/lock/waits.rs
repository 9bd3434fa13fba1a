//! Who waits for whom: finds the creator that would wait for itself, before it does.
//!
//! A creator that asks for its own key on its own thread is the shortest circle; two creators that ask for each
//! other's keys are the next. Touched only by callers that are about to block.

use std::collections::HashMap;
use std::sync::Arc;

use super::gate::Gate;
use super::sync::{ThreadId, current};

/// The caller would wait for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Circle;

/// Says, while it lives, that this thread waits at a gate.
pub(crate) struct Waits {
    thread: ThreadId,
}

type Waiting = HashMap<ThreadId, Arc<Gate>>;

#[cfg(not(dogpile_loom))]
fn with_waiting<R>(work: impl FnOnce(&mut Waiting) -> R) -> R {
    static WAITING: std::sync::LazyLock<parking_lot::Mutex<Waiting>> =
        std::sync::LazyLock::new(Default::default);
    work(&mut WAITING.lock())
}

#[cfg(dogpile_loom)]
fn with_waiting<R>(work: impl FnOnce(&mut Waiting) -> R) -> R {
    loom::lazy_static! {
        static ref WAITING: super::sync::Mutex<Waiting> = super::sync::Mutex::new(Waiting::new());
    }
    work(&mut WAITING.lock())
}

impl Waits {
    /// Enters this thread, unless that closed a circle.
    pub(crate) fn begin(gate: &Arc<Gate>) -> Result<Self, Circle> {
        let thread = current().id();
        with_waiting(|waiting| {
            let mut next = gate.leader();
            while let Some(leader) = next {
                if leader == thread {
                    return Err(Circle);
                }
                next = waiting.get(&leader).and_then(|gate| gate.leader());
            }
            waiting.insert(thread, Arc::clone(gate));
            Ok(Waits { thread })
        })
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        with_waiting(|waiting| waiting.remove(&self.thread));
    }
}
