//! The in-process gate per key: one caller leads, the others wait, and all of them are freed at once.
//!
//! Only the leader of a gate talks to the backend's mutex, so thirty waiting threads cost one poller. A gate
//! exists from the moment somebody leads until they are done: a million keys created once leave nothing behind.
//! Every wait ends with the leader's [`GateGuard`], which a panic drops too.

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use super::sync::{Condvar, Mutex, ThreadId, current, wait};
use super::waits::{Circle, Waits};

/// How many maps the keys are spread over, so that creators of different keys do not meet.
const SHARDS: usize = if cfg!(dogpile_loom) { 1 } else { 64 };

type Shard = Mutex<HashMap<Box<str>, Arc<Gate>>>;

/// The gates of one store.
pub struct Gates {
    shards: Box<[Shard]>,
    hasher: foldhash::fast::RandomState,
}

/// What a caller finds at a gate.
pub(crate) enum Arrival {
    /// It was open: the caller leads.
    Leads(GateGuard),
    /// Somebody else leads.
    Closed(Arc<Gate>),
}

/// A gate that somebody leads.
#[derive(Debug)]
pub(crate) struct Gate {
    state: Mutex<State>,
    opened: Condvar,
}

#[derive(Debug)]
struct State {
    /// The thread that creates; none while a runner has yet to begin.
    leader: Option<ThreadId>,
    open: bool,
    /// Set when the key was stored or deleted while its leader was creating.
    superseded: bool,
    /// Set when the leader waited for the backend's mutex in vain.
    gave_up: bool,
}

/// What a wait at a gate came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// The leader is done, one way or another.
    Done,
    /// The leader waited for the backend's mutex in vain.
    GaveUp,
}

impl Gates {
    /// Gates for a new store.
    pub fn new() -> Self {
        Gates { shards: (0..SHARDS).map(|_| Shard::default()).collect(), hasher: Default::default() }
    }

    fn shard(&self, key: &str) -> &Shard {
        // The top bits choose the shard; the low ones go to the map within.
        let hash = self.hasher.hash_one(key);
        &self.shards[(hash >> 48) as usize % self.shards.len()]
    }

    /// Leads the gate of `key`, unless somebody does.
    pub(crate) fn arrive(self: &Arc<Self>, key: &str) -> Arrival {
        let mut gates = self.shard(key).lock();
        if let Some(gate) = gates.get(key) {
            return Arrival::Closed(Arc::clone(gate));
        }
        let gate = Arc::new(Gate::led_by(current().id()));
        gates.insert(key.into(), Arc::clone(&gate));
        Arrival::Leads(GateGuard { gates: Arc::clone(self), key: key.into(), gate })
    }

    /// Whether somebody leads the gate of `key`.
    pub fn is_closed(&self, key: &str) -> bool {
        self.shard(key).lock().contains_key(key)
    }

    /// Tells whoever is creating `key` that what they create is outdated.
    pub(crate) fn supersede(&self, key: &str) {
        if let Some(gate) = self.shard(key).lock().get(key) {
            gate.state.lock().superseded = true;
        }
    }

    /// How many gates are led at present.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Does `work` while nobody can arrive at any gate.
    #[cfg(all(test, not(dogpile_loom)))]
    pub(crate) fn while_held<R>(&self, work: impl FnOnce() -> R) -> R {
        let held: Vec<_> = self.shards.iter().map(Mutex::lock).collect();
        let done = work();
        drop(held);
        done
    }

    /// Whether no gate is led at present.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for Gates {
    fn default() -> Self {
        Gates::new()
    }
}

impl fmt::Debug for Gates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gates({} led)", self.len())
    }
}

impl Gate {
    fn led_by(leader: ThreadId) -> Self {
        let state = State { leader: Some(leader), open: false, superseded: false, gave_up: false };
        Gate { state: Mutex::new(state), opened: Condvar::new() }
    }

    /// The thread that creates, if one has begun and not ended.
    pub(super) fn leader(&self) -> Option<ThreadId> {
        let state = self.state.lock();
        if state.open { None } else { state.leader }
    }

    /// Blocks until the leader is done.
    ///
    /// # Errors
    /// [`Circle`] if the leader waits, directly or through others, for the calling thread.
    pub(crate) fn wait(self: &Arc<Self>) -> Result<Opened, Circle> {
        let _waiting = Waits::begin(self)?;
        let mut state = self.state.lock();
        while !state.open {
            state = wait(&self.opened, state);
        }
        Ok(if state.gave_up { Opened::GaveUp } else { Opened::Done })
    }
}

/// The right to create, until it is dropped.
pub(crate) struct GateGuard {
    gates: Arc<Gates>,
    key: Box<str>,
    gate: Arc<Gate>,
}

impl GateGuard {
    /// The key that is led.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Whether the key was stored or deleted since the gate is led.
    pub(crate) fn is_superseded(&self) -> bool {
        self.gate.state.lock().superseded
    }

    /// Says that the leader waited for the backend's mutex in vain: so have all who waited for the leader. Were they
    /// to try one after the other, the last would wait many times as long as the mutex does.
    pub(crate) fn give_up(&self) {
        self.gate.state.lock().gave_up = true;
    }

    /// Says that the thread that calls next will create.
    pub(crate) fn hand_over(&self) {
        self.gate.state.lock().leader = None;
    }

    /// Says that the calling thread creates.
    pub(crate) fn take_over(&self) {
        self.gate.state.lock().leader = Some(current().id());
    }
}

impl fmt::Debug for GateGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GateGuard({:?})", self.key)
    }
}

impl Drop for GateGuard {
    fn drop(&mut self) {
        // Out of the map first: whoever arrives from now on leads a gate of their own.
        self.gates.shard(&self.key).lock().remove(&self.key);
        self.gate.state.lock().open = true;
        self.gate.opened.notify_all();
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_a_leader_that_gives_up_has_waited_in_vain_too() {
        let gates = Arc::new(Gates::new());
        let Arrival::Leads(leader) = gates.arrive("key") else { panic!("nobody leads yet") };
        std::thread::scope(|scope| {
            let Arrival::Closed(gate) = gates.arrive("key") else { panic!("somebody leads") };
            let waiter = scope.spawn(move || gate.wait());
            leader.give_up();
            drop(leader);
            assert_eq!(waiter.join().unwrap(), Ok(Opened::GaveUp));
        });
        let Arrival::Leads(leader) = gates.arrive("key") else { panic!("nobody leads any more") };
        std::thread::scope(|scope| {
            let Arrival::Closed(gate) = gates.arrive("key") else { panic!("somebody leads") };
            let waiter = scope.spawn(move || gate.wait());
            drop(leader);
            assert_eq!(waiter.join().unwrap(), Ok(Opened::Done));
        });
    }
}
